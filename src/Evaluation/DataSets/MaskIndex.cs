namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// The masks of a folder by the picture they belong to: a mask's name without extension is the picture's, with or without <c>_mask</c> behind it.
/// </summary>
internal sealed class MaskIndex
{
    private const string Suffix = "_mask";

    private readonly DataSetFolder _root;
    private readonly Dictionary<string, string> _masks = new(StringComparer.Ordinal);
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>Lists a folder of masks, and those below it; says which masks have the name of another.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="folder">The folder, relative to the root; it need not exist.</param>
    public MaskIndex(DataSetFolder root, string folder)
    {
        _root = root;
        foreach (string mask in root.HasFolder(folder) ? root.AllPictures(folder) : [])
        {
            if (!_masks.TryAdd(Stem(mask[(folder.Length + 1)..]), mask))
            {
                root.Report($"{root.Locate(mask)}: a second mask of one name; left out");
            }
        }
    }

    /// <summary>A picture's mask file; null if there is none.</summary>
    /// <param name="picture">The picture, relative to the folder that the masks' folder mirrors.</param>
    public string? Find(string picture)
    {
        string stem = Stem(picture);
        if (!_masks.TryGetValue(stem, out string? mask) && !_masks.TryGetValue(stem + Suffix, out mask))
        {
            return null;
        }

        _used.Add(mask);
        return _root.Locate(mask);
    }

    /// <summary>Says which masks belong to no picture.</summary>
    public void ReportUnused()
    {
        foreach (string mask in _masks.Values.Where(m => !_used.Contains(m)).Order(StringComparer.Ordinal))
        {
            _root.Report($"{_root.Locate(mask)}: no picture belongs to this mask; left out");
        }
    }

    private static string Stem(string relative) =>
        DataSetFolder.Join(Path.GetDirectoryName(relative)!.Replace(Path.DirectorySeparatorChar, '/'), Path.GetFileNameWithoutExtension(relative));
}
