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

    public FormulaWeights(string folder, GoldenCase golden)
    {
        _folder = folder;
        _weights = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "case.json")))!["weights"];
        _kernelGain = golden.KernelGain;
    }

    /// <summary>The values of all tensors that a model needs.</summary>
    public IReadOnlyList<TensorSource> Of(Model model)
    {
        string statistics = Path.Combine(_folder, "bn_stats.safetensors");
        using SafetensorsFile? stored = File.Exists(statistics) ? SafetensorsFile.Open(statistics) : null;
        return [.. model.Tensors.Where(t => !t.Optional).Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, Values(t, model, stored))))];
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
        string? rule = Settings("overrides").FirstOrDefault(o => FileSystemName.MatchesSimpleExpression(o.Key.Split(' ')[0], name)).Value;
        return [.. FormulaTensor.Parameter(name, spec.Shape, _kernelGain).Zip(Uniform(name, spec.Shape), (value, u) => Value(rule, value, u))];

        SafetensorsEntry? Entry(string key) => stored.Entries.GetValueOrDefault(key);
    }

    private static float Value(string? rule, float value, float u) => rule switch
    {
        null => value,
        "0" => 0,
        "abs(formula value)" => Math.Abs(value),
        "formula value + 1" => value + 1,
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
