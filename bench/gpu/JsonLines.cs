using System.Text;
using System.Text.Json;

namespace KernelAD.GpuChecks;

/// <summary>
/// A file of JSON objects, one a line, each with what it was measured on. A line is on disk when the call returns: what comes before a crash is not lost.
/// </summary>
internal sealed class JsonLines(string path, Device device) : IDisposable
{
    private readonly FileStream _file = new(path, FileMode.Append, FileAccess.Write, FileShare.Read);

    /// <summary>Writes an object.</summary>
    /// <param name="members">Writes its members.</param>
    public void Add(Action<Utf8JsonWriter> members)
    {
        using (Utf8JsonWriter json = new(_file))
        {
            json.WriteStartObject();
            json.WriteString("measured_on", device.MeasuredOn);
            json.WriteBoolean("emulated", device.IsEmulated);
            members(json);
            json.WriteEndObject();
        }

        _file.Write("\n"u8);
        _file.Flush();
    }

    /// <summary>Reads a file's objects; none if it is not there. A last line that was cut off is left out.</summary>
    public static IReadOnlyList<JsonElement> Read(string path)
    {
        List<JsonElement> objects = [];
        foreach (string line in File.Exists(path) ? File.ReadLines(path, Encoding.UTF8) : [])
        {
            try
            {
                objects.Add(JsonElement.Parse(line));
            }
            catch (JsonException)
            {
                break;
            }
        }

        return objects;
    }

    public void Dispose() => _file.Dispose();
}
