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

    public static JsonObject VtAdlConfig => new()
    {
        ["image_size"] = 92,
        ["patch_size"] = 23,
        ["dim"] = 4,
        ["depth"] = 1,
        ["heads"] = 2,
        ["mlp_dim"] = 3,
        ["caps_per_token"] = 2,
        ["in_dim_caps"] = 2,
        ["latent_c"] = 2,
        ["latent_h"] = 1,
        ["latent_w"] = 1,
        ["gaussians"] = 3,
    };

    /// <summary>What the tensors of <see cref="VtAdl"/> do not show.</summary>
    public static JsonObject VtAdlTold => new() { ["heads"] = 2 };

    public static JsonObject UtradConfig => new()
    {
        ["backbone_base_width"] = 2,
        ["patch_size"] = new JsonArray(16, 4),
        ["d_model"] = 8,
        ["nhead"] = 2,
        ["num_encoder_layers"] = new JsonArray(1, 2),
        ["num_decoder_layers"] = new JsonArray(2, 1),
        ["dim_feedforward"] = 3,
    };

    /// <summary>What the tensors of <see cref="Utrad"/> do not show.</summary>
    public static JsonObject UtradTold => new() { ["nhead"] = 2 };

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

    /// <summary>VT-ADL's two files.</summary>
    public static (TinyFile Autoencoder, TinyFile Mixture) VtAdl(int seed = 1)
    {
        string[] mixture = ["pi.weight", "mu.weight", "sigma_sq.weight"];
        return (Part("VT-ADL", VtAdlConfig, seed, k => mixture.Contains(k) ? null : k), Part("VT-ADL", VtAdlConfig, seed, k => mixture.Contains(k) ? k : null));
    }

    /// <summary>UTRAD's checkpoint, whose root is the training state, and its backbone.</summary>
    public static (TinyFile Checkpoint, TinyFile Backbone) Utrad(int seed = 1)
    {
        const string Prefix = "backbone.";
        TinyFile checkpoint = Part("UTRAD", UtradConfig, seed, k => k.StartsWith(Prefix, StringComparison.Ordinal) ? null : k);
        checkpoint.File.Root = new Dictionary<string, object?>
        {
            ["start_epoch"] = 3L,
            ["transformer"] = checkpoint.Tensors,
            ["args"] = new Dictionary<string, object?> { ["activation"] = "relu", ["seed"] = 233L },
            ["best_loss"] = checkpoint.File.Float([0.5f]),
        };
        return (checkpoint, Part("UTRAD", UtradConfig, seed, k => k.StartsWith(Prefix, StringComparison.Ordinal) ? k[Prefix.Length..] : null));
    }

    /// <summary>Some of a model's tensors in a file of their own, under the names that the function gives; null leaves one out.</summary>
    private static TinyFile Part(string model, JsonObject config, int seed, Func<string, string?> name)
    {
        (TorchFile file, Dictionary<string, object?> all) = Checkpoint(model, config, seed);
        Dictionary<string, object?> tensors = all.Where(t => name(t.Key) is not null).ToDictionary(t => name(t.Key)!, t => t.Value);
        file.Root = tensors;
        return new TinyFile(file, tensors);
    }

    public static float[] Values(Random random, long count) => [.. Enumerable.Range(0, (int)count).Select(_ => (random.NextSingle() * 2) - 1)];
}

/// <summary>A file and the state dictionary in it.</summary>
internal sealed record TinyFile(TorchFile File, Dictionary<string, object?> Tensors);
