using System.Text.Json.Nodes;
using KernelAD.Engine.Tests;
using KernelAD.Engine.Tests.Golden;
using KernelAD.Golden;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Oracles.Tests;

/// <summary>An exported model means in ONNX Runtime what it means in the engine and in the official PyTorch code.</summary>
public sealed class OnnxExportTests
{
    private static readonly JsonObject SmallVitAd = new()
    {
        ["image"] = new JsonArray(18, 18),
        ["patch"] = 6,
        ["embed_dim"] = 28,
        ["heads"] = 2,
        ["mlp_ratio"] = 3,
        ["teacher_depth"] = 2,
        ["teachers"] = new JsonArray(2),
        ["neck"] = new JsonArray(1, 2),
        ["student_depth"] = 1,
        ["students"] = new JsonArray(1),
        ["image_score_avgpool"] = 7,
    };

    public static IEnumerable<TestCaseData> Models()
    {
        yield return Case("InTra", () => RandomModel.InTra());
        yield return Case("InTra without a mean map", WithoutMeanMap);
        yield return Case("InTra as jhy12 has it", () => RandomModel.InTra(skip: "jhy12", window: "jhy12", map: "jhy12"));
        yield return Case("InTra with local positions", () => RandomModel.InTra(position: "local"));
        yield return Case("InTra of even depth on an upright picture", () => RandomModel.InTra(height: 28, width: 12, skip: "jhy12", blocks: 4));
        yield return Case("ViTAD", () => RandomModel.VitAd());
        yield return Case("ViTAD with two necks", () => RandomModel.VitAd(neck: 2));
        // The published Gaussian of radius 16 reaches from one edge of 18 pixels almost to the other; sigma 12 goes round more than twice.
        yield return Case("ViTAD of odd grid", () => RandomModel.Create("ViTAD", (JsonObject)SmallVitAd.DeepClone()));
        JsonObject wide = (JsonObject)SmallVitAd.DeepClone();
        wide["gaussian_sigma"] = 12;
        yield return Case("ViTAD with a filter larger than the picture", () => RandomModel.Create("ViTAD", wide));
        yield return Case("UniAD", () => RandomModel.UniAd());
        yield return Case("UniAD with its other options", () => RandomModel.UniAd(
            ("pos_embed_type", "sine"), ("normalize_before", true), ("activation", "gelu"), ("padding", "dynamic"), ("image_score", "mean"), ("neighbor_mask", false)));
        yield return Case("ADTR", () => RandomModel.Adtr());

        static TestCaseData Case(string name, Func<RandomModel> create) => new TestCaseData(create).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Models))]
    public void ONNX_Runtime_agrees_with_the_engine(Func<RandomModel> create)
    {
        using RandomModel model = create();
        using AnomalyDetector detector = AnomalyDetector.Load(model.Path);
        Tensor input = RandomModel.Input(detector, count: 2);
        IReadOnlyDictionary<string, Tensor> ours = detector.Run(input);
        foreach (int batch in new[] { 1, 2 })
        {
            using OnnxRun onnx = new(model.Path, batch);
            (float[] maps, float[] scores) = onnx.Run(input);
            AssertClose(maps, ours["anomaly_map"].Data, atol: 3e-7, rtol: 3e-6);
            AssertClose(scores, ours["image_score"].Data, atol: 3e-7, rtol: 3e-6);
        }
    }

    [TestCase("vitad", "tiny", 1)]
    [TestCase("vitad", "tiny", 2)]
    [TestCase("intra", "tiny", 1)]
    [TestCase("intra", "tiny_jhy12", 1)]
    [TestCase("uniad", "tiny", 1)]
    [TestCase("uniad", "tiny", 2)]
    [TestCase("adtr", "tiny", 1)]
    public void ONNX_Runtime_gives_the_golden_results(string model, string name, int batch)
    {
        string folder = Fixture.Golden(model, name);
        JsonNode tolerances = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "tolerances.json")))!["taps"]!;
        using SafetensorsFile io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        using OnnxRun onnx = new(GoldenModels.FileOf(folder), batch);
        (float[] maps, float[] scores) = onnx.Run(GoldenCase.Open(folder).Input());
        // The unofficial script that tiny_jhy12 comes from calls its map by another name and computes no score.
        Compare(io.Entries.ContainsKey("anomaly_map") ? "anomaly_map" : "msgms_map", maps);
        if (io.Entries.ContainsKey("image_score"))
        {
            Compare("image_score", scores);
        }

        void Compare(string tap, float[] values)
        {
            float[] golden = new float[io.Entries[tap].Shape.Count];
            io.ReadFloat32(tap, golden);
            JsonNode fp32 = tolerances[tap]!["fp32"]!;
            AssertClose(values, golden, (double?)fp32["atol"] ?? 0, (double?)fp32["rtol"] ?? 0);
        }
    }

    [Test]
    public void The_file_says_what_it_is()
    {
        using RandomModel model = RandomModel.InTra();
        using OnnxRun onnx = new(model.Path, batch: 1);
        using ModelFile file = ModelFile.Open(model.Path);
        Assert.That(onnx.Session.ModelMetadata.ProducerName, Is.EqualTo("KernelAD"));
        Assert.That(onnx.Session.ModelMetadata.GraphName, Is.EqualTo("InTra"));
        Assert.That(onnx.Session.ModelMetadata.CustomMetadataMap["model"], Is.EqualTo("InTra"));
        Assert.That(onnx.Session.ModelMetadata.CustomMetadataMap["config"], Is.EqualTo(file.Model.Config.ToJsonString()));
    }

    private static RandomModel WithoutMeanMap()
    {
        RandomModel full = RandomModel.InTra();
        using ModelFile file = ModelFile.Open(full.Path);
        IEnumerable<TensorSource> tensors = file.Model.Tensors.Where(t => !t.Optional)
            .Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape))));
        ModelFile.Write(full.Path, file.Model, [.. tensors], new ModelFileDetails());
        return full;
    }

    private static void AssertClose(float[] actual, float[] expected, double atol, double rtol)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double worst = actual.Zip(expected, (a, e) => Math.Abs((double)a - e) / (atol + (rtol * Math.Abs(e)))).Max();
        TestContext.Out.WriteLine($"worst error {worst:P1} of the tolerance");
        Assert.That(worst, Is.LessThanOrEqualTo(1));
    }
}
