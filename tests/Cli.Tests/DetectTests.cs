using System.Globalization;
using System.Text.Json.Nodes;
using KernelAD.Imaging;

namespace KernelAD.Cli.Tests;

public sealed class DetectTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void One_broken_picture_of_a_folder_is_reported_and_the_others_are_done()
    {
        _files.Picture("in/b/second.PNG", "defect/0011_006_02.png");
        _files.Picture("in/a.png");
        _files.Save("in/broken.png", "broken"u8.ToArray());
        _files.Save("in/notes.txt", "no picture by name"u8.ToArray());

        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, _files["in"], "--json", "--threshold", "0.012", "-o", _files["out"], "--csv", _files["scores.csv"]);

        Assert.That(result.Code, Is.EqualTo(3), result.Error);
        JsonObject[] lines = result.Json;
        Assert.That(lines.Select(o => Path.GetRelativePath(_files["in"], (string)o["picture"]!).Replace('\\', '/')), Is.EqualTo((string[])["a.png", "b/second.PNG", "broken.png"]));
        Assert.That(lines.Take(2).Select(o => (bool)o["is_anomalous"]!), Is.EqualTo((bool[])[false, true]));
        Assert.That((string)lines[2]["error"]!, Does.Contain("broken.png"));
        Assert.That(result.ErrorLines.Single(), Does.Contain("broken.png"));
        Assert.That(_files.Files.Where(f => !f.StartsWith("in/", StringComparison.Ordinal)), Is.EqualTo((string[])["out/a.heat.png", "out/b/second.heat.png", "scores.csv"]));

        JsonObject first = lines[0];
        Assert.That((string)first["model"]!, Is.EqualTo("InTra"));
        Assert.That((string)first["device"]!, Does.StartWith("cpu"));
        Assert.That((string)first["precision"]!, Is.EqualTo("fp32"));
        Assert.That(((int)first["width"]!, (int)first["height"]!, (double)first["threshold"]!), Is.EqualTo((256, 256, 0.012)));
        Assert.That(first["heat_map_scale"]!.AsArray().Select(v => (float)v!), Is.EqualTo((float[])[0, 0.024f]));
        using Picture overlay = PictureFile.Read(_files["out/a.heat.png"]);
        Assert.That((overlay.Width, overlay.Height), Is.EqualTo((256, 256)));

        string[] table = File.ReadAllLines(_files["scores.csv"]);
        Assert.That(table[0], Is.EqualTo("picture,width,height,score,threshold,is_anomalous,error"));
        Assert.That(table, Has.Length.EqualTo(4));
        Assert.That(float.Parse(table[1].Split(',')[3], CultureInfo.InvariantCulture), Is.EqualTo((float)first["score"]!));
    }

    [Test]
    public void Scores_do_not_depend_on_batch_and_threads()
    {
        string[] arguments = ["detect", Kernelad.SampleModel, Kernelad.Sample("test", "good"), "--json"];
        CommandResult one = Kernelad.Run([.. arguments, "--threads", "1"]), five = Kernelad.Run([.. arguments, "--batch", "5", "--threads", "2"]);
        Assert.That(Scores(one), Has.Length.EqualTo(6));
        Assert.That(Scores(five), Is.EqualTo(Scores(one)));

        static (string, float)[] Scores(CommandResult result) => [.. result.Json.Select(o => ((string)o["picture"]!, (float)o["score"]!))];
    }

    [Test]
    public void Without_a_threshold_overlays_share_the_scale_of_the_run()
    {
        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, Kernelad.Sample("test", "defect"), "--json", "-o", _files["out"]);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Json.Select(o => o["heat_map_scale"]!.ToJsonString()).Distinct().Count(), Is.EqualTo(1));
        Assert.That((float)result.Json[0]["heat_map_scale"]![1]!, Is.EqualTo(result.Json.Max(o => (float)o["score"]!)), "the score is the map's maximum");
        Assert.That(result.Json.Select(o => o["is_anomalous"]), Is.All.Null);
        Assert.That(_files.Files, Has.Length.EqualTo(6));
    }

    [Test]
    public void A_scale_of_each_picture_by_itself_is_captioned()
    {
        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, Kernelad.Sample("test", "good", "f03_0010_2624.png"), "-o", _files["out"], "--scale", "image");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Output, Does.Contain("each picture by itself"));
    }

    [Test]
    public void Pictures_of_one_name_get_overlays_of_their_own()
    {
        _files.Picture("in/x/part.png");
        _files.Picture("in/y/part.png");
        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, _files["in/x/part.png"], _files["in/y/part.png"], "-o", _files["out"], "--scale", "0,0.01");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(_files.Files.Count(f => f.StartsWith("out/", StringComparison.Ordinal)), Is.EqualTo(2));
    }

    [TestCase("0.012", 10)]
    [TestCase("1", 0)]
    public void Fail_on_anomaly_shows_in_the_exit_code(string threshold, int code) =>
        Assert.That(Kernelad.Run("detect", Kernelad.SampleModel, Kernelad.Sample("test", "defect", "0011_006_02.png"), "--fail-on-anomaly", "--threshold", threshold).Code, Is.EqualTo(code));

    [Test]
    public void Text_for_people_is_plain_when_it_does_not_go_to_a_terminal()
    {
        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, Kernelad.Sample("test", "good", "f03_0010_2624.png"), "--threshold", "0.012");
        Assert.That(result.Output, Does.Not.Contain('\u001b'));
        Assert.That(result.Output.Split('\n')[0], Does.Contain("InTra").And.Contain("cpu").And.Contain("fp32"));
        Assert.That(result.Output, Does.Contain("OK").And.Contain("0 anomalous at threshold 0.012"));
        Assert.That(result.Error, Is.Empty, "no progress bar");
    }
}
