using System.Text.Json.Nodes;
using KernelAD.Models;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>The smallest models there are, with seeded weights, as checkpoints.</summary>
internal static class TinyModels
{
    public static JsonObject InTraConfig => new()
    {
        ["image_h"] = 8,
        ["image_w"] = 8,
        ["K"] = 2,
        ["L"] = 3,
        ["C"] = 3,
        ["N"] = 1,
        ["h"] = 2,
        ["d_model"] = 4,
        ["grid_max"] = 4,
        ["long_skip"] = "symmetric",
        ["window"] = "centered",
        ["position"] = "global",
        ["map"] = "paper",
    };

    /// <summary>What the tensors of <see cref="InTra"/> do not show.</summary>
    public static JsonObject InTraTold => new() { ["h"] = 2, ["L"] = 3 };

    public static JsonObject VitAdConfig => new()
    {
        ["image"] = new JsonArray(20, 20),
        ["patch"] = 4,
        ["embed_dim"] = 8,
        ["heads"] = 2,
        ["teacher_depth"] = 2,
        ["teachers"] = new JsonArray(1),
        ["neck"] = new JsonArray(2),
        ["student_depth"] = 1,
        ["students"] = new JsonArray(1),
    };

    public static JsonObject VitAdTold => new()
    {
        ["heads"] = 2,
        ["teachers"] = new JsonArray(1),
        ["neck"] = new JsonArray(2),
        ["students"] = new JsonArray(1),
    };

    /// <summary>The tensors of a model as a state dictionary in a file.</summary>
    public static (TorchFile File, Dictionary<string, object?> Tensors) Checkpoint(string model, JsonObject config, int seed = 1)
    {
        Random random = new(seed);
        TorchFile file = new();
        Dictionary<string, object?> tensors = [];
        foreach (TensorSpec spec in ModelRegistry.Create(model, config).Tensors.Where(t => !t.Optional))
        {
            tensors.Add(spec.Name, file.Float(Values(random, spec.Shape.Count), [.. spec.Shape.Extents.ToArray().Select(e => (long)e)]));
        }

        file.Root = tensors;
        return (file, tensors);
    }

    public static (TorchFile File, Dictionary<string, object?> Tensors) InTra(int seed = 1) => Checkpoint("InTra", InTraConfig, seed);

    public static (TorchFile File, Dictionary<string, object?> Tensors) VitAd(int seed = 1) => Checkpoint("ViTAD", VitAdConfig, seed);

    public static float[] Values(Random random, long count) => [.. Enumerable.Range(0, (int)count).Select(_ => (random.NextSingle() * 2) - 1)];
}
