using System.Text.Json;
using KernelAD.Tensors;

namespace KernelAD.Weights;

/// <summary>
/// Parses and validates the JSON header of a safetensors file:
/// <code>{"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, ...}</code>
/// Offsets count from the first byte after the header. As the format demands, the tensors cover the data exactly: no overlap, no gap, no rest.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>Longest header accepted, the reference implementation's limit.</summary>
    public const int MaxBytes = 100_000_000;

    private const int MaxTensors = 100_000;
    private const int MaxRank = 16;

    /// <summary>The format's names of the element types, in the order of <see cref="ElementType"/>.</summary>
    private static readonly string[] TypeNames = ["BOOL", "U8", "I8", "I16", "I32", "I64", "F16", "BF16", "F32", "F64"];

    /// <summary>The format's name of an element type.</summary>
    public static string NameOf(ElementType type) => TypeNames[(int)type];

    /// <summary>Parses a header.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataStart">Position in the file where the data begin.</param>
    /// <param name="dataLength">Bytes of data in the file.</param>
    /// <exception cref="ModelFileException">The header breaks a rule of the format.</exception>
    public static (Dictionary<string, SafetensorsEntry> Entries, Dictionary<string, string> Metadata) Parse(
        string path, ReadOnlySpan<byte> json, long dataStart, long dataLength)
    {
        Dictionary<string, SafetensorsEntry> entries = new(StringComparer.Ordinal);
        Dictionary<string, string> metadata = new(StringComparer.Ordinal);
        bool metadataSeen = false;
        try
        {
            Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = 8 });
            Expect(ref reader, JsonTokenType.StartObject, "the header must be a JSON object");
            while (Next(ref reader) == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                if (name == "__metadata__")
                {
                    if (metadataSeen)
                    {
                        throw new HeaderException("\"__metadata__\" appears twice");
                    }

                    metadataSeen = true;
                    ReadMetadata(ref reader, metadata);
                }
                else
                {
                    SafetensorsEntry entry = ReadEntry(ref reader, name, dataStart, dataLength);
                    if (!entries.TryAdd(name, entry))
                    {
                        throw new HeaderException($"tensor \"{Quote(name)}\" appears twice");
                    }

                    if (entries.Count > MaxTensors)
                    {
                        throw new HeaderException($"more than {MaxTensors} tensors");
                    }
                }
            }

            if (reader.TokenType != JsonTokenType.EndObject || reader.Read())
            {
                throw new HeaderException("the header must be one JSON object");
            }

            CheckCoverage(entries.Values, dataStart, dataLength);
        }
        catch (Exception e) when (e is JsonException or HeaderException or InvalidOperationException or FormatException)
        {
            // Utf8JsonReader reports invalid UTF-8 in a string as InvalidOperationException.
            throw new ModelFileException($"{path}: the safetensors header is not valid: {e.Message}. The file is damaged or was not written by a safetensors writer; convert or download it again.", e);
        }

        return (entries, metadata);
    }

    /// <summary>A name from the file, cut to a length that fits into a message.</summary>
    public static string Quote(string name) => name.Length <= 120 ? name : name[..120] + "…";

    private static void ReadMetadata(ref Utf8JsonReader reader, Dictionary<string, string> metadata)
    {
        Expect(ref reader, JsonTokenType.StartObject, "\"__metadata__\" must be an object");
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            Expect(ref reader, JsonTokenType.String, $"metadata \"{Quote(key)}\" must be a string");
            if (!metadata.TryAdd(key, reader.GetString()!))
            {
                throw new HeaderException($"metadata \"{Quote(key)}\" appears twice");
            }
        }
    }

    private static SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name, long dataStart, long dataLength)
    {
        string tensor = $"tensor \"{Quote(name)}\"";
        Expect(ref reader, JsonTokenType.StartObject, $"{tensor} must be described by an object");
        ElementType? type = null;
        List<long>? shape = null, offsets = null;
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            switch (key)
            {
                case "dtype" when type is null:
                    Expect(ref reader, JsonTokenType.String, $"{tensor}: \"dtype\" must be a string");
                    string typeName = reader.GetString()!;
                    int index = Array.IndexOf(TypeNames, typeName);
                    type = index >= 0
                        ? (ElementType)index
                        : throw new HeaderException($"{tensor}: dtype \"{Quote(typeName)}\" is not supported, expected one of {string.Join(", ", TypeNames)}");
                    break;
                case "shape" when shape is null:
                    shape = ReadIntegers(ref reader, $"{tensor}: \"shape\"", MaxRank, int.MaxValue);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadIntegers(ref reader, $"{tensor}: \"data_offsets\"", 2, long.MaxValue);
                    break;
                default:
                    throw new HeaderException($"{tensor}: key \"{Quote(key)}\" is unknown or appears twice");
            }
        }

        if (type is null || shape is null || offsets is not { Count: 2 })
        {
            throw new HeaderException($"{tensor} needs \"dtype\", \"shape\" and two \"data_offsets\"");
        }

        Int128 bytes = type.Value.Size();
        foreach (long extent in shape)
        {
            // Extents are below 2³¹, so that the product cannot pass 2¹²⁷ before it is seen to be too large.
            bytes *= extent;
            if (bytes > long.MaxValue)
            {
                throw new HeaderException($"{tensor}: shape [{string.Join(", ", shape)}] is larger than any file");
            }
        }

        long begin = offsets[0], end = offsets[1];
        if (begin > end || end > dataLength)
        {
            throw new HeaderException($"{tensor} lies at bytes {begin} … {end}, but the file holds {dataLength} bytes of data");
        }

        if (end - begin != bytes)
        {
            throw new HeaderException(
                $"{tensor} of type {NameOf(type.Value)} and shape [{string.Join(", ", shape)}] takes {bytes} bytes, but its offsets {begin} … {end} span {end - begin}");
        }

        return new SafetensorsEntry(name, type.Value, new Shape([.. shape.Select(e => (int)e)]), dataStart + begin, end - begin);
    }

    private static List<long> ReadIntegers(ref Utf8JsonReader reader, string what, int maxCount, long max)
    {
        Expect(ref reader, JsonTokenType.StartArray, $"{what} must be a list");
        List<long> values = [];
        while (Next(ref reader) == JsonTokenType.Number)
        {
            if (!reader.TryGetInt64(out long value) || value < 0 || value > max)
            {
                throw new HeaderException($"{what} holds a number that is not an integer within 0 … {max}");
            }

            values.Add(value);
            if (values.Count > maxCount)
            {
                throw new HeaderException($"{what} has more than {maxCount} entries");
            }
        }

        return reader.TokenType == JsonTokenType.EndArray ? values : throw new HeaderException($"{what} must hold integers only");
    }

    private static void CheckCoverage(IEnumerable<SafetensorsEntry> entries, long dataStart, long dataLength)
    {
        long position = dataStart;
        foreach (SafetensorsEntry entry in entries.OrderBy(e => e.Offset).ThenBy(e => e.ByteCount))
        {
            if (entry.Offset != position)
            {
                string what = entry.Offset < position ? "overlaps the tensor before it" : $"leaves a gap of {entry.Offset - position} bytes before it";
                throw new HeaderException($"tensor \"{Quote(entry.Name)}\" at byte {entry.Offset - dataStart} of the data {what}");
            }

            position += entry.ByteCount;
        }

        if (position != dataStart + dataLength)
        {
            throw new HeaderException($"the tensors cover {position - dataStart} bytes, but the file holds {dataLength} bytes of data");
        }
    }

    private static JsonTokenType Next(ref Utf8JsonReader reader) =>
        reader.Read() ? reader.TokenType : throw new HeaderException("the header ends too early");

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType token, string message)
    {
        if (Next(ref reader) != token)
        {
            throw new HeaderException(message);
        }
    }

    /// <summary>A broken rule; carries the message to <see cref="Parse"/>, which knows the file.</summary>
    private sealed class HeaderException(string message) : Exception(message);
}
