using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace KernelAD.Models;

/// <summary>
/// Reads a model's configuration from JSON: every value is checked, and a key that nobody asked for is an error, since a typing error in a key would otherwise
/// go unnoticed.
/// </summary>
internal sealed class ConfigReader
{
    private readonly string _model;
    private readonly JsonObject _config;
    private readonly string _path;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    /// <summary>Reads a model's configuration.</summary>
    /// <param name="model">The model's name, for messages.</param>
    /// <param name="config">The values.</param>
    /// <param name="path">What leads to these values within the whole configuration, for messages.</param>
    public ConfigReader(string model, JsonObject config, string path = "")
    {
        _model = model;
        _config = config;
        _path = path;
    }

    /// <summary>An integer within bounds.</summary>
    public int Int(string key, int? fallback = null, int min = 1, int max = 65536)
    {
        int value = Scalar(key, fallback, "an integer", TryInt);
        return value < min || value > max ? throw Error(key, $"is {value}, expected {min} … {max}") : value;
    }

    /// <summary>A number within bounds.</summary>
    public double Number(string key, double fallback, double min, double max)
    {
        double value = Scalar(key, fallback, "a number", static (JsonNode v, out double x) =>
            double.TryParse(v.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out x));
        return value >= min && value <= max ? value : throw Error(key, $"is {value}, expected {min} … {max}");
    }

    /// <summary>One of a few words.</summary>
    public string Choice(string key, string fallback, params ReadOnlySpan<string> choices)
    {
        _read.Add(key);
        if (_config[key] is not JsonNode node)
        {
            return fallback;
        }

        string? value = node is JsonValue v && v.TryGetValue(out string? s) ? s : null;
        return value is not null && choices.Contains(value)
            ? value
            : throw Error(key, $"is {node.ToJsonString()}, expected one of {string.Join(", ", choices.ToArray().Select(c => $"\"{c}\""))}");
    }

    /// <summary>Any text.</summary>
    public string Text(string key, string fallback)
    {
        _read.Add(key);
        return _config[key] switch
        {
            null => fallback,
            JsonValue value when value.TryGetValue(out string? text) => text,
            JsonNode node => throw Error(key, $"is {node.ToJsonString()}, expected a text"),
        };
    }

    /// <summary>True or false.</summary>
    public bool Flag(string key, bool? fallback = null)
    {
        _read.Add(key);
        return _config[key] switch
        {
            null => fallback ?? throw Error(key, "is missing"),
            JsonValue value when value.GetValueKind() is JsonValueKind.True or JsonValueKind.False => value.GetValue<bool>(),
            JsonNode node => throw Error(key, $"is {node.ToJsonString()}, expected true or false"),
        };
    }

    /// <summary>A list of so many truth values.</summary>
    public IReadOnlyList<bool> Flags(string key, int count)
    {
        _read.Add(key);
        return _config[key] is JsonArray list && list.Count == count && list.All(e => e?.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
            ? [.. list.Select(e => e!.GetValue<bool>())]
            : throw Error(key, $"is {_config[key]?.ToJsonString() ?? "missing"}, expected a list of {count} times true or false");
    }

    /// <summary>Values of their own under a key; null if it is missing or false. Whoever reads them rejects what is left unread.</summary>
    public ConfigReader? Section(string key)
    {
        _read.Add(key);
        return _config[key] switch
        {
            null => null,
            JsonObject section => new ConfigReader(_model, section, $"{_path}{key}."),
            JsonValue value when value.GetValueKind() == JsonValueKind.False => null,
            JsonNode node => throw Error(key, $"is {node.ToJsonString()}, expected an object or false"),
        };
    }

    /// <summary>A list of such sections; null if the key is missing.</summary>
    public IReadOnlyList<ConfigReader>? Sections(string key)
    {
        _read.Add(key);
        return _config[key] is not JsonNode node ? null
            : node is JsonArray list && list.All(e => e is JsonObject)
                ? [.. list.Select((e, i) => new ConfigReader(_model, (JsonObject)e!, $"{_path}{key}[{i}]."))]
                : throw Error(key, $"is {node.ToJsonString()}, expected a list of objects");
    }

    /// <summary>A list of integers.</summary>
    public IReadOnlyList<int> Ints(string key, IReadOnlyList<int>? fallback = null)
    {
        _read.Add(key);
        if (_config[key] is not JsonNode node)
        {
            return fallback ?? throw Error(key, "is missing");
        }

        List<int> values = [];
        foreach (JsonNode? element in node as JsonArray ?? throw Error(key, $"is {node.ToJsonString()}, expected a list of integers"))
        {
            values.Add(element is not null && TryInt(element, out int value)
                ? value
                : throw Error(key, $"is {node.ToJsonString()}, expected a list of integers"));
        }

        return values;
    }

    /// <summary>Whether the key is there at all.</summary>
    public bool Has(string key) => _config[key] is not null;

    /// <summary>Whether the key's value is a list.</summary>
    public bool IsList(string key) => _config[key] is JsonArray;

    /// <summary>Accepts keys that describe how a checkpoint was made and change nothing here.</summary>
    public void Ignore(params ReadOnlySpan<string> keys)
    {
        foreach (string key in keys)
        {
            _read.Add(key);
        }
    }

    /// <summary>An error about one key.</summary>
    public ConfigurationException Error(string key, string what) => new($"{_model} configuration: \"{_path}{key}\" {what}");

    /// <summary>Throws when a key was never asked for.</summary>
    public void RejectUnreadKeys()
    {
        string[] unread = [.. _config.Select(p => p.Key).Where(k => !_read.Contains(k))];
        if (unread.Length > 0)
        {
            throw new ConfigurationException(
                $"{_model} configuration: unknown key {string.Join(", ", unread.Select(k => $"\"{_path}{k}\""))}; known: {string.Join(", ", _read.Order(StringComparer.Ordinal))}");
        }
    }

    private delegate bool TryRead<T>(JsonNode value, out T result);

    /// <summary>By its text: a number in a JsonNode may be stored as any CLR type.</summary>
    private static bool TryInt(JsonNode node, out int value) =>
        int.TryParse(node.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    private T Scalar<T>(string key, T? fallback, string kind, TryRead<T> tryRead)
        where T : struct
    {
        _read.Add(key);
        return _config[key] switch
        {
            null => fallback ?? throw Error(key, "is missing"),
            JsonValue value when value.GetValueKind() == JsonValueKind.Number && tryRead(value, out T result) => result,
            JsonNode node => throw Error(key, $"is {node.ToJsonString()}, expected {kind}"),
        };
    }
}
