namespace KernelAD.Cli;

/// <summary>
/// Gives every picture an overlay path of its own below a folder, mirroring the tree it came from. Names depend on the order of the pictures, and on nothing
/// else.
/// </summary>
internal sealed class OverlayNames(string folder)
{
    private readonly HashSet<string> _taken = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The overlay's path for the next picture.</summary>
    public string Next(PictureEntry entry)
    {
        string name = Path.Combine(Path.GetDirectoryName(entry.RelativePath) ?? "", Path.GetFileNameWithoutExtension(entry.RelativePath));
        for (int i = 1; !_taken.Add(name); i++)
        {
            // Two pictures of one stem: the second keeps its extension in the name, further ones are numbered.
            name = i == 1 ? entry.RelativePath : $"{entry.RelativePath}-{i}";
        }

        return Path.Combine(folder, name + PictureList.OverlaySuffix);
    }
}
