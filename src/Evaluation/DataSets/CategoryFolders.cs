namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// What MVTec AD and BTAD have in common: folders <c>train/GOOD</c>, <c>test/GOOD</c>, <c>test/DEFECT</c> and <c>ground_truth/DEFECT</c>, for each category or,
/// where the root is a category itself, directly below it.
/// </summary>
internal static class CategoryFolders
{
    /// <summary>The root itself, or the folders below it, as far as they look like categories; relative to the root.</summary>
    public static List<string> Find(DataSetFolder root, string good) =>
        IsCategory(root, "", good) ? [""] : [.. root.Folders("").Where(f => IsCategory(root, f, good))];

    /// <summary>Reads all categories.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="good">What the folder of good pictures is called.</param>
    /// <param name="samples">Receives the samples.</param>
    public static void Read(DataSetFolder root, string good, SampleList samples)
    {
        foreach (string folder in Find(root, good))
        {
            RejectRelatives(root, folder);
            string category = folder.Length > 0 ? folder : Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(root.Root)));
            string train = DataSetFolder.Join(folder, "train", good);
            foreach (string picture in root.HasFolder(train) ? root.Pictures(train) : [])
            {
                samples.Add(category, picture, SampleSplit.Train, anomalous: false, good, mask: null);
            }

            string test = DataSetFolder.Join(folder, "test");
            foreach (string kind in root.HasFolder(test) ? root.Folders(test) : [])
            {
                ReadKind(root, category, folder, kind, Path.GetFileName(kind) == good, samples);
            }
        }
    }

    private static void ReadKind(DataSetFolder root, string category, string folder, string kind, bool good, SampleList samples)
    {
        string defect = Path.GetFileName(kind), truth = DataSetFolder.Join(folder, "ground_truth", defect);
        MaskIndex masks = new(root, truth);
        foreach (string picture in root.Pictures(kind))
        {
            string? mask = good ? null : masks.Find(picture[(kind.Length + 1)..]);
            if (!good && mask is null)
            {
                root.Report($"{root.Locate(picture)}: no mask in {root.Locate(truth)}; the picture is left out of pixel metrics");
            }

            samples.Add(category, picture, SampleSplit.Test, !good, defect, mask);
        }

        masks.ReportUnused();
    }

    private static bool IsCategory(DataSetFolder root, string folder, string good) =>
        root.HasFolder(DataSetFolder.Join(folder, "train", good)) || root.HasFolder(DataSetFolder.Join(folder, "test", good));

    /// <summary>Three data sets of the same authors look alike, but their masks follow rules of their own: wrong numbers would be the result.</summary>
    private static void RejectRelatives(DataSetFolder root, string folder)
    {
        (string Mark, string Name, string Why)[] relatives =
        [
            ("train/good/rgb", "MVTec 3D-AD", "its pictures come with point clouds"),
            ("test_public", "MVTec AD 2", "its test pictures have several exposures and partly secret masks"),
            ("test/logical_anomalies", "MVTec LOCO AD", "a picture has several masks, which count only up to a saturation area"),
        ];
        foreach ((string mark, string name, string why) in relatives)
        {
            if (root.HasFolder(DataSetFolder.Join(folder, mark)))
            {
                throw new DataSetException($"{root.Locate(folder)}: this is {name}, which is not read: {why}. Layouts that are: {string.Join(", ", DataSetLayouts.Names)}.");
            }
        }
    }
}
