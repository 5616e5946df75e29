using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Cli.Output;

/// <summary>Prints JSON objects to stdout, one a line.</summary>
internal static class JsonLine
{
    private static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Prints one object whose members <paramref name="members"/> writes.</summary>
    public static void Print(Action<Utf8JsonWriter> members)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, Format))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        Console.Out.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    /// <summary>Writes a number, or null where JSON has no number for it.</summary>
    public static void WriteNumberOrNull(this Utf8JsonWriter json, string name, double? value)
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

    /// <summary>Writes a list of strings.</summary>
    public static void WriteStrings(this Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    /// <summary>Writes a list of numbers.</summary>
    public static void WriteNumbers(this Utf8JsonWriter json, string name, ReadOnlySpan<float> values)
    {
        json.WriteStartArray(name);
        foreach (float value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    /// <summary>Writes a shape as a list of extents.</summary>
    public static void WriteShape(this Utf8JsonWriter json, string name, Shape shape)
    {
        json.WriteStartArray(name);
        foreach (int extent in shape.Extents)
        {
            json.WriteNumberValue(extent);
        }

        json.WriteEndArray();
    }

    /// <summary>Writes how each value of a configuration was found.</summary>
    public static void WriteNotes(this Utf8JsonWriter json, string name, IEnumerable<ModelNote> notes)
    {
        json.WriteStartArray(name);
        foreach (ModelNote note in notes)
        {
            json.WriteStartObject();
            json.WriteString("kind", note.Kind.ToString().ToLowerInvariant());
            json.WriteString("key", note.Key);
            json.WriteString("value", note.Value);
            json.WriteString("reason", note.Reason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Writes what ran: model, device, precision, and the warnings if there are any.</summary>
    public static void WriteRun(this Utf8JsonWriter json, AnomalyDetector detector, DetectorOptions options)
    {
        json.WriteString("model", detector.Model.Name);
        json.WriteString("device", detector.Device);
        json.WriteString("precision", options.Precision.ToString().ToLowerInvariant());
        json.WriteNumber("threads", options.Threads ?? Environment.ProcessorCount);
        if (detector.Warnings.Count > 0)
        {
            json.WriteStrings("warnings", detector.Warnings);
        }
    }
}
