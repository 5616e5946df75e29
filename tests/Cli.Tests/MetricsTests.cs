using System.Text.Json.Nodes;

namespace KernelAD.Cli.Tests;

public sealed class MetricsTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void A_golden_case_is_reproduced_with_its_names()
    {
        JsonObject result = Kernelad.Run("metrics", Case("basic"), "--json").Json.Single();
        JsonObject expected = JsonNode.Parse(File.ReadAllText(Fixture.File("metrics/basic/case.json")))!["expected"]!["kernelad_default"]!.AsObject();
        foreach ((string name, JsonNode? value) in expected.Where(e => !e.Key.StartsWith("WRONG_", StringComparison.Ordinal)))
        {
            Assert.That(result[name]!.GetValue<double>(), Is.EqualTo(value!.GetValue<double>()).Within(1e-6), name);
        }
    }

    [Test]
    public void What_is_undefined_is_null_with_a_reason_and_no_error()
    {
        CommandResult run = Kernelad.Run("metrics", Case("no_anomaly"), "--json");
        Assert.That(run.Code, Is.Zero, run.Error);
        JsonObject result = run.Json.Single();
        Assert.That(result.ContainsKey("pixel_auroc"), Is.True);
        Assert.That(result["pixel_auroc"], Is.Null);
        Assert.That(result["undefined"]!["pixel_auroc"]!.GetValue<string>(), Is.EqualTo("no anomalous pixel"));
        Assert.That(Kernelad.Run("metrics", Case("no_anomaly")).Output, Does.Match(@"aupro_0\.3 +n/a no anomalous region"));
    }

    [Test]
    public void The_mask_threshold_decides_what_is_anomalous()
    {
        JsonObject result = Kernelad.Run("metrics", Case("basic"), "--mask-threshold", "1", "--json").Json.Single();
        Assert.That(result["regions_8"]!.GetValue<double>(), Is.Zero);
        Assert.That(result["mask_threshold"]!.GetValue<int>(), Is.EqualTo(1));
    }

    [Test]
    public void Wrong_options_and_files_are_named()
    {
        Kernelad.Fails(2, ["metrics", Case("basic"), "--mask-threshold", "256"], "--mask-threshold", "256");
        Kernelad.Fails(2, ["metrics", Case("basic"), "--metrics", "anomalib"], "anomalib");
        Kernelad.Fails(3, ["metrics", _files["missing.safetensors"]], "missing.safetensors");
        Kernelad.Fails(3, ["metrics", Kernelad.SampleModel], "intra-fabric.safetensors", "maps");
    }

    private static string Case(string name) => Fixture.File($"metrics/{name}/io.safetensors");
}
