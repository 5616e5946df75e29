using System.Globalization;
using System.Text.RegularExpressions;

namespace KernelAD.Cli.Tests;

public sealed partial class DemoTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void The_demo_writes_overlays_and_one_page_that_needs_nothing_else()
    {
        CommandResult result = Kernelad.Run("demo", "-o", _files["out"]);

        Assert.That(result.Code, Is.Zero, result.Error);
        string[] samples = File.ReadAllLines(Kernelad.Sample("scores.csv"))[1..];
        Assert.That(samples, Has.Length.EqualTo(12));
        Assert.That(_files.Files, Is.EquivalentTo(samples.Select(s => $"out/{Path.GetFileNameWithoutExtension(s.Split(',')[0])}.heat.png").Append("out/index.html")));
        string page = File.ReadAllText(_files["out/index.html"]);
        Assert.That(ImageSource().Matches(page).Select(m => m.Groups[1].Value), Is.All.StartsWith("data:image/png;base64,").And.Exactly(25).Items);
        Assert.That(page, Does.Not.Contain("<script").And.Not.Contain("http"));
        Assert.That(page, Does.Contain("0.820").And.Contain("AITEX").And.Contain("missed"));
        Assert.That(result.Output, Does.Contain("AUROC 0.820").And.Contain("index.html"));
    }

    [Test]
    public void The_sample_model_gives_the_scores_that_pytorch_gives()
    {
        string[][] samples = [.. File.ReadAllLines(Kernelad.Sample("scores.csv")).Skip(1).Select(l => l.Split(','))];
        CommandResult result = Kernelad.Run(["detect", Kernelad.SampleModel, "--json", .. samples.Select(s => Kernelad.Sample(s[0]))]);
        double[] ours = [.. result.Json.Select(o => (double)o["score"]!)];
        double[] pytorch = [.. samples.Select(s => double.Parse(s[2], CultureInfo.InvariantCulture))];
        double worst = ours.Zip(pytorch).Max(p => Math.Abs(p.First - p.Second) / p.Second);
        TestContext.Out.WriteLine($"worst relative difference {worst:E2}");
        Assert.That(ours, Has.Length.EqualTo(12));
        Assert.That(worst, Is.LessThan(1e-4));
    }

    [GeneratedRegex("<img src=\"([^\"]*)\"")]
    private static partial Regex ImageSource();
}
