using System.Globalization;
using System.Text.RegularExpressions;
using KernelAD.Emulator;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// Each barrier and each wait for copies in the products' and attention's shipped text is there for a reason: without it the emulator finds a fault, or the
/// result is wrong. It also shows that the emulator's checks would find the like in a new kernel.
/// </summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed partial class NecessityTests(string architecture)
{
    /// <summary>Launches that go round all stages and, where results are staged over operands, meet the last copies there.</summary>
    private static readonly Dictionary<string, Func<DeviceBench, string?>[]> Launches = new()
    {
        ["linear_fp32_128"] = [KernelCases.Linear("linear_fp32_128", 125, 124, 40)],
        ["linear_fp32_64"] = [KernelCases.Linear("linear_fp32_64", 63, 60, 40)],
        ["linear_fp16_128"] = [KernelCases.Linear("linear_fp16_128", 125, 124, 160)],
        ["linear_fp16_128of8"] = [KernelCases.Linear("linear_fp16_128of8", 125, 124, 160)],
        ["linear_fp16_64"] = [KernelCases.Linear("linear_fp16_64", 63, 60, 200)],
        ["attention_fp32_32"] = [Attention(StorageType.Float, 32)],
        ["attention_fp32_64"] = [Attention(StorageType.Float, 64)],
        ["attention_fp32_128"] = [Attention(StorageType.Float, 128)],
        ["attention_fp16_32"] = [Attention(StorageType.Half, 32)],
        ["attention_fp16_64"] = [Attention(StorageType.Half, 64)],
        ["attention_fp16_128"] = [Attention(StorageType.Half, 128)],
        ["attention_fp16_64_any"] = [KernelCases.Attention(new AttentionProblem
        {
            Operands = StorageType.Half,
            Queries = 130,
            Keys = 130,
            Heads = 1,
            KeyWidth = 48,
            ValueWidth = 48,
            Mask = AttentionMask.Others,
            GridWidth = 13,
            RowRadius = 1,
            ColumnRadius = 2,
        })],
    };

    private static IEnumerable<string> Kernels => Launches.Keys;

    [TestCaseSource(nameof(Kernels))]
    public void Every_barrier_and_every_wait_is_needed(string kernel)
    {
        if (!KernelText.Definition(kernel).Methods.ContainsKey(KernelText.Target(architecture)))
        {
            Assert.Pass("not a kernel of this target");
        }

        string[] lines = KernelText.Of(kernel, KernelText.Target(architecture)).Split('\n');
        Assert.That(Fault(kernel, lines), Is.Null, "as shipped");

        List<string> unfound = [];
        int changes = 0;
        foreach ((int line, string change) in Changes(lines))
        {
            string[] changed = [.. lines];
            changed[line] = change;
            string? fault = Fault(kernel, changed);
            string description = $"line {line + 1}: {lines[line].Trim()} → {(change.Length > 0 ? change : "nothing")}";
            changes++;
            TestContext.Out.WriteLine($"{kernel}, {description}: {fault ?? "not found"}");
            if (fault is null)
            {
                unfound.Add(description);
            }
        }

        TestContext.Out.WriteLine($"{kernel} for {architecture}: {changes - unfound.Count} of {changes} found");
        Assert.Multiple(() =>
        {
            Assert.That(changes, Is.Positive);
            Assert.That(unfound, Is.Empty);
        });
    }

    /// <summary>Attention of two warps and two that have no queries, where the block has as many, over three tiles of keys.</summary>
    private static Func<DeviceBench, string?> Attention(StorageType operands, int width)
    {
        int keys = width > 64 || operands == StorageType.Float ? 90 : 170;
        return KernelCases.Attention(new AttentionProblem { Operands = operands, Queries = 30, Keys = keys, Heads = 1, KeyWidth = width, ValueWidth = width });
    }

    /// <summary>Each instruction that waits left out, and each wait for copies made to wait for one group less.</summary>
    private static IEnumerable<(int Line, string Change)> Changes(string[] lines)
    {
        for (int line = 0; line < lines.Length; line++)
        {
            if (Waiting().IsMatch(lines[line]))
            {
                yield return (line, "");
            }

            Match wait = Groups().Match(lines[line]);
            if (wait.Success)
            {
                int left = int.Parse(wait.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
                yield return (line, $"cp.async.wait_group {left + 1};");
            }
        }
    }

    private string? Fault(string kernel, string[] lines) =>
        KernelCases.Fault(architecture, kernel, string.Join('\n', lines), EmulatorChecks.All, Launches[kernel]);

    [GeneratedRegex(@"^\s*(bar\.sync|bar\.warp\.sync|cp\.async\.wait_group)\b")]
    private static partial Regex Waiting();

    [GeneratedRegex(@"^\s*cp\.async\.wait_group (\d+);")]
    private static partial Regex Groups();
}
