using System.Diagnostics;
using System.Text.Json.Nodes;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Cli.Tests;

public sealed class CalibrateTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void Thresholds_go_into_the_file_and_decide_from_then_on()
    {
        string model = CopyModel(), good = Kernelad.Sample("test", "good");
        byte[] before = File.ReadAllBytes(model);
        CommandResult result = Kernelad.Run("calibrate", model, good, "--alpha", "0.2", "--json");
        Assert.That((result.Code, result.Error), Is.EqualTo((0, "")));
        JsonObject calibration = result.Json.Single()["calibration"]!.AsObject();
        float[] scores = [.. Kernelad.Run("detect", model, good, "--json").Json.Select(o => (float)o["score"]!).Order()];

        // Six scores: the 6 + 1 − ⌊7 · 0.2⌋ = 6th.
        Assert.That((double)calibration["threshold"]!, Is.EqualTo((double)MathF.BitIncrement(scores[5])));
        Assert.That((double)calibration["pixel_threshold"]!, Is.EqualTo((double)calibration["threshold"]!), "InTra's score is its map's maximum");
        Assert.That(((string)calibration["method"]!, (double)calibration["parameter"]!, (int)calibration["good_pictures"]!), Is.EqualTo(("conformal", 0.2, 6)));
        Assert.That((double)calibration["score_median"]!, Is.EqualTo(((double)scores[2] + scores[3]) / 2));
        Assert.That(((float)calibration["score_low"]!, (float)calibration["score_high"]!), Is.EqualTo((scores[0], scores[5])));
        Assert.That((int)result.Json.Single()["false_rejects"]!, Is.Zero);

        JsonObject info = Kernelad.Run("info", model, "--json").Json.Single();
        Assert.That(info["calibration"]!.ToJsonString(), Is.EqualTo(calibration.ToJsonString()));
        JsonObject judged = Kernelad.Run("detect", model, Kernelad.Sample("test", "defect", "0011_006_02.png"), "--json").Json.Single();
        Assert.That(((bool)judged["is_anomalous"]!, (double)judged["threshold"]!), Is.EqualTo((true, (double)calibration["threshold"]!)));
        double expected = 0.5 + (0.5 * ((float)judged["score"]! - (double)calibration["threshold"]!) / ((double)calibration["threshold"]! - (double)calibration["score_median"]!));
        Assert.That((double)judged["normalized_score"]!, Is.EqualTo(expected).Within(1e-9));
        Assert.That(_files.Files, Has.Length.EqualTo(1), "nothing but the model is left");
        Assert.That(File.ReadAllBytes(model).AsSpan(^4096..).SequenceEqual(before.AsSpan(^4096..)), "the tensors' bytes are the same");
    }

    [Test]
    public void Tensors_and_other_metadata_stay_as_they_are_and_a_second_calibration_replaces_the_first()
    {
        string model = CopyModel(), good = Kernelad.Sample("test", "good"), other = _files["other.safetensors"];
        Assert.That(Kernelad.Run("calibrate", model, good, "--method", "max").Code, Is.Zero);
        Assert.That(Kernelad.Run("calibrate", model, good, "--method", "quantile", "--quantile", "0.5", "--rule", "higher", "-o", other).Code, Is.Zero);
        using ModelFile first = ModelFile.Open(model), second = ModelFile.Open(other), original = ModelFile.Open(Kernelad.SampleModel);
        Assert.That(first.Calibration!.Method, Is.EqualTo("max"));
        Assert.That((second.Calibration!.Method, second.Calibration.Parameter), Is.EqualTo(("quantile-higher", (double?)0.5)));
        Assert.That(second.Source, Is.EqualTo(original.Source));
        Assert.That(second.Notes, Is.EqualTo(original.Notes));
        foreach (string name in original.Tensors.Keys)
        {
            Assert.That(Values(second, name), Is.EqualTo(Values(original, name)), name);
        }
    }

    [Test]
    public void Labels_bring_the_highest_F1()
    {
        string model = CopyModel();
        string labels = _files["labels.csv"];
        File.WriteAllLines(labels, Directory.GetFiles(Kernelad.Sample("test"), "*.png", SearchOption.AllDirectories)
            .Select(f => $"{f},{(f.Contains("defect", StringComparison.Ordinal) ? 1 : 0)}").Prepend("picture,label"));
        JsonObject result = Kernelad.Run("calibrate", model, Kernelad.Sample("test"), "--method", "f1", "--labels", labels, "--json").Json.Single();
        (float Score, bool Anomalous)[] scores = [.. Kernelad.Run("detect", model, Kernelad.Sample("test"), "--json").Json
            .Select(o => ((float)o["score"]!, ((string)o["picture"]!).Contains("defect", StringComparison.Ordinal)))];
        double threshold = (double)result["calibration"]!["threshold"]!;
        Assert.That(F1(threshold), Is.EqualTo(scores.Max(s => F1(s.Score))).And.EqualTo((double)result["f1_max"]!).Within(1e-12));
        Assert.That((int)result["calibration"]!["anomalous_pictures"]!, Is.EqualTo(6));

        double F1(double t) => 2.0 * scores.Count(s => s.Anomalous && s.Score >= t) / (scores.Count(s => s.Score >= t) + scores.Count(s => s.Anomalous));
    }

    [Test]
    public void The_mean_map_is_stored_and_scores_are_measured_without_the_picture_itself()
    {
        string model = _files["intra.safetensors"];
        CommandResult convert = Kernelad.Run(
            "convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", model, "--config", Kernelad.Golden("intra", "tiny", "case.json"));
        Assert.That(convert.Code, Is.Zero, convert.Error);
        string[] normal = [.. Directory.GetFiles(Kernelad.Sample("test", "good")).Order(StringComparer.Ordinal).Take(4)];
        CommandResult result = Kernelad.Run(["calibrate", model, .. normal, "--mean-map", "--fallback", "max", "--json"]);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.ErrorLines.Where(l => !l.Contains("mean_map", StringComparison.Ordinal)).Single(), Does.Contain("at least 99 are needed"));
        using (ModelFile file = ModelFile.Open(model))
        {
            Assert.That(file.Assumptions, Is.Empty, "the mean map is there");
        }

        // A mean map of three and the fourth picture scored with it: what the calibration says about that picture.
        float highest = (float)result.Json.Single()["calibration"]!["score_high"]!;
        List<float> scores = [];
        for (int left = 0; left < 4; left++)
        {
            string copy = _files[$"without{left}.safetensors"];
            string[] three = [.. normal.Where((_, i) => i != left)];
            Assert.That(Kernelad.Run(["calibrate", model, .. three, "--mean-map", "--method", "max", "-o", copy]).Code, Is.Zero);
            scores.Add((float)Kernelad.Run("detect", copy, normal[left], "--json").Json.Single()["score"]!);
        }

        Assert.That(highest, Is.EqualTo(scores.Max()).Within(1e-4 * highest));
    }

    [Test]
    public void Too_few_pictures_are_an_error_unless_told_otherwise()
    {
        string model = CopyModel(), good = Kernelad.Sample("test", "good");
        byte[] before = File.ReadAllBytes(model);
        Kernelad.Fails(3, ["calibrate", model, good], "6 good pictures", "at least 99", "--fallback max");
        Assert.That(File.ReadAllBytes(model), Is.EqualTo(before));
        CommandResult result = Kernelad.Run("calibrate", model, good, "--fallback", "max");
        Assert.That(result.Code, Is.Zero);
        Assert.That(result.Error, Does.Contain("warning").And.Contain("at least 99"));
        Assert.That(result.Output, Does.Contain("max").And.Contain("0 of 6"));
    }

    [Test]
    public void A_broken_picture_is_reported_and_the_others_are_used()
    {
        string model = CopyModel();
        _files.Picture("good/a.png");
        _files.Save("good/b.png", "broken"u8.ToArray());
        CommandResult result = Kernelad.Run("calibrate", model, _files["good"], "--method", "max", "--json");
        Assert.That(result.Code, Is.EqualTo(3));
        Assert.That(result.ErrorLines.Single(), Does.Contain("b.png"));
        Assert.That((int)result.Json.Single()["good_pictures"]!, Is.EqualTo(1));
    }

    [Test]
    public void Bad_requests_are_said_clearly()
    {
        string model = CopyModel(), good = Kernelad.Sample("test", "good");
        Directory.CreateDirectory(_files["empty"]);
        Kernelad.Fails(3, ["calibrate", model, good, "--method", "f1"], "--labels");
        Kernelad.Fails(2, ["calibrate", model, good, "--alpha", "1.5"], "--alpha", "1.5");
        Kernelad.Fails(3, ["calibrate", model, good, "--labels", _files["none.csv"]], "none.csv");
        _files.Save("labels.csv", "a.png,maybe\n"u8.ToArray());
        Kernelad.Fails(3, ["calibrate", model, good, "--labels", _files["labels.csv"]], "labels.csv, line 1", "maybe");
        CommandResult empty = Kernelad.Run("calibrate", model, _files["empty"]);
        Assert.That((empty.Code, empty.ErrorLines.Length), Is.EqualTo((3, 2)));
        Assert.That(empty.Error, Does.Contain("holds no pictures").And.Contain("no good pictures"));
        Kernelad.Fails(3, ["calibrate", GoldenModel.VitAd, good, "--mean-map", "--fallback", "max"], "ViTAD", "mean map");
    }

    [Test]
    public void A_model_calibrated_with_another_preprocessing_is_refused_until_it_is_calibrated_again()
    {
        string model = CopyModel(), changed = _files["changed.safetensors"];
        Assert.That(Kernelad.Run("calibrate", model, Kernelad.Sample("test", "good"), "--method", "max").Code, Is.Zero);
        using (ModelFile file = ModelFile.Open(model))
        {
            ModelFileDetails details = file.Details with { Preprocessing = file.Preprocessing with { Filter = Interpolation.Lanczos } };
            ModelFile.Write(changed, file.Model, [.. file.Tensors.Values.Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, Values(file, t.Name))))], details);
        }

        Kernelad.Fails(3, ["detect", changed, Kernelad.Sample("test", "good")], "changed.safetensors", "another preprocessing", "kernelad calibrate");
        Assert.That(Kernelad.Run("info", changed).Output, Does.Contain("another preprocessing"));
        Assert.That(Kernelad.Run("calibrate", changed, Kernelad.Sample("test", "good"), "--method", "max").Code, Is.Zero);
        Assert.That(Kernelad.Run("detect", changed, Kernelad.Sample("test", "good")).Code, Is.Zero);
    }

    [Test]
    [Platform("Unix")]
    public void A_killed_calibration_leaves_a_whole_file_and_the_next_one_completes()
    {
        string model = CopyModel(), good = Kernelad.Sample("test", "good");
        string[] left = [], tensors;
        using (ModelFile file = ModelFile.Open(model))
        {
            tensors = [.. file.Tensors.Keys];
        }

        foreach (bool writing in (bool[])[false, true, true, true])
        {
            using Process process = Kernelad.Start("calibrate", model, good, "--method", "max");
            Thread.Sleep(300);
            while (writing && !process.HasExited && !Directory.EnumerateFiles(_files.Folder, "*.tmp-*").Except(left).Any())
            {
                Thread.Yield();
            }

            process.Kill();
            process.WaitForExit();
            left = Directory.GetFiles(_files.Folder, "*.tmp-*");
            using ModelFile file = ModelFile.Open(model);
            Assert.That(file.Tensors.Keys, Is.EquivalentTo(tensors), "old or new, but whole");
        }

        Assert.That(Kernelad.Run("calibrate", model, good, "--method", "max").Code, Is.Zero);
        using ModelFile whole = ModelFile.Open(model);
        Assert.That(whole.Calibration!.Method, Is.EqualTo("max"));
    }

    private static float[] Values(ModelFile file, string name)
    {
        float[] values = new float[file.Tensors[name].Shape.Count];
        file.ReadFloat32(name, values);
        return values;
    }

    private string CopyModel() => _files.Save("model.safetensors", File.ReadAllBytes(Kernelad.SampleModel));
}
