using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>A picture to look at, or a place where pictures were expected and none could be had.</summary>
/// <param name="Path">The file.</param>
/// <param name="RelativePath">Where it lies below the folder that was named; decides the names of outputs.</param>
/// <param name="Error">Why there is nothing to read; null for a picture file.</param>
internal sealed record PictureEntry(string Path, string RelativePath, string? Error = null);

/// <summary>Turns files and folders on the command line into a list of pictures.</summary>
internal static class PictureList
{
    /// <summary>What the name of an overlay ends with. Such files are not taken as pictures when a folder is searched, so that a second run does not judge the first one's output.</summary>
    public const string OverlaySuffix = ".heat.png";

    /// <summary>
    /// Files as they are named; folders with everything below them whose name ends like a picture's, in ordinal order. Links to folders are not followed.
    /// What cannot be read becomes an entry with an error, so that the rest is still done.
    /// </summary>
    public static List<PictureEntry> Expand(IEnumerable<string> paths)
    {
        List<PictureEntry> entries = [];
        foreach (string path in paths)
        {
            if (!Directory.Exists(path))
            {
                entries.Add(new PictureEntry(path, Path.GetFileName(path)));
                continue;
            }

            List<PictureEntry> found = [];
            Walk(path, path, found);
            found.Sort((a, b) => string.CompareOrdinal(a.RelativePath, b.RelativePath));
            entries.AddRange(found.Count > 0
                ? found
                : [new PictureEntry(path, "", $"{path}: holds no pictures; files whose names end like a picture's are looked for, also in folders below")]);
        }

        return entries;
    }

    /// <summary>Gives every picture an overlay path of its own below <paramref name="folder"/>, mirroring the tree it came from.</summary>
    public static Dictionary<PictureEntry, string> OverlayPaths(IReadOnlyList<PictureEntry> entries, string folder)
    {
        Dictionary<PictureEntry, string> paths = new(ReferenceEqualityComparer.Instance);
        HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase);
        foreach (PictureEntry entry in entries.Where(e => e.Error is null))
        {
            string stem = Path.Combine(Path.GetDirectoryName(entry.RelativePath) ?? "", Path.GetFileNameWithoutExtension(entry.RelativePath));
            string name = stem;
            for (int i = 1; !taken.Add(name); i++)
            {
                // Two pictures of one stem: the second keeps its extension in the name, further ones are numbered.
                name = i == 1 ? entry.RelativePath : $"{entry.RelativePath}-{i}";
            }

            paths.Add(entry, Path.Combine(folder, name + OverlaySuffix));
        }

        return paths;
    }

    private static void Walk(string root, string folder, List<PictureEntry> found)
    {
        try
        {
            foreach (FileSystemInfo item in new DirectoryInfo(folder).EnumerateFileSystemInfos())
            {
                string path = Path.Combine(folder, item.Name);
                if (item is DirectoryInfo directory)
                {
                    if (directory.LinkTarget is null)
                    {
                        Walk(root, path, found);
                    }
                }
                else if (PictureFile.HasPictureExtension(item.Name) && !item.Name.EndsWith(OverlaySuffix, StringComparison.OrdinalIgnoreCase))
                {
                    found.Add(new PictureEntry(path, Path.GetRelativePath(root, path)));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            found.Add(new PictureEntry(folder, Path.GetRelativePath(root, folder), $"{folder}: cannot be listed: {e.Message}"));
        }
    }
}
