using KernelAD.Imaging;

namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// A data set's root folder. Paths below it are written with '/'. Links are followed as long as they stay below the root; what leads out of it, or
/// cannot be listed, is left out and said in <see cref="Problems"/>.
/// </summary>
internal sealed class DataSetFolder(string root)
{
    private readonly string _realRoot = RealPath.Of(root);
    private readonly Dictionary<string, bool> _inside = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];

    /// <summary>The folder as it was named.</summary>
    public string Root { get; } = root;

    /// <summary>What was left out, and why.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Joins names with '/'; empty ones vanish.</summary>
    public static string Join(params ReadOnlySpan<string> names) => string.Join('/', names.ToArray().Where(n => n.Length > 0));

    /// <summary>Says that something was left out.</summary>
    public void Report(string problem) => _problems.Add(problem);

    /// <summary>The path of something below the root, as the system takes it.</summary>
    public string Locate(string relative) => relative.Length == 0 ? Root : Path.Combine(Root, relative);

    /// <summary>Whether there is a folder of that name that lies below the root.</summary>
    public bool HasFolder(string relative) => Directory.Exists(Locate(relative)) && IsInside(Locate(relative));

    /// <summary>Whether there is a file of that name.</summary>
    public bool HasFile(string relative) => File.Exists(Locate(relative));

    /// <summary>The folders directly below one, relative to the root, in ordinal order.</summary>
    public List<string> Folders(string relative) => List(relative, static item => item is DirectoryInfo);

    /// <summary>The picture files directly in a folder, relative to the root, in ordinal order.</summary>
    public List<string> Pictures(string relative) => List(relative, static item => item is FileInfo && PictureFile.HasPictureExtension(item.Name));

    /// <summary>The picture files in a folder and in all below it, links to folders not followed; relative to the root, in ordinal order.</summary>
    public List<string> AllPictures(string relative)
    {
        List<string> pictures = Pictures(relative);
        foreach (string folder in List(relative, static item => item is DirectoryInfo && item.LinkTarget is null))
        {
            pictures.AddRange(AllPictures(folder));
        }

        pictures.Sort(StringComparer.Ordinal);
        return pictures;
    }

    /// <summary>
    /// The file that a list names, relative to the root; null, with a problem said, if it leads out of the root. Whether the file exists is found on reading.
    /// </summary>
    /// <param name="relative">What the list says; '/' or the system's separator.</param>
    /// <param name="list">The list, for the message.</param>
    public string? Listed(string relative, string list)
    {
        string path = Path.GetFullPath(Path.Combine(Root, relative));
        string name = Path.GetRelativePath(Path.GetFullPath(Root), path).Replace(Path.DirectorySeparatorChar, '/');
        if (Path.IsPathRooted(relative) || name == ".." || name.StartsWith("../", StringComparison.Ordinal)
            || !IsInside(Path.GetDirectoryName(path)!) || (new FileInfo(path).LinkTarget is not null && !IsInside(path)))
        {
            Report($"{list}: names \"{relative}\", which leads out of the data set; left out");
            return null;
        }

        return name;
    }

    private List<string> List(string relative, Predicate<FileSystemInfo> wanted)
    {
        List<string> names = [];
        try
        {
            foreach (FileSystemInfo item in new DirectoryInfo(Locate(relative)).EnumerateFileSystemInfos())
            {
                if (!wanted(item))
                {
                    continue;
                }

                string name = Join(relative, item.Name);
                if (item.Attributes.HasFlag(FileAttributes.ReparsePoint) && !IsInside(Locate(name)))
                {
                    Report($"{Locate(name)}: a link that leads out of the data set; not followed");
                    continue;
                }

                names.Add(name);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Report($"{Locate(relative)}: cannot be listed: {e.Message}");
        }

        names.Sort(StringComparer.Ordinal);
        return names;
    }

    private bool IsInside(string path)
    {
        if (!_inside.TryGetValue(path, out bool inside))
        {
            string real = RealPath.Of(path);
            inside = real == _realRoot || real.StartsWith(Path.TrimEndingDirectorySeparator(_realRoot) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
            _inside.Add(path, inside);
        }

        return inside;
    }
}
