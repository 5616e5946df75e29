using System.Text.Json.Nodes;
using KernelAD.WeightsConverter.Archives;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// The entry "arch" of a checkpoint written by the code of zhiyuanyou/UniAD: for each of the parts backbone, neck and reconstruction a dictionary with name,
/// type and kwargs. Empty for a checkpoint without it.
/// </summary>
internal sealed class Arch
{
    /// <summary>Values are lists in a dictionary at most, and short.</summary>
    private const int MaxDepth = 2;
    private const int MaxItems = 64;

    private readonly Dictionary<string, PickleDict> _parts = new(StringComparer.Ordinal);

    /// <summary>Reads the entry.</summary>
    public Arch(CheckpointFile file)
    {
        foreach (PickleDict part in ((file.Root as PickleDict)?["arch"] as PickleList)?.Items.OfType<PickleDict>() ?? [])
        {
            if (part["name"] is string name)
            {
                _parts[name] = part;
            }
        }
    }

    /// <summary>Whether the checkpoint describes a part.</summary>
    public bool Has(string part) => _parts.ContainsKey(part);

    /// <summary>The class that a part is made from, "models.backbones.efficientnet_b4" for instance.</summary>
    public string? Type(string part) => _parts.GetValueOrDefault(part)?["type"] as string;

    /// <summary>An argument that a part is made with; null if there is none, or one that is no plain data.</summary>
    public JsonNode? this[string part, string argument] => Json((_parts.GetValueOrDefault(part)?["kwargs"] as PickleDict)?[argument], MaxDepth);

    /// <summary>The first element of such an argument that is a list.</summary>
    public JsonNode? First(string part, string argument) => this[part, argument] is JsonArray { Count: > 0 } list ? list[0]?.DeepClone() : null;

    private static JsonNode? Json(object? value, int depth) => value switch
    {
        bool flag => flag,
        long number => number,
        double number when double.IsFinite(number) => number,
        string text => text,
        PickleList { Items: { Count: <= MaxItems } items } when depth > 0 => new JsonArray([.. items.Select(i => Json(i, depth - 1))]),
        PickleTuple { Items: { Length: <= MaxItems } items } when depth > 0 => new JsonArray([.. items.Select(i => Json(i, depth - 1))]),
        PickleDict { Items: { Count: <= MaxItems } items } when depth > 0 =>
            new JsonObject(items.Where(i => i.Key is string).Select(i => new KeyValuePair<string, JsonNode?>((string)i.Key, Json(i.Value, depth - 1)))),
        _ => null,
    };
}
