using System.Text.Json;

namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// ADer (github.com/zhangzjn/ADer): a list <c>meta.json</c>, {"train" | "test": {CATEGORY: [{img_path, mask_path, cls_name, specie_name, anomaly}]}}; paths are
/// relative to its folder, and an empty mask_path means none.
/// </summary>
internal static class AderLayout
{
    /// <summary>The list that a folder is recognised by.</summary>
    public const string List = "meta.json";

    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => root.HasFile(List);

    /// <summary>Lists the samples.</summary>
    /// <param name="root">The data set.</param>
    /// <param name="list">The list, relative to the root.</param>
    /// <param name="samples">Receives the samples.</param>
    /// <exception cref="DataSetException">The list is damaged.</exception>
    public static void Read(DataSetFolder root, string list, SampleList samples)
    {
        string path = root.Locate(list);
        try
        {
            using FileStream stream = File.OpenRead(path);
            using JsonDocument json = JsonDocument.Parse(stream);
            foreach ((string key, SampleSplit split) in new[] { ("train", SampleSplit.Train), ("test", SampleSplit.Test) })
            {
                if (!json.RootElement.TryGetProperty(key, out JsonElement categories))
                {
                    continue;
                }

                foreach (JsonProperty category in categories.EnumerateObject())
                {
                    foreach (JsonElement item in category.Value.EnumerateArray())
                    {
                        Add(root, path, category.Name, split, item, samples);
                    }
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new DataSetException(
                $"{path}: not a list of ADer: expected {{train, test: {{category: [{{img_path, mask_path, cls_name, specie_name, anomaly}}]}}}} ({e.Message})", e);
        }
    }

    private static void Add(DataSetFolder root, string path, string category, SampleSplit split, JsonElement item, SampleList samples)
    {
        if (root.Listed(Text(item, "img_path"), path) is not string picture)
        {
            return;
        }

        bool anomalous = item.GetProperty("anomaly").GetInt32() != 0;
        string defect = item.TryGetProperty("specie_name", out JsonElement kind) && kind.ValueKind == JsonValueKind.String && kind.GetString() is { Length: > 0 } name
            ? name
            : anomalous ? "anomaly" : "good";
        string? mask = item.TryGetProperty("mask_path", out JsonElement file) && file.GetString() is { Length: > 0 } listed ? root.Listed(listed, path) : null;
        if (anomalous && mask is null)
        {
            root.Report($"{root.Locate(picture)}: {Path.GetFileName(path)} names no mask; the picture is left out of pixel metrics");
        }

        samples.Add(category, picture, split, anomalous, defect, mask is null ? null : root.Locate(mask));
    }

    private static string Text(JsonElement item, string key) => item.GetProperty(key).GetString() ?? throw new FormatException($"\"{key}\" is null");
}
