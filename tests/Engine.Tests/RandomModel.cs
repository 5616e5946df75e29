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

    public static RandomModel Create(string name, JsonObject config, Func<TensorSpec, float[]>? values = null)
    {
        string path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"kernelad-{Guid.NewGuid():N}.safetensors");
        Model model = ModelRegistry.Create(name, config);
        values ??= t => FormulaTensor.Parameter(t.Name, t.Shape);
        ModelFile.Write(path, model, [.. model.Tensors.Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, values(t))))], new ModelFileDetails());
        return new RandomModel(path);
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
