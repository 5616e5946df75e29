namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// A data set of pictures with known anomalies: the names of its files by category. Pixels are read by whoever walks through the samples, one at a time, so
/// memory does not grow with the size of pictures.
/// </summary>
public sealed class DataSet
{
    private DataSet(string root, DataSetLayout layout, IReadOnlyList<Category> categories, IReadOnlyList<string> problems)
    {
        Root = root;
        Layout = layout;
        Categories = categories;
        Problems = problems;
    }

    /// <summary>The folder that all names are relative to.</summary>
    public string Root { get; }

    /// <summary>How its files are arranged.</summary>
    public DataSetLayout Layout { get; }

    /// <summary>The categories in ordinal order of their names, none of them empty.</summary>
    public IReadOnlyList<Category> Categories { get; }

    /// <summary>What is missing or was left out, each with the file's name: masks without picture, pictures without mask, links out of the root.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>Lists a data set.</summary>
    /// <param name="path">Its folder; or one of the lists that VisA, ADer and UniAD describe their pictures with.</param>
    /// <param name="layout">How its files are arranged; null: found out.</param>
    /// <param name="folders">For <see cref="DataSetLayout.Folder"/>: the names of the folders; null: <see cref="FolderNames.Default"/>.</param>
    /// <exception cref="DataSetException">There is no such place, its layout is not known, or it holds no pictures.</exception>
    public static DataSet Open(string path, DataSetLayout? layout = null, FolderNames? folders = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            string? list = File.Exists(path) ? Path.GetFileName(path) : null;
            if (list is null && !Directory.Exists(path))
            {
                throw new DataSetException($"{path}: there is no such folder");
            }

            return list is null ? OpenFolder(path, layout, folders) : OpenList(Path.GetFullPath(path), layout);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataSetException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static DataSet OpenFolder(string path, DataSetLayout? layout, FolderNames? folders)
    {
        DataSetFolder root = new(path);
        DataSetLayout known = layout ?? (folders is null ? Detect(root) : DataSetLayout.Folder);
        return Read(root, known, samples =>
        {
            switch (known)
            {
                case DataSetLayout.Mvtec:
                    MvtecLayout.Read(root, samples);
                    break;
                case DataSetLayout.Btad:
                    BtadLayout.Read(root, samples);
                    break;
                case DataSetLayout.Folder:
                    FolderLayout.Read(root, folders, samples);
                    break;
                case DataSetLayout.Visa:
                    VisaLayout.Read(root, VisaLayout.Table, samples);
                    break;
                case DataSetLayout.Ader:
                    AderLayout.Read(root, AderLayout.List, samples);
                    break;
                case DataSetLayout.UniAd:
                    foreach (string list in UniAdLayout.Lists.Where(root.HasFile))
                    {
                        UniAdLayout.Read(root, list, samples);
                    }

                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(layout), layout, "unknown layout");
            }
        });
    }

    /// <summary>A list by its own name: VisA's tables lie one folder below the root, the others in it.</summary>
    private static DataSet OpenList(string path, DataSetLayout? layout)
    {
        string folder = Path.GetDirectoryName(path)!, name = Path.GetFileName(path);
        DataSetLayout known = layout ?? (Path.GetExtension(name), name) switch
        {
            (".csv", _) => DataSetLayout.Visa,
            (_, AderLayout.List) => DataSetLayout.Ader,
            (".json" or ".jsonl", _) => DataSetLayout.UniAd,
            _ => throw new DataSetException($"{path}: not a folder, and not a list of pictures (.csv of VisA, meta.json of ADer, .json or .jsonl of UniAD)"),
        };
        DataSetFolder root = new(known == DataSetLayout.Visa ? Path.GetDirectoryName(folder) ?? folder : folder);
        return Read(root, known, samples =>
        {
            switch (known)
            {
                case DataSetLayout.Visa:
                    VisaLayout.Read(root, DataSetFolder.Join(Path.GetFileName(folder), name), samples);
                    break;
                case DataSetLayout.Ader:
                    AderLayout.Read(root, name, samples);
                    break;
                case DataSetLayout.UniAd:
                    UniAdLayout.Read(root, name, samples);
                    break;
                default:
                    throw new DataSetException($"{path}: the layout \"{known.Name()}\" is one of folders, but this is a file");
            }
        });
    }

    private static DataSet Read(DataSetFolder root, DataSetLayout layout, Action<SampleList> read)
    {
        SampleList samples = new(root);
        read(samples);
        IReadOnlyList<Category> categories = samples.ToCategories();
        if (categories.Count == 0)
        {
            string problems = root.Problems.Count > 0 ? $" ({root.Problems[0]})" : "";
            throw new DataSetException($"{root.Root}: no pictures in the layout \"{layout.Name()}\"{problems}. --layout forces another one: {string.Join(", ", DataSetLayouts.Names)}.");
        }

        return new DataSet(root.Root, layout, categories, root.Problems);
    }

    /// <summary>Lists come first, since they say more than folders: ADer's lie in folders that look like MVTec AD's or VisA's.</summary>
    private static DataSetLayout Detect(DataSetFolder root) =>
        AderLayout.Fits(root) ? DataSetLayout.Ader
        : VisaLayout.Fits(root) ? DataSetLayout.Visa
        : UniAdLayout.Fits(root) ? DataSetLayout.UniAd
        : MvtecLayout.Fits(root) ? DataSetLayout.Mvtec
        : BtadLayout.Fits(root) ? DataSetLayout.Btad
        : FolderLayout.Fits(root) ? DataSetLayout.Folder
        : throw new DataSetException(
            $"{root.Root}: no known layout. Looked for meta.json (ader), {VisaLayout.Table} (visa), {string.Join(" or ", UniAdLayout.Lists)} (uniad), train/good or test/good, also one folder below (mvtec), "
            + $"train/ok or test/ok (btad), {string.Join(", ", FolderNames.Default.Normal.Concat(FolderNames.Default.Abnormal))} (folder). --layout forces one.");
}
