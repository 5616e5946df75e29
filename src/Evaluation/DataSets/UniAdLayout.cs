using System.Text.Json;

namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// UniAD (github.com/zhiyuanyou/UniAD): lists <c>train.json</c> and <c>test.json</c> of one JSON object a line with filename, label (0 or 1), label_name,
/// maskname (optional), clsname. Files are looked for in the list's folder, or, as in UniAD's own tree, in a folder beside the list. An anomalous picture
/// without mask, which UniAD takes as anomalous everywhere, is left out of pixel metrics.
/// </summary>
internal static class UniAdLayout
{
    /// <summary>The lists that a folder is recognised by.</summary>
    public static IReadOnlyList<string> Lists { get; } = ["train.json", "test.json"];

    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => Lists.Any(root.HasFile);

    /// <summary>Lists the samples.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="list">A list, relative to the root. Its pictures are for training if its name begins with "train".</param>
    /// <param name="samples">Receives the samples.</param>
    public static void Read(DataSetFolder root, string list, SampleList samples)
    {
        string path = root.Locate(list);
        SampleSplit split = Path.GetFileName(list).StartsWith("train", StringComparison.OrdinalIgnoreCase) ? SampleSplit.Train : SampleSplit.Test;
        string? folder = null;
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            try
            {
                using JsonDocument json = JsonDocument.Parse(line);
                Add(json.RootElement);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
            {
                root.Report($"{path}, line {number}: expected an object with filename, label, label_name, maskname and clsname ({e.Message}); left out");
            }
        }

        void Add(JsonElement item)
        {
            string file = Text(item, "filename") ?? throw new FormatException("\"filename\" is missing");
            folder ??= PictureFolder(root, file);
            if (root.Listed(DataSetFolder.Join(folder, file), path) is not string picture)
            {
                return;
            }

            bool anomalous = item.GetProperty("label").GetInt32() != 0;
            string? mask = Text(item, "maskname") is { Length: > 0 } listed ? root.Listed(DataSetFolder.Join(folder, listed), path) : null;
            if (anomalous && mask is null)
            {
                root.Report($"{path}, line {number}: no mask of {picture}; the picture is left out of pixel metrics");
            }

            // UniAD takes CATEGORY/SPLIT/KIND/NAME apart where the line has no clsname.
            string category = Text(item, "clsname") ?? (file.Split('/') is { Length: >= 4 } parts ? parts[^4] : throw new FormatException("\"clsname\" is missing"));
            samples.Add(category, picture, split, anomalous, Text(item, "label_name") ?? (anomalous ? "defective" : "good"), mask is null ? null : root.Locate(mask));
        }
    }

    /// <summary>The folder, relative to the root, in which a listed file lies: the root itself, or the first folder below it that has the file.</summary>
    private static string PictureFolder(DataSetFolder root, string file) =>
        root.HasFile(file) ? "" : root.Folders("").Find(f => root.HasFile(DataSetFolder.Join(f, file))) ?? "";

    private static string? Text(JsonElement item, string key) => item.TryGetProperty(key, out JsonElement value) ? value.GetString() : null;
}
