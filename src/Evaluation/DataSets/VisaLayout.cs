namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// VisA (Zou et al., ECCV 2022): a table <c>split_csv/1cls.csv</c> (or another one that is named: 2cls_fewshot.csv, 2cls_highshot.csv) with the columns object,
/// split (train or test), label (normal or anomaly), image, mask; paths are relative to the folder above. Mask values are small class numbers: whatever is not
/// zero is anomalous.
/// </summary>
internal static class VisaLayout
{
    /// <summary>The table that a folder is recognised by.</summary>
    public const string Table = "split_csv/1cls.csv";

    private static readonly string[] Columns = ["object", "split", "label", "image", "mask"];

    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => root.HasFile(Table);

    /// <summary>Lists the samples.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="table">The table, relative to the root.</param>
    /// <param name="samples">Receives the samples.</param>
    public static void Read(DataSetFolder root, string table, SampleList samples)
    {
        string path = root.Locate(table);
        using IEnumerator<string> lines = File.ReadLines(path).GetEnumerator();
        string[] header = lines.MoveNext() ? lines.Current.Split(',') : [];
        int[] places = [.. Columns.Select(c => Array.FindIndex(header, h => h.Trim() == c))];
        if (places.Contains(-1))
        {
            throw new DataSetException($"{path}: the first line must name the columns {string.Join(", ", Columns)}; found \"{string.Join(',', header)}\"");
        }

        for (int number = 2; lines.MoveNext(); number++)
        {
            if (string.IsNullOrWhiteSpace(lines.Current))
            {
                continue;
            }

            string[] fields = lines.Current.Split(',');
            if (fields.Length != header.Length)
            {
                root.Report($"{path}, line {number}: {fields.Length} fields instead of {header.Length}; left out");
                continue;
            }

            string[] row = [.. places.Select(p => fields[p].Trim())];
            if (row[1] is not ("train" or "test") || row[2] is not ("normal" or "anomaly"))
            {
                root.Report($"{path}, line {number}: split \"{row[1]}\", label \"{row[2]}\"; expected train or test, normal or anomaly; left out");
                continue;
            }

            if (root.Listed(row[3], path) is string picture)
            {
                string? mask = row[4].Length > 0 ? root.Listed(row[4], path) : null;
                bool anomalous = row[2] == "anomaly";
                if (anomalous && mask is null)
                {
                    root.Report($"{path}, line {number}: no mask of {picture}; the picture is left out of pixel metrics");
                }

                samples.Add(row[0], picture, row[1] == "train" ? SampleSplit.Train : SampleSplit.Test, anomalous, row[2], mask is null ? null : root.Locate(mask));
            }
        }
    }
}
