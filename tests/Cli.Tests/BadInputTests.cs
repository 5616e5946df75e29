using System.Text;
using KernelAD.Tensors;

namespace KernelAD.Cli.Tests;

public sealed class BadInputTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void A_foreign_checkpoint_is_named_and_leaves_nothing_behind()
    {
        string checkpoint = _files.Save("foreign.pth", Encoding.ASCII.GetBytes("these are not the weights you are looking for"));
        Kernelad.Fails(3, ["convert", checkpoint, "-o", _files["m.safetensors"]], "foreign.pth");
        Assert.That(_files.Files, Is.EqualTo((string[])["foreign.pth"]));
    }

    [Test]
    public void A_cut_off_checkpoint_is_named_and_leaves_nothing_behind()
    {
        byte[] whole = File.ReadAllBytes(Kernelad.Golden("intra", "tiny", "weights.pth"));
        string checkpoint = _files.Save("cut.pth", whole[..(whole.Length / 2)]);
        Kernelad.Fails(3, ["convert", checkpoint, "-o", _files["m.safetensors"]], "cut.pth");
        Assert.That(_files.Files, Is.EqualTo((string[])["cut.pth"]));
    }

    [Test]
    public void The_wrong_model_is_named() =>
        Kernelad.Fails(
            3, ["convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", _files["m.safetensors"], "--model", "ViTAD"], "weights.pth", "ViTAD", "InTra");

    [Test]
    public void A_teacher_without_its_student_is_recognised() =>
        Kernelad.Fails(3, ["convert", Kernelad.Golden("vitad", "tiny", "teacher_dino.pth"), "-o", _files["m.safetensors"]], "teacher_dino.pth", "ViTAD");

    [Test]
    public void A_missing_second_file_is_named()
    {
        Kernelad.Fails(3, ["convert", Kernelad.Golden("utrad", "tiny", "weights.pth"), "-o", _files["m.safetensors"]], "weights.pth", "backbone", "resnet18");
        Kernelad.Fails(3, ["convert", Kernelad.Golden("vtadl", "tiny", "weights.pth"), "-o", _files["m.safetensors"]], "weights.pth", "mixture network");
        Kernelad.Fails(
            3,
            ["convert", Kernelad.Golden("vtadl", "tiny", "weights.pth"), Kernelad.Golden("utrad", "tiny", "backbone.pth"), "-o", _files["m.safetensors"]],
            "backbone.pth", "mixture network", "ResNet");
    }

    [Test]
    public void An_unknown_configuration_key_is_named() =>
        Kernelad.Fails(3, ["convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", _files["m.safetensors"], "--set", "colour=red"], "colour");

    [Test]
    public void A_configuration_that_is_not_json_is_named()
    {
        string config = _files.Save("config.json", "{ image_h: "u8.ToArray());
        Kernelad.Fails(3, ["convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", _files["m.safetensors"], "--config", config], "config.json");
    }

    [Test]
    public void An_output_folder_that_is_a_file_is_named()
    {
        string file = _files.Save("file", [1]);
        Kernelad.Fails(
            3, ["convert", Kernelad.Golden("intra", "tiny", "weights.pth"), "-o", Path.Combine(file, "m.safetensors"), "--config", Kernelad.Golden("intra", "tiny", "case.json")], "m.safetensors");
        Kernelad.Fails(3, ["detect", Kernelad.SampleModel, Kernelad.Sample("test"), "-o", Path.Combine(file, "out")], Path.Combine(file, "out"));
        Kernelad.Fails(3, ["demo", "-o", Path.Combine(file, "out")], Path.Combine(file, "out"));
        Assert.That(_files.Files, Is.EqualTo((string[])["file"]));
    }

    [Test]
    public void A_missing_model_is_named() => Kernelad.Fails(3, ["info", _files["none.safetensors"]], "none.safetensors");

    [Test]
    public void A_checkpoint_in_place_of_a_model_is_sent_to_convert() =>
        Kernelad.Fails(3, ["detect", Kernelad.Golden("intra", "tiny", "weights.pth"), Kernelad.Sample("test")], "weights.pth", "convert");

    [Test]
    public void A_memory_limit_that_cannot_be_kept_says_what_is_needed() =>
        Kernelad.Fails(3, ["detect", Kernelad.SampleModel, Kernelad.Sample("test"), "--memory", "1MB"], "1.0 MB", "need");

    [Test]
    public void Pictures_that_cannot_be_used_are_each_reported_with_the_reason()
    {
        _files.Save("pictures/text.png", "no picture"u8.ToArray());
        _files.Save("pictures/empty.jpg", []);
        _files.Save("pictures/scan.tif", [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0]);
        _files.Save("pictures/cut.png", File.ReadAllBytes(Kernelad.Sample("test", "good", "f03_0010_2624.png"))[..20_000]);
        _files.PictureHeader("pictures/huge.png", 30_000, 30_000);
        _files.PictureHeader("pictures/nothing.png", 0, 0);

        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, _files["pictures"], _files["absent.png"], "--json");

        Assert.That(result.Code, Is.EqualTo(3));
        Dictionary<string, string> errors = result.Json.ToDictionary(o => Path.GetFileName((string)o["picture"]!), o => (string)o["error"]!);
        Assert.That(errors.Keys, Is.EquivalentTo((string[])["absent.png", "cut.png", "empty.jpg", "huge.png", "nothing.png", "scan.tif", "text.png"]));
        Assert.That(errors.Where(e => !e.Value.Contains(e.Key, StringComparison.Ordinal)), Is.Empty, "every message names its file");
        Assert.That(errors["huge.png"], Does.Contain("30000×30000"));
        Assert.That(errors["scan.tif"], Does.Contain("TIFF").And.Contain("PNG"));
        Assert.That(result.ErrorLines, Has.Length.EqualTo(errors.Count));
    }

    [Test]
    public void An_empty_folder_is_reported_and_other_arguments_are_still_done()
    {
        Directory.CreateDirectory(_files["empty"]);
        CommandResult result = Kernelad.Run("detect", Kernelad.SampleModel, _files["empty"], _files.Picture("p.png"), "--json");
        Assert.That(result.Code, Is.EqualTo(3));
        Assert.That(result.Json.Select(o => (o["error"] is not null, o["score"] is not null)), Is.EqualTo(((bool, bool)[])[(true, false), (false, true)]));
        Assert.That(result.Error, Does.Contain("empty: holds no pictures"));
    }

    [Test]
    public void A_tensor_of_the_wrong_shape_names_file_tensor_and_both_shapes() =>
        Kernelad.Fails(
            3,
            ["run", Kernelad.SampleModel, "--input", _files.Save("x.safetensors", new Tensor(new Shape(1, 3, 95, 96)))],
            "x.safetensors", "\"input\"", "(1, 3, 95, 96)", "(N, 3, 96, 96)");

    [Test]
    public void A_tensor_with_nan_says_where()
    {
        Tensor input = new(new Shape(1, 3, 96, 96));
        input.Data[1234] = float.NaN;
        Kernelad.Fails(3, ["run", Kernelad.SampleModel, "--input", _files.Save("x.safetensors", input), "-o", _files["y.safetensors"]], "x.safetensors", "NaN", "1234");
        Assert.That(_files.Files, Is.EqualTo((string[])["x.safetensors"]));
    }

    [Test]
    public void A_tensor_or_tap_that_is_not_there_is_answered_with_what_is()
    {
        string input = _files.Save("x.safetensors", new Tensor(new Shape(1, 3, 96, 96)));
        Kernelad.Fails(3, ["run", Kernelad.SampleModel, "--input", input, "--tensor", "picture"], "\"picture\"", "input");
        Kernelad.Fails(3, ["run", Kernelad.SampleModel, "--input", input, "--taps", "recon,reconn"], "reconn", "gms_avg");
    }

    [Test]
    public void A_golden_case_of_another_model_or_of_none_is_refused()
    {
        Kernelad.Fails(3, ["verify", Kernelad.SampleModel, "--golden", Kernelad.Golden("vitad", "tiny")], "ViTAD", "InTra");
        Kernelad.Fails(3, ["verify", Kernelad.SampleModel, "--golden", _files.Folder], "case.json");
    }
}
