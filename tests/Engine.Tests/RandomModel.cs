using System.Text.Json.Nodes;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests;

/// <summary>Small models with formula weights, written to a temporary file that goes with the test.</summary>
public sealed class RandomModel : IDisposable
{
    private RandomModel(string path)
    {
        Path = path;
    }

    public string Path { get; }

    public static RandomModel InTra(
        int height = 24, int width = 32, string skip = "symmetric", string window = "centered", string position = "global", string map = "paper", int blocks = 3) =>
        Create("InTra", new JsonObject
        {
            ["image_h"] = height,
            ["image_w"] = width,
            ["K"] = 4,
            ["L"] = 3,
            ["N"] = blocks,
            ["h"] = 2,
            ["d_model"] = 20,
            ["grid_max"] = Math.Max(height, width) / 4,
            ["long_skip"] = skip,
            ["window"] = window,
            ["position"] = position,
            ["map"] = map,
        });

    public static RandomModel VitAd(int neck = 1) => Create("ViTAD", new JsonObject
    {
        ["image"] = new JsonArray(24, 24),
        ["patch"] = 4,
        ["embed_dim"] = 36,
        ["heads"] = 3,
        ["teacher_depth"] = 3,
        ["teachers"] = new JsonArray(1, 2),
        ["neck"] = neck == 1 ? new JsonArray(3) : new JsonArray(2, 3),
        ["student_depth"] = 2,
        ["students"] = new JsonArray(1, 2),
        ["gaussian_sigma"] = 1.5,
        ["image_score_avgpool"] = 5,
    });

    public static JsonObject VtAdlConfig(int gaussians = 3) => new()
    {
        ["image_size"] = 92,
        ["patch_size"] = 23,
        ["dim"] = 12,
        ["depth"] = 2,
        ["heads"] = 3,
        ["mlp_dim"] = 17,
        ["caps_per_token"] = 4,
        ["in_dim_caps"] = 3,
        ["latent_c"] = 5,
        ["latent_h"] = 1,
        ["gaussians"] = gaussians,
    };

    public static RandomModel VtAdl(JsonObject? config = null) => Create("VT-ADL", config ?? VtAdlConfig(), Positive);

    public static JsonObject UtradConfig(string activation = "gelu") => new()
    {
        ["backbone_base_width"] = 3,
        ["patch_size"] = new JsonArray(8, 4, 2),
        ["d_model"] = 24,
        ["nhead"] = 3,
        ["num_encoder_layers"] = new JsonArray(1, 2, 1),
        ["num_decoder_layers"] = new JsonArray(2, 1, 3),
        ["dim_feedforward"] = 37,
        ["activation"] = activation,
    };

    public static RandomModel Utrad(JsonObject? config = null) => Create("UTRAD", config ?? UtradConfig(), Positive);

    /// <summary>
    /// What UniAD and ADTR have in common, odd in every respect: 3×5 tokens, a backbone with kernels of 3, 5 and 7 and a first block that could have a residual
    /// and has none.
    /// </summary>
    private static JsonObject Reconstruction => new()
    {
        ["backbone"] = "narrow",
        ["blocks"] = new JsonArray(Block(3, 1, true, 1, 5, 5), Block(5, 2, true, 3, 5, 7), Block(5, 1, false, 3, 7, 7), Block(7, 2, true, 2, 7, 9)),
        ["nominal_image_size"] = 37,
        ["outblocks"] = new JsonArray(0, 2, 3),
        ["image"] = new JsonArray(24, 40),
        ["outstride"] = 8,
        ["hidden_dim"] = 36,
        ["nhead"] = 3,
        ["num_encoder_layers"] = 2,
        ["num_decoder_layers"] = 2,
        ["dim_feedforward"] = 17,
        ["image_score_avgpool"] = 5,
    };

    public static JsonObject UniAdConfig(params ReadOnlySpan<(string Key, JsonNode Value)> others)
    {
        JsonObject config = Reconstruction;
        config["neighbor_mask"] = new JsonObject { ["neighbor_size"] = new JsonArray(1, 3), ["mask"] = new JsonArray(true, false, true) };
        foreach ((string key, JsonNode value) in others)
        {
            config[key] = value;
        }

        return config;
    }

    public static RandomModel UniAd(params ReadOnlySpan<(string Key, JsonNode Value)> others) => Create("UniAD", UniAdConfig(others), Positive);

    public static RandomModel Adtr(string positions = "learned")
    {
        JsonObject config = Reconstruction;
        config["pos_embed_type"] = positions;
        return Create("ADTR", config, Positive);
    }

    private static JsonObject Block(int kernel, int stride, bool first, int expand, int cin, int cout) => new()
    {
        ["kernel"] = kernel,
        ["stride"] = stride,
        ["first_of_stage"] = first,
        ["expand"] = expand,
        ["cin"] = cin,
        ["cout"] = cout,
    };

    public static RandomModel Create(string name, JsonObject config, Func<TensorSpec, float[]>? values = null)
    {
        string path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"kernelad-{Guid.NewGuid():N}.safetensors");
        Model model = ModelRegistry.Create(name, config);
        values ??= t => FormulaTensor.Parameter(t.Name, t.Shape);
        ModelFile.Write(path, model, [.. model.Tensors.Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, values(t))))], new ModelFileDetails());
        return new RandomModel(path);
    }

    /// <summary>Variances and what UTRAD divides by are kept away from zero.</summary>
    private static float[] Positive(TensorSpec spec)
    {
        float offset = spec.Name.EndsWith(".running_var", StringComparison.Ordinal) || spec.Name == "final_layer2.10.bias" ? 1 : 0;
        float[] values = FormulaTensor.Parameter(spec.Name, spec.Shape);
        return [.. values.Select(v => offset + (spec.Name == "final_layer2.12.weight" ? Math.Abs(v) : v))];
    }

    /// <summary>A normalised input of so many pictures, in [0, 1).</summary>
    public static Tensor Input(AnomalyDetector detector, int count, int seed = 1)
    {
        Tensor input = new(new Shape(count, 3, detector.MapHeight, detector.MapWidth));
        Random random = new(seed);
        for (int i = 0; i < input.Data.Length; i++)
        {
            input.Data[i] = random.NextSingle();
        }

        return input;
    }

    public void Dispose() => File.Delete(Path);
}
