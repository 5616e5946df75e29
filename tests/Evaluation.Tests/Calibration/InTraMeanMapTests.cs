using System.Text.Json.Nodes;
using KernelAD.Evaluation.Calibration;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;
using KernelAD.WeightsConverter;

namespace KernelAD.Evaluation.Tests.Calibration;

public sealed class InTraMeanMapTests
{
    private static readonly JsonObject Config = (JsonObject)JsonNode.Parse(
        """{"image_h": 24, "image_w": 32, "K": 4, "L": 3, "N": 2, "h": 2, "d_model": 16, "grid_max": 8}""")!;

    [Test]
    public void The_mean_of_diffs_is_the_map_and_scores_follow_from_it()
    {
        using Workspace files = new();
        string bare = WriteModel(files["bare.safetensors"], null), fitted = files["fitted.safetensors"];
        Tensor[] inputs = [.. Enumerable.Range(0, 5).Select(Input)];
        float[][] diffs;
        Tensor mean;
        CalibrationScore[] scores;
        using (AnomalyDetector detector = AnomalyDetector.Load(bare))
        using (InTraMeanMap fit = new(detector))
        {
            diffs = [.. inputs.Select(i => detector.Run(i, ["diff"])["diff"].Data)];
            for (int i = 0; i < inputs.Length; i++)
            {
                fit.Add($"{i}", inputs[i]);
            }

            mean = fit.Mean();
            scores = [.. fit.Scores()];
        }

        Assert.That(mean.Shape, Is.EqualTo(new Shape(1, 1, 24, 32)));
        Assert.That(mean.Data, Is.EqualTo(Enumerable.Range(0, 24 * 32).Select(i => diffs.Average(d => (double)d[i]))).Within(1e-7));

        // Each picture against a model that was fitted without it.
        for (int left = 0; left < inputs.Length; left++)
        {
            Tensor without = new(mean.Shape, [.. Enumerable.Range(0, 24 * 32).Select(i => (float)diffs.Where((_, d) => d != left).Average(d => (double)d[i]))]);
            WriteModel(fitted, without);
            using AnomalyDetector detector = AnomalyDetector.Load(fitted);
            float score = detector.Run(inputs[left])["image_score"].Data[0];
            Assert.That((scores[left].Score, scores[left].MapMaximum, scores[left].Path), Is.EqualTo((scores[left].Score, scores[left].Score, $"{left}")));
            Assert.That(scores[left].Score, Is.EqualTo(score).Within(1e-4 * score));
        }
    }

    [Test]
    public void The_golden_pictures_give_the_golden_mean_map()
    {
        using Workspace files = new();
        string model = files["tiny.safetensors"];
        string folder = Fixture.Golden("intra", "tiny");
        JsonObject told = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "case.json")))!["config"]!.AsObject();
        CheckpointConverter.Convert([Path.Combine(folder, "weights.pth")], model, new ConversionOptions { Told = told });
        using SafetensorsFile golden = SafetensorsFile.Open(Path.Combine(Fixture.Golden("intra", "tiny"), "io.safetensors"));
        float[] images = new float[4 * 3 * 64 * 64], expected = new float[64 * 64];
        golden.ReadFloat32("train_images", images);
        golden.ReadFloat32("mean_train_diff", expected);
        using AnomalyDetector detector = AnomalyDetector.Load(model);
        using InTraMeanMap fit = new(detector);
        for (int i = 0; i < 4; i++)
        {
            fit.Add($"{i}", new Tensor(new Shape(1, 3, 64, 64), images[(i * 3 * 64 * 64)..((i + 1) * 3 * 64 * 64)]));
        }

        Assert.That(fit.Mean().Data, Is.EqualTo(expected).Within(1e-5), "the golden data's own tolerance");
    }

    [Test]
    public void One_picture_has_no_mean()
    {
        using Workspace files = new();
        using AnomalyDetector detector = AnomalyDetector.Load(WriteModel(files["m.safetensors"], null));
        using InTraMeanMap fit = new(detector);
        fit.Add("a", Input(1));
        Assert.That(() => fit.Mean(), Throws.TypeOf<CalibrationException>().With.Message.Contains("at least 2"));
    }

    private static Tensor Input(int seed)
    {
        Random random = new(seed);
        return new Tensor(new Shape(1, 3, 24, 32), [.. Enumerable.Range(0, 3 * 24 * 32).Select(_ => random.NextSingle())]);
    }

    private static string WriteModel(string path, Tensor? meanMap)
    {
        Model model = ModelRegistry.Create("InTra", Config);
        IEnumerable<TensorSource> tensors = model.Tensors.Where(t => t.Name != InTra.MeanMapKey)
            .Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape))));
        ModelFile.Write(path, model, [.. tensors, .. meanMap is null ? [] : new[] { TensorSource.Of(InTra.MeanMapKey, meanMap) }], new ModelFileDetails());
        return path;
    }
}
