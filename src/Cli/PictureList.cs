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
    /// <summary>
    /// What the name of an overlay ends with. Such files are not taken as pictures when a folder is searched, so that a second run does not judge the first
    /// one's output.
    /// </summary>
    public const string OverlaySuffix = ".heat.png";

    /// <summary>Stands for a list of files on stdin, one a line.</summary>
    public const string Stdin = "-";

    /// <summary>
    /// Files as they are named; folders with everything below them whose name ends like a picture's, in ordinal order, links to folders not followed; patterns;
    /// and for "-" what stdin names, as it comes. What cannot be read becomes an entry with an error, so that the rest is still done.
    /// </summary>
    public static IEnumerable<PictureEntry> Expand(IEnumerable<string> paths) =>
        paths.SelectMany(p => p == Stdin ? Lines().SelectMany(ExpandOne) : ExpandOne(p));

    private static IEnumerable<string> Lines()
    {
        while (Console.In.ReadLine() is string line)
        {
            if (line.Length > 0)
            {
                yield return line;
            }
        }
    }

    private static IEnumerable<PictureEntry> ExpandOne(string path)
    {
        if (Directory.Exists(path))
        {
            return Folder(path, path);
        }

        return Glob.IsPattern(path) ? Pattern(path) : [new PictureEntry(path, Path.GetFileName(path))];
    }

    private static List<PictureEntry> Folder(string root, string path)
    {
        List<PictureEntry> found = [];
        Walk(root, path, found);
        found.Sort((a, b) => string.CompareOrdinal(a.RelativePath, b.RelativePath));
        return found.Count > 0
            ? found
            : [new PictureEntry(path, "", $"{path}: holds no pictures; files whose names end like a picture's are looked for, also in folders below")];
    }

    private static List<PictureEntry> Pattern(string pattern)
    {
        List<PictureEntry> found = [];
        try
        {
            string root = Glob.Root(pattern);
            foreach (string path in Glob.Expand(pattern))
            {
                if (Directory.Exists(path))
                {
                    found.AddRange(Folder(root, path));
                }
                else if (IsInput(path))
                {
                    found.Add(new PictureEntry(path, Path.GetRelativePath(root, path)));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            found.Add(new PictureEntry(pattern, "", $"{pattern}: cannot be searched: {e.Message}"));
        }

        return found.Count > 0 ? found : [new PictureEntry(pattern, "", $"{pattern}: there is no such file, and no picture's name is like it")];
    }

    private static bool IsInput(string name) => PictureFile.HasPictureExtension(name) && !name.EndsWith(OverlaySuffix, StringComparison.OrdinalIgnoreCase);

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
                else if (IsInput(item.Name))
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
