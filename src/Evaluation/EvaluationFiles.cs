using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation;

/// <summary>An evaluation as files for other programs: JSON with the metrics, CSV with one row a picture.</summary>
public static class EvaluationFiles
{
    private static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes what was measured, how, and the metrics of every category as members of a JSON object.</summary>
    public static void WriteMembers(Utf8JsonWriter json, EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(result);
        EvaluatedModel model = result.Model;
        json.WriteString("model", model.Name);
        json.WriteString("model_file", model.File);
        json.WriteString("model_sha256", model.Sha256);
        json.WriteString("device", model.Device);
        json.WriteString("precision", model.Precision);
        json.WriteString("preprocessing", model.Preprocessing);
        json.WriteString("resolution", $"{model.MapWidth}x{model.MapHeight}");
        json.WriteNumberOrNull("threshold", model.Threshold);
        json.WriteString("data_set", result.Data.Root);
        json.WriteString("layout", result.Data.Layout.Name());
        json.WriteString("metrics", result.Options.Variant.Name());
        json.WriteString("mask_rule", result.Options.MaskRule.Name());
        json.WriteNumber("mask_threshold", result.Options.MaskThreshold);
        json.WriteNumber("images", result.Judged);
        json.WriteNumber("seconds", result.Elapsed.TotalSeconds);
        json.WriteNumber("share_outside_network", result.ShareOutsideNetwork);
        json.WriteStartArray("categories");
        foreach (CategoryResult category in result.Categories)
        {
            json.WriteStartObject();
            json.WriteString("name", category.Name);
            json.WriteNumber("good", category.Metrics.Image.Negatives);
            json.WriteNumber("anomalous", category.Metrics.Image.Positives);
            json.WriteMetrics(category.Metrics.Values);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("mean");
        json.WriteMetrics(result.Means.Select(m => new NamedMetric(m.Name, m.Value)));
        json.WriteStartObject("skipped_categories");
        foreach (CategoryMean mean in result.Means.Where(m => m.Skipped > 0))
        {
            json.WriteNumber(mean.Name, mean.Skipped);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        WriteStrings(json, "problems", result.Problems);
        WriteStrings(json, "remarks", result.Remarks);
    }

    /// <summary>The JSON file.</summary>
    public static byte[] Json(EvaluationResult result)
    {
        using MemoryStream file = new();
        using (Utf8JsonWriter json = new(file, Format with { Indented = true }))
        {
            json.WriteStartObject();
            WriteMembers(json, result);
            json.WriteEndObject();
        }

        return file.ToArray();
    }

    /// <summary>The CSV file (RFC 4180, UTF-8).</summary>
    public static byte[] Csv(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        StringBuilder csv = new("category,picture,defect,is_anomalous,score,width,height,anomalous_pixels,decode_ms,preprocess_ms,network_ms,remark,error\r\n");
        foreach (CategoryResult category in result.Categories)
        {
            foreach (PictureResult p in category.Pictures)
            {
                csv.Append(CultureInfo.InvariantCulture, $"{Quoted(category.Name)},{Quoted(p.Sample.Name)},{Quoted(p.Sample.Defect)},{(p.Sample.IsAnomalous ? "true" : "false")},");
                csv.Append(p.Error is null
                    ? string.Create(
                        CultureInfo.InvariantCulture,
                        $"{p.Score:R},{p.Width},{p.Height},{p.AnomalousPixels},{p.Decode.TotalMilliseconds:F3},{p.Preprocess.TotalMilliseconds:F3},"
                        + $"{p.Network.TotalMilliseconds:F3},{Quoted(p.Remark ?? "")},\r\n")
                    : $",,,,,,,,{Quoted(p.Error)}\r\n");
            }
        }

        return Encoding.UTF8.GetBytes(csv.ToString());
    }

    private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }
}
