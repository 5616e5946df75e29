using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// One arithmetic instruction of a shipped kernel is altered: comparing with the reference has to tell. It shows that references, shapes and tolerances are
/// sharp enough to see a kernel that is wrong in one place.
/// </summary>
internal sealed class AlterationTests
{
    private const string Architecture = "sm_80";
    private const int Count = 10;

    private static readonly Dictionary<string, Func<DeviceBench, string?>[]> Launches = new()
    {
        ["linear_fp32_64"] = Linears("linear_fp32_64"),
        ["linear_fp16_64"] = Linears("linear_fp16_64"),
        ["layer_norm_row"] = [bench => LayerNorm(bench, 900, 0), bench => LayerNorm(bench, 1024, 4096)],
        ["attention_fp32_32"] =
        [
            KernelCases.Attention(new() { Queries = 20, Keys = 70, Heads = 1, KeyWidth = 32, ValueWidth = 32 }),
            // Logits in the hundreds: their largest matters only where the others' exponentials would overflow.
            KernelCases.Attention(new() { Queries = 64, Keys = 70, Heads = 1, KeyWidth = 32, ValueWidth = 32, Scale = 20 }),
            KernelCases.AttentionToTheLargest(StorageType.Float, 8),
        ],
    };

    private static IEnumerable<string> Kernels => Launches.Keys;

    [TestCaseSource(nameof(Kernels))]
    public void An_altered_instruction_is_seen_in_the_results(string kernel)
    {
        string[] lines = KernelText.Of(kernel, KernelText.Target(Architecture)).Split('\n');
        Assert.That(Fault(kernel, lines), Is.Null, "as shipped");

        List<string> unseen = [];
        List<(int Line, string Altered)> chosen = Alterations.Choose(lines, Count);
        foreach ((int line, string altered) in chosen)
        {
            string[] changed = [.. lines];
            changed[line] = altered;
            string? fault = Fault(kernel, changed);
            string description = $"line {line + 1}: {lines[line].Trim()} → {altered.Trim()}";
            TestContext.Out.WriteLine($"{kernel}, {description}: {fault ?? "not seen"}");
            if (fault is null)
            {
                unseen.Add(description);
            }
        }

        TestContext.Out.WriteLine($"{kernel}: {chosen.Count - unseen.Count} of {chosen.Count} seen");
        Assert.Multiple(() =>
        {
            Assert.That(chosen, Has.Count.EqualTo(Count));
            Assert.That(unseen, Is.Empty);
        });
    }

    /// <summary>Products that fill a tile, by every way through the epilogue.</summary>
    private static Func<DeviceBench, string?>[] Linears(string kernel) =>
    [
        .. Enum.GetValues<EpilogueFunction>().Select(f => KernelCases.Linear(kernel, 64, 64, 40, f, whole: true)),
        .. Enum.GetValues<EpilogueFunction>().Select(f => KernelCases.Linear(kernel, 64, 63, 40, f, whole: true, activateSum: true)),
        KernelCases.Linear(kernel, 64, 64, 40, EpilogueFunction.Relu),
    ];

    private static string? LayerNorm(DeviceBench bench, int width, float mean)
    {
        // A large mean, in multiples that float32 holds exactly: what is left of its rounding has to be taken out.
        const int Rows = 3;
        float[] x = [.. TestData.Values(Rows * width, 1, outliers: false).Select(v => mean + (MathF.Round(v * 2048) / 2048))];
        float[] residual = TestData.Values(Rows * width, 2, mean == 0 ? 1 : 0, outliers: false);
        float[] weight = TestData.Values(width, 3, outliers: false), bias = TestData.Values(width, 4, outliers: false);
        DeviceArray y = bench.Poisoned(Rows * width), sum = bench.Poisoned(Rows * width), plain = bench.Poisoned(Rows * width);
        bench.Run("layer_norm_row", new LaunchSize(1), new LayerNormArguments
        {
            X = bench.Place(x).Address,
            Residual = bench.Place(residual).Address,
            Sum = sum.Address,
            Weight = bench.Place(weight).Address,
            Bias = bench.Place(bias).Address,
            Y = y.Address,
            Plain = plain.Address,
            Rows = Rows,
            Width = width,
            Columns = width,
            XStride = width,
            ResidualStride = width,
            SumStride = width,
            YStride = width,
            PlainStride = width,
            Epsilon = 1e-3f,
        });
        float[] added = [.. x.Zip(residual, (a, b) => a + b)], result = bench.Read(y);
        double[] expected = LayerNormTests.Normalised(added, weight, bias, 1e-3);
        int wrong = Array.FindIndex(result, v => !float.IsFinite(v));
        for (int i = 0; i < result.Length && wrong < 0; i++)
        {
            wrong = Math.Abs(result[i] - expected[i]) <= 2e-6 * 8 ? -1 : i;
        }

        return wrong >= 0 ? $"element {wrong}: {result[wrong]:R}, expected {expected[wrong]:R}"
            : !bench.Read(sum).SequenceEqual(added) ? "the sum is wrong"
            : !bench.Read(plain).SequenceEqual(result) ? "the second result is wrong" : null;
    }

    private static string? Fault(string kernel, string[] lines) =>
        KernelCases.Fault(Architecture, kernel, string.Join('\n', lines), EmulatorChecks.Memory, Launches[kernel]);
}
