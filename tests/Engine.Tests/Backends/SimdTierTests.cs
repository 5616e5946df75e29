using System.Diagnostics;
using System.Globalization;
using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends;

/// <summary>
/// Runs the CPU operators' tests and the tiny golden cases again in child processes whose runtime has wider vectors switched off, so that every tier is
/// tested on one machine. The child asserts the tier that it was started for.
/// </summary>
public sealed class SimdTierTests
{
    private const string Expected = "KERNELAD_EXPECTED_SIMD_BITS";

    [Test]
    [Category("SimdTier")]
    public void The_tier_is_the_one_this_process_was_started_for()
    {
        string? expected = Environment.GetEnvironmentVariable(Expected);
        int bits = expected is null ? SimdTier.Bits : int.Parse(expected, CultureInfo.InvariantCulture);
        Assert.That(SimdTier.Bits, Is.EqualTo(bits));
    }

    [TestCase("DOTNET_EnableAVX512", 256)]
    [TestCase("DOTNET_EnableAVX2", 128)]
    [TestCase("DOTNET_EnableHWIntrinsic", 128)]
    public async Task A_narrower_tier_passes_the_same_tests(string knob, int bits)
    {
        Assume.That(Environment.GetEnvironmentVariable(Expected), Is.Null, "children do not start children");
        Assume.That(SimdTier.Bits, Is.GreaterThan(bits), "this machine has nothing wider to switch off");
        ProcessStartInfo start = new("dotnet", ["vstest", typeof(SimdTierTests).Assembly.Location, "--TestCaseFilter:TestCategory=SimdTier"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[knob] = "0";
        start.Environment[Expected] = bits.ToString(CultureInfo.InvariantCulture);
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync();
        Assert.That(child.ExitCode, Is.Zero, output + await errors);
        Assert.That(output, Does.Contain("Passed: "), "the child found no tests");
        TestContext.Out.WriteLine(output.Split('\n').Last(l => l.Contains("Passed: ", StringComparison.Ordinal)));
    }
}
