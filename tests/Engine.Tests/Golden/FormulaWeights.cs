using System.IO.Enumeration;
using System.Text.Json.Nodes;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Golden;

/// <summary>The weights of a golden case that has no checkpoint: the common formula, and what the case's "weights" say otherwise.</summary>
internal sealed class FormulaWeights
{
    private readonly string _folder;
    private readonly JsonNode? _weights;
    private readonly double _kernelGain;

    public FormulaWeights(GoldenCase golden)
    {
        _folder = golden.Folder;
        _weights = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "case.json")))!["weights"];
        _kernelGain = golden.KernelGain;
    }

    /// <summary>The values of all tensors that a model needs.</summary>
    public IReadOnlyList<TensorSource> Of(Model model)
    {
        using SafetensorsFile? stored = StoredElsewhere() is string path ? SafetensorsFile.Open(path) : null;
        return [.. model.Tensors.Where(t => !t.Optional).Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, Values(t, model, stored))))];
    }

    /// <summary>
    /// What the formula does not give: statistics of batch norms, in the folder itself or in the one that the case names ("../full/bn_stats.safetensors"), or
    /// a whole backbone ("backbone.* of golden/uniad/tiny/weights.pth").
    /// </summary>
    private string? StoredElsewhere()
    {
        if (_weights is JsonObject weights && weights["backbone"] is JsonNode backbone)
        {
            return GoldenModels.FileOf(Path.Combine(Path.GetDirectoryName(_folder)!, backbone.GetValue<string>().Split('/')[^2]));
        }

        string own = Path.Combine(_folder, "bn_stats.safetensors"), other = Path.Combine(_folder, "..", "full", "bn_stats.safetensors");
        return File.Exists(own) ? own : File.Exists(other) ? other : null;
    }

    private float[] Values(TensorSpec spec, Model model, SafetensorsFile? stored)
    {
        if (stored is not null && (Entry(spec.Name) ?? Entry("transformer." + spec.Name)) is { } entry)
        {
            float[] values = new float[entry.Shape.Count];
            stored.ReadFloat32(entry.Name, values);
            return values;
        }

        // The formula takes names of the separate files: UTRAD's backbone is one, with torchvision's names.
        string name = model is Utrad && spec.Name.StartsWith("backbone.", StringComparison.Ordinal) ? spec.Name["backbone.".Length..] : spec.Name;
        name = Settings("tied").TryGetValue(name, out string? other) ? other : name;
        string? rule = Settings("overrides")
            .FirstOrDefault(o => o.Key.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries).Any(pattern => Names(pattern, name))).Value;
        return [.. FormulaTensor.Parameter(name, spec.Shape, _kernelGain).Zip(Uniform(name, spec.Shape), (value, u) => Value(rule, value, u))];

        // A model file of the tiny case holds a transformer too, which is not meant.
        SafetensorsEntry? Entry(string key) => key.StartsWith("reconstruction.", StringComparison.Ordinal) ? null : stored.Entries.GetValueOrDefault(key);
    }

    /// <summary>Whether a pattern, or a part of a name between its dots, means a tensor.</summary>
    private static bool Names(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name) || name.Split('.').Contains(pattern);

    private static float Value(string? rule, float value, float u) => rule switch
    {
        null => value,
        "0" => 0,
        "abs(formula value)" => Math.Abs(value),
        "formula value + 1" => value + 1,
        "0.5+0.5u" => 0.5f + (0.5f * u),
        _ when rule.StartsWith("u*sqrt(3)", StringComparison.Ordinal) => (float)(u * Math.Sqrt(3)),
        _ => throw new NotSupportedException($"formula weights: unknown rule \"{rule}\""),
    };

    private static float[] Uniform(string name, Shape shape)
    {
        float[] u = new float[shape.Count];
        FormulaTensor.FillUniform(name, u);
        return u;
    }

    private Dictionary<string, string> Settings(string key) =>
        ((_weights as JsonObject)?[key] as JsonObject ?? []).ToDictionary(o => o.Key, o => o.Value!.GetValue<string>(), StringComparer.Ordinal);
}
