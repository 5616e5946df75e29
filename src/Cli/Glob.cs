using System.IO.Enumeration;

namespace KernelAD.Cli;

/// <summary>File name patterns that the shell has left as they are: * and ? within a name, ** for any number of folders.</summary>
internal static class Glob
{
    private const string AnyFolders = "**";
    private static readonly char[] Wildcards = ['*', '?'];

    /// <summary>Whether something that is not there by this name may be a pattern.</summary>
    public static bool IsPattern(string path) => path.IndexOfAny(Wildcards) >= 0 && !Path.Exists(path);

    /// <summary>The folder that a pattern begins in: everything before its first wildcard.</summary>
    public static string Root(string pattern)
    {
        string root = Path.GetDirectoryName(pattern[..pattern.IndexOfAny(Wildcards)] + "x") ?? "";
        return root.Length > 0 ? root : ".";
    }

    /// <summary>Files and folders that a pattern names, in ordinal order. Links to folders are not followed by **.</summary>
    /// <exception cref="IOException">A folder cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">A folder cannot be listed.</exception>
    public static IEnumerable<string> Expand(string pattern)
    {
        string root = Root(pattern);
        string rest = root == "." && !pattern.StartsWith('.') ? pattern : pattern[root.Length..];
        string[] parts = rest.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries);
        return Directory.Exists(root) ? Expand(root == "." && !pattern.StartsWith('.') ? "" : root, parts).Distinct().Order(StringComparer.Ordinal) : [];
    }

    private static IEnumerable<string> Expand(string folder, ReadOnlyMemory<string> parts)
    {
        string part = parts.Span[0];
        ReadOnlyMemory<string> rest = parts[1..];
        if (part == AnyFolders)
        {
            // None, or one and then again any number.
            IEnumerable<string> here = rest.Length > 0 ? Expand(folder, rest) : Entries(folder).Where(e => e is FileInfo).Select(e => Path.Combine(folder, e.Name));
            return here.Concat(Entries(folder).Where(e => e is DirectoryInfo && e.LinkTarget is null).SelectMany(e => Expand(Path.Combine(folder, e.Name), parts)));
        }

        IEnumerable<FileSystemInfo> found = Entries(folder).Where(e => FileSystemName.MatchesSimpleExpression(part, e.Name, ignoreCase: OperatingSystem.IsWindows()));
        return rest.Length == 0
            ? found.Select(e => Path.Combine(folder, e.Name))
            : found.Where(e => e is DirectoryInfo).SelectMany(e => Expand(Path.Combine(folder, e.Name), rest));
    }

    private static IEnumerable<FileSystemInfo> Entries(string folder) => new DirectoryInfo(folder.Length > 0 ? folder : ".").EnumerateFileSystemInfos();
}
