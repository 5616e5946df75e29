using System.Text.Json;

namespace KernelAD.Evaluation.Metrics;

/// <summary>Metrics as members of a JSON object.</summary>
public static class MetricsJson
{
    /// <summary>
    /// Writes each metric under its name, null where it is undefined or infinite, and the reasons of the undefined ones as an object <c>undefined</c>.
    /// </summary>
    public static void WriteMetrics(this Utf8JsonWriter json, IEnumerable<NamedMetric> metrics)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(metrics);
        List<NamedMetric> undefined = [];
        foreach (NamedMetric metric in metrics)
        {
            json.WriteNumberOrNull(metric.Name, metric.Value.Value);
            if (!metric.Value.IsDefined)
            {
                undefined.Add(metric);
            }
        }

        json.WriteStartObject("undefined");
        foreach ((string name, MetricValue value) in undefined)
        {
            json.WriteString(name, value.Reason);
        }

        json.WriteEndObject();
    }

    /// <summary>Writes a number, or null where JSON has no number for it.</summary>
    internal static void WriteNumberOrNull(this Utf8JsonWriter json, string name, double? value)
    {
        if (value is double v && double.IsFinite(v))
        {
            json.WriteNumber(name, v);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
