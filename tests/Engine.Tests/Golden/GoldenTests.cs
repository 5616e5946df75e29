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
    /// <summary>The one golden value that is no part of inference: the training loss that the unofficial script prints.</summary>
    private static readonly string[] NotInference = ["mean_patch_loss"];

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
                    if (File.Exists(Path.Combine(caseFolder, "tolerances.json")))
                    {
                        TestCaseData data = new TestCaseData(caseFolder).SetArgDisplayNames($"{model}/{name}");
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

    internal static void Check(IReadOnlyList<TapComparison> comparisons)
    {
        foreach (TapComparison c in comparisons)
        {
            TestContext.Out.WriteLine(c.Note is null
                ? FormattableString.Invariant($"{c.Tap,-36} worst {c.WorstError:E2}  {c.Share,7:P1} of the tolerance")
                : $"{c.Tap,-36} {c.Note}");
        }

        Assert.That(comparisons.Where(c => !c.Passed && !NotInference.Contains(c.Tap) && !IsConverterTap(c.Tap)), Is.Empty);
    }

    /// <summary>Where a model's cases lie: "VT-ADL" in "vtadl".</summary>
    private static string Folder(string model) => model.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>The resampled position tables belong to the converter and the preprocessing, which test them.</summary>
    private static bool IsConverterTap(string tap) => tap.StartsWith("pos", StringComparison.Ordinal);
}
