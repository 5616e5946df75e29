namespace KernelAD.Cli.Tests;

public class UsageTests
{
    private static readonly TestCaseData[] WrongUsage =
    [
        new TestCaseData((object)(string[])["frobnicate"], (string[])["frobnicate"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--threads", "0"], (string[])["--threads", "\"0\""]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--memory", "lots"], (string[])["--memory", "lots", "300MB"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--device", "gpu"], (string[])["--device", "gpu", "cuda:N"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--precision", "int8"], (string[])["int8", "fp32"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--scale", "5,1"], (string[])["--scale", "5,1"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--threshold", "NaN"], (string[])["--threshold", "NaN"]),
        new TestCaseData((object)(string[])["detect", "m.safetensors", "p.png", "--batch", "x"], (string[])["--batch", "\"x\""]),
        new TestCaseData((object)(string[])["bench", "m.safetensors", "--threads", "1,0"], (string[])["--threads", "\"0\""]),
        new TestCaseData((object)(string[])["bench", "m.safetensors", "--duration", "0"], (string[])["--duration"]),
        new TestCaseData((object)(string[])["convert", "c.pth", "-o", "m.safetensors", "--set", "heads"], (string[])["--set", "heads", "key=value"]),
        new TestCaseData((object)(string[])["convert", "c.pth"], (string[])["--output"]),
    ];

    [TestCaseSource(nameof(WrongUsage))]
    public void Wrong_usage_is_exit_code_2_and_names_the_option(string[] arguments, string[] words) => Kernelad.Fails(2, arguments, words);

    [Test]
    public void Unknown_options_are_refused() =>
        Assert.That(Kernelad.Run("info", "m.safetensors", "--colour").Code, Is.EqualTo(2));

    [Test]
    public void No_command_is_wrong_usage_and_points_to_the_help()
    {
        CommandResult result = Kernelad.Run();
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")));
        Assert.That(result.Error, Does.Contain("kernelad --help"));
    }

    [Test]
    public void Help_names_every_command_and_the_exit_codes()
    {
        CommandResult result = Kernelad.Run("--help");
        Assert.That((result.Code, result.Error), Is.EqualTo((0, "")));
        string[] commands = ["convert", "info", "detect", "calibrate", "preprocess", "run", "verify", "bench", "profile", "export", "doctor", "demo"];
        Assert.That(commands.Where(c => !result.Output.Contains($"\n  {c} ", StringComparison.Ordinal)), Is.Empty);
        Assert.That(result.Output, Does.Contain("10 anomaly found"));
    }

    [Test]
    public void Fail_on_anomaly_needs_a_threshold() =>
        Kernelad.Fails(2, ["detect", Kernelad.SampleModel, Kernelad.Sample("test"), "--fail-on-anomaly"], "--fail-on-anomaly", "--threshold");

    [Test]
    public void A_precision_that_the_device_lacks_is_exit_code_4() =>
        Kernelad.Fails(4, ["info", Kernelad.SampleModel, "--device", "cpu", "--precision", "fp16"], "fp32");

    [Test]
    public void Stack_traces_are_shown_on_request_only()
    {
        Assert.That(Kernelad.Run("info", "missing.safetensors").Error, Does.Not.Contain("   at "));
        Assert.That(Kernelad.Run("info", "missing.safetensors", "--verbose").Error, Does.Contain("   at KernelAD"));
    }

    [Test]
    [Platform("Unix")]
    public void A_signal_ends_the_command_with_130()
    {
        using System.Diagnostics.Process process = Kernelad.Start("bench", Kernelad.SampleModel, "--duration", "60");
        // The header shows that the command has begun. SIGTERM goes the way of Ctrl-C, which a shell's background jobs are born to ignore.
        string? header = process.StandardOutput.ReadLine();
        using (System.Diagnostics.Process kill = System.Diagnostics.Process.Start("kill", ["-TERM", $"{process.Id}"]))
        {
            kill.WaitForExit();
        }

        CommandResult result = Kernelad.Finish(process);
        Assert.That(header, Does.StartWith("InTra"));
        Assert.That((result.Code, result.Error), Is.EqualTo((130, "kernelad: interrupted\n")));
    }
}
