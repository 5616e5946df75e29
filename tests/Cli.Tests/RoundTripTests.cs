using System.Text.Json.Nodes;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Cli.Tests;

public sealed class RoundTripTests : IDisposable
{
    private static readonly TestCaseData[] Models =
    [
        new TestCaseData("InTra", "intra", "tiny_jhy12", (Func<string>)(() => GoldenModel.InTra)).SetArgDisplayNames("InTra"),
        new TestCaseData("ViTAD", "vitad", "tiny", (Func<string>)(() => GoldenModel.VitAd)).SetArgDisplayNames("ViTAD"),
        new TestCaseData("VT-ADL", "vtadl", "tiny", (Func<string>)(() => GoldenModel.VtAdl)).SetArgDisplayNames("VT-ADL"),
        new TestCaseData("UTRAD", "utrad", "tiny", (Func<string>)(() => GoldenModel.Utrad)).SetArgDisplayNames("UTRAD"),
        new TestCaseData("UniAD", "uniad", "tiny", (Func<string>)(() => GoldenModel.UniAd)).SetArgDisplayNames("UniAD"),
        new TestCaseData("ADTR", "adtr", "tiny", (Func<string>)(() => GoldenModel.Adtr)).SetArgDisplayNames("ADTR"),
    ];

    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [TestCaseSource(nameof(Models))]
    public void A_converted_model_shows_its_configuration_and_where_it_came_from(string name, string family, string golden, Func<string> model)
    {
        JsonObject info = Kernelad.Run("info", model(), "--json").Json.Single();
        JsonObject config = JsonNode.Parse(File.ReadAllText(Kernelad.Golden(family, golden, "case.json")))!["config"]!.AsObject();
        Assert.That((string)info["model"]!, Is.EqualTo(name));
        string[] keys = [.. config.Select(c => c.Key).Where(k => info["config"]!.AsObject().ContainsKey(k))];
        Assert.That(keys, Is.Not.Empty);
        Assert.That(keys.Where(k => !SameValue(info["config"]![k], config[k])), Is.Empty);
        Assert.That((string)info["source"]![0]!["file"]!, Is.EqualTo("weights.pth"));
        Assert.That((long)info["memory"]!["activation_bytes"]!, Is.Positive);
        Assert.That((double)info["gflop_per_image"]!, Is.Positive);
        Assert.That((long)info["parameters"]!, Is.EqualTo(info["tensors"]!.AsArray().Sum(t => t!["shape"]!.AsArray().Aggregate(1L, (n, e) => n * (int)e!))));

        // A model lists its backbone's blocks only as deep as it needs them, and more about each than a case does.
        static bool SameValue(JsonNode? a, JsonNode? b) => (a, b) switch
        {
            (JsonArray x, JsonArray y) => (x.Count == y.Count || (x.Count < y.Count && y[0] is JsonObject)) && x.Zip(y).All(p => SameValue(p.First, p.Second)),
            (JsonObject x, JsonObject y) => y.All(p => SameValue(x[p.Key], p.Value)),
            (JsonValue x, JsonValue y) when x.TryGetValue(out double m) && y.TryGetValue(out double n) => m == n,
            _ => JsonNode.DeepEquals(a, b),
        };
    }

    [TestCaseSource(nameof(Models))]
    public void A_converted_model_reproduces_its_golden_case(string name, string family, string golden, Func<string> model)
    {
        CommandResult text = Kernelad.Run("verify", model(), "--golden", Kernelad.Golden(family, golden));
        Assert.That(text.Code, Is.Zero, text.Output);
        Assert.That(text.Output, Does.StartWith(name).And.Contain("PASS:"));
        JsonObject json = Kernelad.Run("verify", model(), "--golden", Kernelad.Golden(family, golden), "--json", "--batch", "2").Json.Single();
        Assert.That((bool)json["passed"]!, Is.True);
        Assert.That(json["values"]!.AsArray().Count(v => (string)v!["name"]! == "image_score" && (double?)v["worst_error"] < 1e-4), Is.EqualTo(2), "with taps and fused");
    }

    [Test]
    public void A_model_that_does_not_reproduce_a_case_is_exit_code_3()
    {
        // Without the mean map of the normal pictures the paper's variant gives other maps: a warning on conversion, a failure here.
        string model = _files["m.safetensors"];
        CommandResult convert = Kernelad.Run(
            "convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", model, "--config", Kernelad.Golden("intra", "tiny", "case.json"), "--json");
        Assert.That(convert.Error, Does.Contain("mean_map"));
        CommandResult verify = Kernelad.Run("verify", model, "--golden", Kernelad.Golden("intra", "tiny"));
        Assert.That(verify.Code, Is.EqualTo(3));
        Assert.That(verify.Output, Does.Contain("FAIL:"));
        Assert.That((string)Kernelad.Run("info", model, "--json").Json.Single()["warnings"]![0]!, Does.Contain("mean_map"));
    }

    [TestCaseSource(nameof(Models))]
    public void Preprocess_and_run_give_what_detect_gives(string name, string family, string golden, Func<string> model)
    {
        string picture = _files.Picture("p.png", "defect/0011_006_02.png");
        JsonObject detected = Kernelad.Run("detect", model(), picture, "--json").Json.Single();
        Assert.That(Kernelad.Run("preprocess", model(), picture, "-o", _files["x.safetensors"]).Code, Is.Zero);
        CommandResult run = Kernelad.Run("run", model(), "--input", _files["x.safetensors"], "-o", _files["y.safetensors"], "--taps", "all", "--json");
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That((string)detected["model"]!, Is.EqualTo(name));
        Assert.That((float)run.Json.Single()["image_score"]![0]!, Is.EqualTo((float)detected["score"]!).Within(1e-6f).Percent.Or.EqualTo((float)detected["score"]!));

        using SafetensorsFile results = SafetensorsFile.Open(_files["y.safetensors"]);
        Assert.That(results.Entries["image_score"].Shape, Is.EqualTo(new Shape(1)));
        Assert.That(results.Entries["anomaly_map"].Shape.Rank, Is.EqualTo(4));
        Assert.That(results.Entries, Has.Count.GreaterThan(10), $"the taps of {family}/{golden}");
    }

    [Test]
    public void Bench_and_profile_print_figures_that_fit_together()
    {
        JsonObject[] bench = Kernelad.Run("bench", GoldenModel.InTra, "--json", "--duration", "0.05", "--batch", "1,3", "--threads", "1,2").Json;
        Assert.That(bench.Select(b => ((int)b["threads"]!, (int)b["batch"]!)), Is.EqualTo(((int, int)[])[(1, 1), (1, 3), (2, 1), (2, 3)]));
        foreach (JsonObject b in bench)
        {
            double[] latency = [.. ((string[])["min", "median", "p90", "p95", "p99", "max"]).Select(k => (double)b["latency_ms"]![k]!)];
            Assert.That(latency, Is.Ordered.And.All.Positive);
            Assert.That((double)b["share_of_fma_peak"]!, Is.GreaterThan(0).And.LessThan(1));
            Assert.That((long)b["peak_memory_bytes"]!, Is.Positive);
        }

        JsonObject[] profile = Kernelad.Run("profile", GoldenModel.InTra, "--json", "--runs", "2").Json;
        Assert.That(profile, Has.Length.EqualTo(1 + (int)profile[0]["steps"]!));
        Assert.That(profile.Skip(1).Sum(s => (long)s["flops"]!), Is.EqualTo((long)profile[0]["flops"]!));
        Assert.That(profile.Skip(1).Sum(s => (double)s["share"]!), Is.EqualTo(1).Within(1e-9));
        Assert.That((long)profile[0]["flops"]! / 1e9, Is.EqualTo((double)bench[0]["gflop_per_query"]!).Within(1e-9));
    }

    [Test]
    public void Export_writes_a_file_that_starts_like_onnx()
    {
        CommandResult result = Kernelad.Run("export", GoldenModel.VitAd, _files["m.onnx"]);
        Assert.That(result.Code, Is.Zero, result.Error);
        byte[] file = File.ReadAllBytes(_files["m.onnx"]);
        Assert.That(file[0], Is.EqualTo(0x08), "field 1 of ModelProto, the version of the format");
        Assert.That(file.Length, Is.GreaterThan(400_000), "the weights are in it");
    }

    [Test]
    public void Doctor_says_what_runs()
    {
        CommandResult result = Kernelad.Run("doctor", "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        JsonObject facts = result.Json.Single();
        Assert.That((string)facts["vectors"]!, Does.StartWith("Vector"));
        Assert.That((string)facts["pictures"]!, Is.EqualTo("the picture library works"));
        Assert.That((string)facts["device_cuda"]!, Does.Contain("available"));
        Assert.That((string)facts["device_emulated"]!, Does.Contain("sm_80"));
        Assert.That((string)facts["kernels"]!, Does.Contain("sm_75 and sm_80"));
    }
}
