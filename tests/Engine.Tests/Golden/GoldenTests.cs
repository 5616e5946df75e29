using System.Text.Json.Nodes;
using KernelAD.Golden;
using KernelAD.Models;

namespace KernelAD.Engine.Tests.Golden;

/// <summary>
/// Every golden case of every model that this build knows, from tests/Fixtures/golden and, if the environment variable KERNELAD_GOLDEN names a
/// folder of the same layout, from there too: all taps with taps, and the outputs of the fully fused plan.
/// </summary>
[Category("Golden")]
public sealed class GoldenTests
{
    /// <summary>
    /// Ends of the names of golden values that no inference computes: InTra's and ADTR's training losses, attention weights (the fused attention never has them
    /// all), a score that UniAD's evaluation only prints, and its masks as matrices.
    /// </summary>
    private static readonly string[] NotInference = ["mean_patch_loss", "loss_mask", "loss_phi", "attn_weights_head_mean", "image_score_std", "blocked"];

    public static IEnumerable<TestCaseData> Cases()
    {
        string?[] roots = [Path.Combine(Fixture.Folder, "golden"), Environment.GetEnvironmentVariable("KERNELAD_GOLDEN")];
        foreach (string root in roots.OfType<string>().Where(r => r.Length > 0))
        {
            foreach (string model in ModelRegistry.Names)
            {
                string folder = Path.Combine(root, Folder(model));
                foreach (string caseFolder in (Directory.Exists(folder) ? Directory.GetDirectories(folder) : []).Order(StringComparer.Ordinal))
                {
                    string name = Path.GetFileName(caseFolder);
                    // Preprocessing cases have tests of their own; training cases wait for a trainer.
                    if (!File.Exists(Path.Combine(caseFolder, "tolerances.json")))
                    {
                        continue;
                    }

                    IReadOnlyList<string> variants = GoldenCase.Open(caseFolder).Variants;
                    foreach (string variant in variants.Count > 0 ? variants : [""])
                    {
                        TestCaseData data = new TestCaseData(Path.Combine(caseFolder, variant)).SetArgDisplayNames($"{model}/{Path.Combine(name, variant)}");
                        yield return name.StartsWith("tiny", StringComparison.Ordinal) ? data.SetCategory("SimdTier") : data;
                    }
                }
            }
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void All_taps_and_outputs_are_within_tolerance(string folder)
    {
        GoldenCase golden = GoldenCase.Open(folder);
        using AnomalyDetector detector = AnomalyDetector.Load(GoldenModels.FileOf(folder));
        Check(golden.Compare(detector, taps: true));
    }

    [TestCaseSource(nameof(Cases))]
    public void The_fused_plan_gives_the_same_outputs(string folder)
    {
        GoldenCase golden = GoldenCase.Open(folder);
        using AnomalyDetector detector = AnomalyDetector.Load(GoldenModels.FileOf(folder));
        IReadOnlyList<TapComparison> outputs = golden.Compare(detector, taps: false);
        Assert.That(outputs.Where(o => o.Note is null), Is.Not.Empty);
        Check(outputs);
    }

    [Test]
    public void Every_model_has_cases() =>
        Assert.That(
            ModelRegistry.Names.Where(m => !Cases().Any(c => ((string)c.Arguments[0]!).Contains(Folder(m), StringComparison.Ordinal))), Is.Empty);

    [TestCase(1e-12, 1e-3, true, true)]
    [TestCase(1e-3, 1e-12, true, true)]
    [TestCase(1e-12, 1e-12, true, false)]
    [TestCase(1e-12, 1e-3, false, true)]
    [TestCase(1e-3, 1e-12, false, false)]
    public void Reduced_precision_has_the_wider_of_its_bound_and_that_of_fp32(double fastBound, double fp32Bound, bool fast, bool passes)
    {
        string folder = Path.Combine(Fixture.Folder, "golden", "vitad", "tiny");
        string copy = Directory.CreateTempSubdirectory("kernelad-bounds-").FullName;
        try
        {
            File.Copy(Path.Combine(folder, "case.json"), Path.Combine(copy, "case.json"));
            File.Copy(Path.Combine(folder, "io.safetensors"), Path.Combine(copy, "io.safetensors"));
            JsonObject tap = new() { ["stored"] = "dense", ["fp32"] = new JsonObject { ["atol"] = fp32Bound }, ["fast"] = new JsonObject { ["atol"] = fastBound } };
            JsonObject tolerances = new() { ["taps"] = new JsonObject { ["anomaly_map"] = tap } };
            File.WriteAllText(Path.Combine(copy, "tolerances.json"), tolerances.ToJsonString());
            using AnomalyDetector detector = AnomalyDetector.Load(GoldenModels.FileOf(folder));
            Assert.That(GoldenCase.Open(copy).Compare(detector, taps: false, fast: fast).Single().Passed, Is.EqualTo(passes));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    internal static void Check(IReadOnlyList<TapComparison> comparisons)
    {
        foreach (TapComparison c in comparisons)
        {
            TestContext.Out.WriteLine(c.Note is null
                ? FormattableString.Invariant($"{c.Tap,-36} worst {c.WorstError:E2}  {c.Share,7:P1} of the tolerance")
                : $"{c.Tap,-36} {c.Note}");
        }

        Assert.That(comparisons.Where(c => !c.Passed && !(c.NotComputed && IsNotInference(c.Tap))), Is.Empty);
    }

    /// <summary>
    /// Beside the above: blocks of a backbone after the last one that is looked at, and the resampled position tables of the converter, which has tests for
    /// them.
    /// </summary>
    private static bool IsNotInference(string tap) =>
        NotInference.Any(n => tap.EndsWith(n, StringComparison.Ordinal))
        || tap.StartsWith("block", StringComparison.Ordinal)
        || tap.StartsWith("pos", StringComparison.Ordinal);

    /// <summary>Where a model's cases lie: "VT-ADL" in "vtadl".</summary>
    private static string Folder(string model) => model.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
}
