using System.Text.Json.Nodes;
using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Cli.Tests;

public sealed class EvalTests : IDisposable
{
    private static readonly string[] Good = ["good/f00_0012_1344.png", "good/f01_0018_2624.png", "good/f03_0010_2624.png"];

    private static readonly string[] Defective = ["defect/0011_006_02.png", "defect/0048_019_04.png", "defect/0070_023_02.png"];

    private readonly Workspace _files = new();

    public EvalTests()
    {
        foreach (string name in Good.Concat(Defective))
        {
            _files.Picture($"set/test/{name}", name);
        }

        foreach (string name in Defective)
        {
            Mask(name, left: 40, right: 200);
        }
    }

    public void Dispose() => _files.Dispose();

    [Test]
    public void Files_and_table_say_the_same_for_any_number_of_threads()
    {
        CommandResult run = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--out", _files["out"], "--threads", "1");
        Assert.That(run.Code, Is.Zero, run.Error);
        JsonObject json = JsonNode.Parse(File.ReadAllText(_files["out/metrics.json"]))!.AsObject();
        JsonNode category = json["categories"]![0]!;
        Assert.That(run.Output, Does.Contain($"{category["image_auroc"]!.GetValue<double>():F4}").And.Contain($"{category["aupro_0.3"]!.GetValue<double>():F4}").And.Contain("layout mvtec, 6 test pictures"));
        string[] rows = File.ReadAllLines(_files["out/pictures.csv"]);
        Assert.That(rows, Has.Length.EqualTo(7));
        Assert.That(rows[1], Does.StartWith("set,test/defect/0011_006_02.png,defect,true,"));
        Assert.That(File.ReadAllText(_files["out/report.html"]), Does.Contain(json["model_sha256"]!.GetValue<string>()).And.Not.Contain("{{"));

        JsonObject printed = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--threads", "3", "--json").Json.Single();
        Assert.That(JsonNode.DeepEquals(printed["categories"], json["categories"]), Is.True);
    }

    [Test]
    public void Scores_are_those_of_detect()
    {
        Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--out", _files["out"]);
        JsonObject detected = Kernelad.Run("detect", GoldenModel.VitAd, _files["set/test/good/f00_0012_1344.png"], "--json").Json.Single();
        string row = File.ReadLines(_files["out/pictures.csv"]).Single(r => r.Contains("f00_0012_1344", StringComparison.Ordinal));
        Assert.That(row.Split(',')[4], Is.EqualTo(detected["score"]!.ToJsonString()));
    }

    [Test]
    public void What_cannot_be_read_is_named_and_the_rest_is_done()
    {
        _files.Save("set/test/good/broken.png", [1, 2, 3]);
        _files.Save("set/ground_truth/defect/0011_006_02_mask.png", [1, 2, 3]);
        File.Delete(_files["set/ground_truth/defect/0048_019_04_mask.png"]);
        CommandResult run = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--json");
        Assert.That(run.Code, Is.EqualTo(3));
        foreach (string name in (string[])["broken.png", "0011_006_02_mask.png", "0048_019_04"])
        {
            Assert.That(run.ErrorLines.Count(l => l.Contains(name, StringComparison.Ordinal)), Is.EqualTo(1), $"{name} in:\n{run.Error}");
        }

        JsonObject result = run.Json.Single();
        Assert.That(result["images"]!.GetValue<int>(), Is.EqualTo(6));
        Assert.That(result["problems"]!.AsArray(), Has.Count.EqualTo(3));
        Assert.That(result["categories"]![0]!["image_auroc"], Is.Not.Null);
        Assert.That(result["categories"]![0]!["regions_8"]!.GetValue<double>(), Is.EqualTo(1));
    }

    [Test]
    public void A_mask_that_vanishes_is_named_and_its_picture_stays_anomalous()
    {
        Mask(Defective[0], left: 100, right: 101, height: 1);
        CommandResult run = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--json");
        JsonObject result = run.Json.Single();
        Assert.That(result["remarks"]!.AsArray().Single()!.GetValue<string>(), Does.Contain("0011_006_02.png").And.Contain("vanishes"));
        Assert.That(result["categories"]![0]!["anomalous"]!.GetValue<int>(), Is.EqualTo(3));
        Assert.That(run.Code, Is.Zero, run.Error);
    }

    [Test]
    public void A_set_without_defects_has_reasons_instead_of_metrics()
    {
        Directory.Delete(_files["set/test/defect"], recursive: true);
        Directory.Delete(_files["set/ground_truth"], recursive: true);
        CommandResult run = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--out", _files["out"]);
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(run.Output, Does.Contain("n/a, no anomalous image: image_auroc"));
        Assert.That(_files.Files, Does.Contain("out/report.html"));
    }

    [Test]
    public void Masks_of_the_original_size_enlarge_the_maps()
    {
        JsonObject original = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--masks", "original", "--json").Json.Single();
        Assert.That(original["mask_rule"]!.GetValue<string>(), Is.EqualTo("original"));
        Assert.That(original["categories"]![0]!["regions_8"]!.GetValue<double>(), Is.EqualTo(3));
        Assert.That(original["categories"]![0]!["aupro_0.3"], Is.Not.Null);
    }

    [Test]
    public void ADer_s_metrics_have_its_names()
    {
        JsonObject ader = Kernelad.Run("eval", GoldenModel.VitAd, _files["set"], "--metrics", "ader", "--json").Json.Single();
        Assert.That(ader["categories"]![0]!["mAUPRO_px (max_step_aupro=200)"], Is.Not.Null);
    }

    [Test]
    public void An_empty_folder_and_a_wrong_layout_are_errors()
    {
        Directory.CreateDirectory(_files["empty"]);
        Kernelad.Fails(3, ["eval", GoldenModel.VitAd, _files["empty"]], "empty", "layout");
        Kernelad.Fails(3, ["eval", GoldenModel.VitAd, _files["missing"]], "missing");
        Kernelad.Fails(2, ["eval", GoldenModel.VitAd, _files["set"], "--layout", "cifar"], "cifar");
    }

    /// <summary>A mask of the sample pictures' size with a rectangle in it.</summary>
    private void Mask(string picture, int left, int right, int height = 100)
    {
        using Picture mask = new(256, 256, PixelFormat.Gray8);
        mask.Pixels.Clear();
        for (int y = 50; y < 50 + height; y++)
        {
            mask.Pixels[((y * 256) + left)..((y * 256) + right)].Fill(255);
        }

        _files.Save($"set/ground_truth/{Path.ChangeExtension(picture, null)}_mask.png", PngEncoder.Encode(mask.View));
    }
}
