namespace KernelAD.Evaluation.DataSets;

/// <summary>Names of the folders of <see cref="DataSetLayout.Folder"/>, below the data set's root; each may be several.</summary>
public sealed record FolderNames
{
    /// <summary>What is looked for when nothing is said; names that are not there are passed over.</summary>
    public static FolderNames Default { get; } = new()
    {
        Normal = ["normal", "good"],
        Abnormal = ["abnormal", "bad"],
        NormalTest = ["normal_test"],
        Masks = ["mask", "masks"],
    };

    /// <summary>Folders of good pictures.</summary>
    public required IReadOnlyList<string> Normal { get; init; }

    /// <summary>Folders of anomalous pictures; a folder's name is the kind of defect.</summary>
    public IReadOnlyList<string> Abnormal { get; init; } = [];

    /// <summary>Folders of good pictures to measure with. Without any, those of <see cref="Normal"/> are taken, and a problem is said.</summary>
    public IReadOnlyList<string> NormalTest { get; init; } = [];

    /// <summary>Folders of masks, paired with <see cref="Abnormal"/> by position if there are as many, otherwise all of them with each.</summary>
    public IReadOnlyList<string> Masks { get; init; } = [];
}

/// <summary>Folders of good and of anomalous pictures, searched with all folders below; masks, if there are any, are paired by name.</summary>
internal static class FolderLayout
{
    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => FolderNames.Default.Normal.Concat(FolderNames.Default.Abnormal).Any(root.HasFolder);

    /// <summary>Lists the samples.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="names">The folders, which must exist; null for <see cref="FolderNames.Default"/>, as far as they do.</param>
    /// <param name="samples">Receives the samples.</param>
    public static void Read(DataSetFolder root, FolderNames? names, SampleList samples)
    {
        string[] normal = Existing(f => f.Normal), abnormal = Existing(f => f.Abnormal), normalTest = Existing(f => f.NormalTest), masks = Existing(f => f.Masks);
        string category = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(root.Root)));
        foreach (string folder in normal)
        {
            AddGood(folder, SampleSplit.Train);
        }

        foreach (string folder in normalTest.Length > 0 ? normalTest : normal)
        {
            AddGood(folder, SampleSplit.Test);
        }

        if (normalTest.Length == 0 && normal.Length > 0)
        {
            root.Report($"{root.Root}: no folder of good test pictures, so those of {string.Join(", ", normal)} are taken; if the model was trained on them, its metrics are too good");
        }

        MaskIndex[] indices = [.. masks.Select(m => new MaskIndex(root, m))];
        for (int i = 0; i < abnormal.Length; i++)
        {
            AddAbnormal(abnormal[i], masks.Length == abnormal.Length ? [indices[i]] : indices);
        }

        foreach (MaskIndex index in indices)
        {
            index.ReportUnused();
        }

        void AddGood(string folder, SampleSplit split)
        {
            foreach (string picture in root.AllPictures(folder))
            {
                samples.Add(category, picture, split, anomalous: false, Path.GetFileName(folder), mask: null);
            }
        }

        void AddAbnormal(string folder, MaskIndex[] candidates)
        {
            foreach (string picture in root.AllPictures(folder))
            {
                string? mask = candidates.Select(c => c.Find(picture[(folder.Length + 1)..])).FirstOrDefault(m => m is not null);
                if (mask is null)
                {
                    root.Report($"{root.Locate(picture)}: no mask{(masks.Length > 0 ? $" in {string.Join(", ", masks)}" : "")}; the picture is left out of pixel metrics");
                }

                samples.Add(category, picture, SampleSplit.Test, anomalous: true, Path.GetFileName(folder), mask);
            }
        }

        string[] Existing(Func<FolderNames, IReadOnlyList<string>> which)
        {
            foreach (string name in names is null ? [] : which(names))
            {
                if (!root.HasFolder(name))
                {
                    throw new DataSetException($"{root.Locate(name)}: there is no such folder");
                }
            }

            return [.. names is null ? which(FolderNames.Default).Where(root.HasFolder) : which(names)];
        }
    }
}
