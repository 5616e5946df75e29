using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>Collects a model's configuration: what the tensors show, what the user told, what is assumed, and the reason for each.</summary>
/// <param name="path">The checkpoint, for messages.</param>
/// <param name="told">What the user told, by the keys of the model's configuration.</param>
internal sealed class ConfigurationFinder(string path, JsonObject told)
{
    private readonly JsonObject _config = [];
    private readonly Dictionary<string, ModelNote> _notes = new(StringComparer.Ordinal);

    /// <summary>What the user told about a key, null if nothing.</summary>
    public JsonNode? Told(string key) => told[key];

    /// <summary>Whether the user told that a key has no value.</summary>
    public bool ToldNull(string key) => told.ContainsKey(key) && told[key] is null;

    /// <summary>An integer found so far; null if the key has none.</summary>
    public int? Found(string key) => Integer(_config[key]);

    /// <summary>A text found so far; null if the key has none.</summary>
    public string? FoundText(string key) => _config[key] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>A list of integers found so far, none of them negative; null if the key has none.</summary>
    public int[]? FoundInts(string key)
    {
        int?[] values = [.. (_config[key] as JsonArray ?? []).Select(Integer)];
        return values.Length > 0 && values.All(v => v >= 0) ? [.. values.Select(v => v!.Value)] : null;
    }

    /// <summary>A value that follows from a tensor.</summary>
    /// <param name="key">The configuration's key.</param>
    /// <param name="value">Its value.</param>
    /// <param name="evidence">The tensor and how the value follows.</param>
    /// <exception cref="CheckpointException">The user told otherwise.</exception>
    public void Infer(string key, JsonNode value, string evidence)
    {
        if (told[key] is JsonNode said && !AreEqual(said, value))
        {
            throw new CheckpointException(
                $"{path}: told \"{key}\" = {said.ToJsonString()}, but the file says {value.ToJsonString()}: {evidence}. Leave the key out, or give another checkpoint.");
        }

        Set(NoteKind.Inferred, key, value, evidence);
    }

    /// <summary>A value that no tensor shows: the user's, or else this one.</summary>
    /// <param name="key">The configuration's key.</param>
    /// <param name="value">The value if the user told none.</param>
    /// <param name="reason">Why this value.</param>
    public void Assume(string key, JsonNode value, string reason)
    {
        if (told[key] is JsonNode said)
        {
            Set(NoteKind.Told, key, said, "told");
        }
        else
        {
            Set(NoteKind.Assumed, key, value, reason);
        }
    }

    /// <summary>A value that no tensor shows: the user's, or else what the configuration within the checkpoint names, or else an assumed one.</summary>
    /// <param name="key">The configuration's key.</param>
    /// <param name="named">What the checkpoint names; null: nothing.</param>
    /// <param name="where">Where it does.</param>
    /// <param name="assumed">The value if nobody says; null: it cannot be assumed.</param>
    /// <param name="reason">Why this value, or why none.</param>
    /// <exception cref="CheckpointException">Nobody says, and it cannot be assumed.</exception>
    public void Suggest(string key, JsonNode? named, string where, JsonNode? assumed, string reason)
    {
        if (told[key] is null && named is not null)
        {
            Set(NoteKind.Inferred, key, named, where);
        }
        else if (assumed is null)
        {
            Require(key, reason, "…");
        }
        else
        {
            Assume(key, assumed, reason);
        }
    }

    /// <summary>A value that the user told, completed.</summary>
    public void Complete(string key, JsonNode value, string how) => Set(NoteKind.Told, key, value, how);

    /// <summary>A value that no tensor shows and that cannot be assumed.</summary>
    /// <exception cref="CheckpointException">The user told none.</exception>
    public void Require(string key, string why, string example)
    {
        if (told[key] is not JsonNode said)
        {
            throw new CheckpointException($"{path}: \"{key}\" is not in the file and cannot be assumed: {why}. Tell it: --set {key}={example}");
        }

        Set(NoteKind.Told, key, said, "told");
    }

    /// <summary>An integer told by the user; null if the key was not told or is something else, which the model's own reader reports.</summary>
    public int? ToldInt(string key) => Integer(told[key]);

    /// <summary>Creates the model from everything found and everything else told; an unknown key is an error.</summary>
    public Model Create(string name)
    {
        foreach ((string key, JsonNode? value) in told)
        {
            if (!_config.ContainsKey(key) && value is not null)
            {
                Set(NoteKind.Told, key, value, "told");
            }
        }

        try
        {
            return ModelRegistry.Create(name, _config);
        }
        catch (ConfigurationException e)
        {
            throw new CheckpointException($"{path}: {e.Message}. Set it with --set KEY=VALUE or --config FILE.", e);
        }
    }

    /// <summary>One note for every key of the model's configuration, in its order.</summary>
    public IReadOnlyList<ModelNote> Notes(Model model) =>
        [.. model.Config.Select(p => _notes.TryGetValue(p.Key, out ModelNote? note)
            ? note
            : new ModelNote(NoteKind.Assumed, p.Key, p.Value?.ToJsonString() ?? "null", "published value"))];

    private static int? Integer(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int number) ? number : null;

    private void Set(NoteKind kind, string key, JsonNode value, string reason)
    {
        // As text and back, since a JsonValue made from a long does not yield an int, and one made from an int no double.
        string json = value.ToJsonString();
        _config[key] = JsonNode.Parse(json);
        _notes[key] = new ModelNote(kind, key, json, reason);
    }

    private static bool AreEqual(JsonNode a, JsonNode b) => (a, b) switch
    {
        (JsonArray x, JsonArray y) => x.Count == y.Count && x.Zip(y).All(p => p.First is not null && p.Second is not null && AreEqual(p.First, p.Second)),
        _ when a.GetValueKind() == JsonValueKind.Number && b.GetValueKind() == JsonValueKind.Number =>
            double.TryParse(a.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture, out double x)
            && double.TryParse(b.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture, out double y)
            && x == y,
        _ => JsonNode.DeepEquals(a, b),
    };
}
