using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>Keys, shapes and told values that fit or do not fit.</summary>
public class LayoutTests
{
    [Test]
    public void All_faults_of_the_keys_are_listed_at_once()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors.Remove("encoder.norm.bias");
        tensors["generator.proj.bias"] = file.Float([1, 2], 2);
        tensors["something.else"] = file.Float([1], 1);
        Assert.That(
            w.Fails(file.Zip(), TinyModels.InTraTold).Message,
            Does.Contain("missing: \"encoder.norm.bias\" (4)")
                .And.Contain("wrong shape: \"generator.proj.bias\" (2) instead of (12)")
                .And.Contain("unexpected: \"something.else\""));
    }

    [Test]
    public void Message_about_thousands_of_keys_stays_short()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        View view = file.Float([1], 1);
        for (int i = 0; i < 5000; i++)
        {
            tensors[$"extra.{i}.{new string('x', 500)}"] = view;
        }

        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain("4992 more").And.Length.LessThan(3000));
    }

    [TestCase("K", 3, "lin_proj.weight")]
    [TestCase("N", 2, "encoder.layers")]
    [TestCase("d_model", 8, "lin_proj.weight")]
    [TestCase("grid_max", 5, "pos_embedding_glb")]
    public void Told_value_that_contradicts_a_tensor(string key, int value, string tensor)
    {
        using Workspace w = new();
        JsonObject told = TinyModels.InTraTold;
        told[key] = value;
        Assert.That(
            w.Fails(TinyModels.InTra().File.Zip(), told).Message,
            Does.Contain($"\"{key}\" = {value}").And.Contain(tensor).And.Contain("the file says"));
    }

    [TestCase("unheard_of", "1", "unheard_of")]
    [TestCase("h", "3", "2·h")]
    [TestCase("long_skip", "\"sideways\"", "symmetric")]
    [TestCase("image_h", "9", "divide")]
    public void Told_value_that_the_model_does_not_take(string key, string json, string message)
    {
        using Workspace w = new();
        JsonObject told = TinyModels.InTraTold;
        told[key] = JsonNode.Parse(json);
        Assert.That(w.Fails(TinyModels.InTra().File.Zip(), told).Message, Does.Contain(message));
    }

    [Test]
    public void Mean_map_is_stored_and_gives_the_pictures_size()
    {
        using Workspace w = new();
        float[] map = TinyModels.Values(new Random(3), 8 * 12);
        JsonObject config = TinyModels.InTraConfig;
        (config["image_w"], config["grid_max"]) = (12, 6);
        (TorchFile file, _) = TinyModels.Checkpoint("InTra", config);
        TorchFile mean = new();
        mean.Root = mean.Float(map, 1, 1, 8, 12);
        string[] files = [w.Save(mean.Zip(), "mean.pt"), w.Save(file.Legacy())];
        ConversionReport report = CheckpointConverter.Convert(files, w.Output, new ConversionOptions { Told = TinyModels.InTraTold });
        Assert.That(report.Model.ImageHeight, Is.EqualTo(8));
        Assert.That(report.Model.ImageWidth, Is.EqualTo(12));
        Assert.That(w.Read("mean_map"), Is.EqualTo(map));
        Assert.That(report.Warnings, Is.Empty);
        using Weights.ModelFile output = Weights.ModelFile.Open(w.Output);
        Assert.That(output.Source.Select(s => s.File), Is.EqualTo<string>(["mean.pt", "checkpoint.pth"]));
        Assert.That(output.Assumptions, Is.Empty);
    }

    [Test]
    public void Mean_map_that_does_not_fit()
    {
        using Workspace w = new();
        string checkpoint = w.Save(TinyModels.InTra().File.Zip());
        TorchFile mean = new();
        mean.Root = mean.Float(new float[16], 1, 1, 4, 4);
        JsonObject told = TinyModels.InTraTold;
        told["image_h"] = 8;
        Assert.That(w.Fails([checkpoint, w.Save(mean.Zip(), "mean.pt")], told).Message, Does.Contain("image_h").And.Contain("mean map"));
        mean.Root = mean.Float(new float[16], 4, 4);
        Assert.That(w.Fails([checkpoint, w.Save(mean.Zip(), "mean.pt")], TinyModels.InTraTold).Message, Does.Contain("mean.pt").And.Contain("(1, 1, 8, 8)"));
        mean.Root = mean.Float([.. Enumerable.Repeat(1f, 63), float.NaN], 1, 1, 8, 8);
        Assert.That(w.Fails([checkpoint, w.Save(mean.Zip(), "mean.pt")], TinyModels.InTraTold).Message, Does.Contain("mean.pt").And.Contain("index 63"));
        mean.Root = new Dictionary<string, object?> { ["map"] = mean.Float(new float[64], 1, 1, 8, 8) };
        Assert.That(w.Fails([checkpoint, w.Save(mean.Zip(), "mean.pt")], TinyModels.InTraTold).Message, Does.Contain("expected InTra's mean map"));
    }

    [Test]
    public void Local_positions_use_the_local_table()
    {
        using Workspace w = new();
        JsonObject config = TinyModels.InTraConfig;
        config["position"] = "local";
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("InTra", config);
        tensors["pos_embedding_glb"] = file.Float(new float[16 * 4], 1, 16, 4);
        ConversionReport report = w.Convert(file.Zip(), new JsonObject { ["position"] = "local", ["h"] = 2 });
        Assert.That(report.SkippedKeys, Is.EqualTo<string>(["pos_embedding_glb"]));
        Assert.That(report.Inferred.Single(n => n.Key == "L").Value, Is.EqualTo("3"));
        Assert.That(w.Read("pos_embedding_loc"), Has.Length.EqualTo(36));
    }

    [Test]
    public void Other_InTra_layout_is_named()
    {
        using Workspace w = new();
        TorchFile file = new();
        View view = file.Float([1], 1);
        file.Root = new Dictionary<string, object?>
        {
            ["hyper_parameters"] = new Reduce(new Global("argparse", "Namespace")),
            ["state_dict"] = new Dictionary<string, object?> { ["model.pos_embedding"] = view, ["model.linear_projection.weight"] = view, ["model.blocks.0.attn.qkv.weight"] = view },
        };
        Assert.That(w.Fails(file.Zip()).Message, Does.Contain("uzl/inpainting-transformer").And.Contain("ordinary attention"));
    }

    [TestCase("dist_token", "distilled DeiT")]
    [TestCase("norm_pre.weight", "CLIP")]
    [TestCase("fc_norm.weight", "MAE")]
    [TestCase("blocks.0.ls1.gamma", "DINOv2")]
    [TestCase("reg_token", "DINOv2")]
    [TestCase("mask_token", "DINOv2")]
    public void Teacher_variant_is_named(string key, string variant)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.VitAd();
        tensors["net_t." + key] = file.Float([1], 1);
        Assert.That(w.Fails(file.Zip(), TinyModels.VitAdTold).Message, Does.Contain(variant));
        (string student, Dictionary<string, object?> teacher, TorchFile teacherFile) = Split(w);
        teacher[key] = teacherFile.Float([1], 1);
        Assert.That(w.Fails([student, w.Save(teacherFile.Zip(), "teacher.pth")], TinyModels.VitAdTold).Message, Does.Contain(variant).And.Contain("teacher.pth"));
    }

    [Test]
    public void Teacher_without_bias_or_with_another_file_or_none()
    {
        using Workspace w = new();
        (string student, Dictionary<string, object?> teacher, TorchFile file) = Split(w);
        Assert.That(w.Fails([student], TinyModels.VitAdTold).Message, Does.Contain("teacher (net_t.*) is missing"));
        teacher.Remove("patch_embed.proj.bias");
        Assert.That(w.Fails([student, w.Save(file.Zip(), "teacher.pth")], TinyModels.VitAdTold).Message, Does.Contain("CLIP"));
        string inTra = w.Save(TinyModels.InTra().File.Zip(), "intra.pth");
        Assert.That(w.Fails([student, inTra], TinyModels.VitAdTold).Message, Does.Contain("one model at a time"));
        TorchFile moco = new();
        moco.Root = new Dictionary<string, object?> { ["state_dict"] = new Dictionary<string, object?> { ["module.base_encoder.cls_token"] = moco.Float([1], 1) } };
        Assert.That(w.Fails([student, w.Save(moco.Zip(), "moco.pth")], TinyModels.VitAdTold).Message, Does.Contain("MoCo v3"));
    }

    [Test]
    public void Teacher_whose_position_table_claims_more_than_memory_is_refused()
    {
        using Workspace w = new();
        (string student, Dictionary<string, object?> teacher, TorchFile file) = Split(w);
        teacher["pos_embed"] = file.Float([1], 1) with { Shape = [1, (40_000L * 40_000) + 1, 8], Strides = [0, 0, 0] };
        Assert.That(w.Fails([student, w.Save(file.Zip(), "teacher.pth")], TinyModels.VitAdTold).Message, Does.Contain("position table"));
    }

    [TestCase("")]
    [TestCase("teacher")]
    [TestCase("model")]
    [TestCase("state_dict")]
    public void Teacher_is_unwrapped(string entry)
    {
        using Workspace w = new();
        (string student, Dictionary<string, object?> teacher, TorchFile file) = Split(w);
        if (entry.Length > 0)
        {
            Dictionary<string, object?> inner = teacher.ToDictionary(t => "module.backbone." + t.Key, t => t.Value);
            inner["module.head.mlp.0.weight"] = file.Float([1], 1);
            file.Root = new Dictionary<string, object?> { ["epoch"] = 1, ["student"] = new Dictionary<string, object?>(), [entry] = inner };
        }

        string teacherPath = w.Save(file.Zip(), "teacher.pth");
        ConversionReport report = CheckpointConverter.Convert([student, teacherPath], w.Output, new ConversionOptions { Told = TinyModels.VitAdTold, Model = "vitad" });
        Assert.That(report.Warnings, Is.Empty);
        float[] actual = w.Read("net_t.blocks.1.mlp.fc1.weight");
        w.Convert(TinyModels.VitAd().File.Zip(), TinyModels.VitAdTold);
        Assert.That(actual, Is.EqualTo(w.Read("net_t.blocks.1.mlp.fc1.weight")));
    }

    [TestCase("heads", "heads")]
    [TestCase("teachers", "teachers")]
    [TestCase("neck", "neck")]
    public void What_cannot_be_assumed_must_be_told(string key, string message)
    {
        using Workspace w = new();
        JsonObject told = TinyModels.VitAdTold;
        told.Remove(key);
        Assert.That(w.Fails(TinyModels.VitAd().File.Zip(), told).Message, Does.Contain(message).And.Contain("--set"));
    }

    [Test]
    public void Published_depths_need_no_word()
    {
        using Workspace w = new();
        JsonObject config = new()
        {
            ["image"] = new JsonArray(64, 64),
            ["patch"] = 16,
            ["embed_dim"] = 64,
            ["heads"] = 1,
            ["teacher_depth"] = 12,
            ["student_depth"] = 9,
        };
        ConversionReport report = w.Convert(TinyModels.Checkpoint("ViTAD", config).File.Zip());
        Assert.That(report.Assumed.Select(n => $"{n.Key}={n.Value}"), Does.Contain("teachers=[3,6,9]").And.Contain("students=[3,6,9]").And.Contain("neck=[12]").And.Contain("heads=1"));
    }

    [Test]
    public void Wrong_model_is_told_what_the_file_is()
    {
        using Workspace w = new();
        string inTra = w.Save(TinyModels.InTra().File.Zip());
        Assert.That(
            () => CheckpointConverter.Convert([inTra], w.Output, new ConversionOptions { Model = "ViTAD" }),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("this is an InTra checkpoint"));
        Assert.That(
            () => CheckpointConverter.Convert([inTra], w.Output, new ConversionOptions { Model = "GPT" }),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("ADTR, InTra, "));
    }

    [TestCase("sigma_sq.weight", "VT-ADL")]
    [TestCase("layer1.0.conv1.weight", "ResNet")]
    [TestCase("who.knows", "who.knows")]
    public void Other_checkpoints_are_called_what_they_are(string key, string message)
    {
        using Workspace w = new();
        TorchFile file = new();
        file.Root = new Dictionary<string, object?> { ["state_dict"] = new Dictionary<string, object?> { [key] = file.Float([1], 1) } };
        Assert.That(w.Fails(file.Zip()).Message, Does.Contain(message).And.Contain("this build converts ADTR, InTra, "));
    }

    [TestCase(1L)]
    [TestCase("text")]
    [TestCase(null)]
    public void File_without_tensors_is_called_so(object? root)
    {
        using Workspace w = new();
        Assert.That(w.Fails(new TorchFile { Root = root }.Zip()).Message, Does.Contain("without weights"));
    }

    /// <summary>A ViTAD checkpoint without its teacher, saved, and the teacher's tensors.</summary>
    private static (string Student, Dictionary<string, object?> Teacher, TorchFile TeacherFile) Split(Workspace w)
    {
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.VitAd();
        (TorchFile teacherFile, Dictionary<string, object?> teacher) = TinyModels.VitAd();
        file.Root = tensors.Where(t => !t.Key.StartsWith("net_t.", StringComparison.Ordinal)).ToDictionary();
        Dictionary<string, object?> stripped = teacher
            .Where(t => t.Key.StartsWith("net_t.", StringComparison.Ordinal))
            .ToDictionary(t => t.Key["net_t.".Length..], t => t.Value);
        teacherFile.Root = stripped;
        return (w.Save(file.Zip(), "student.pth"), stripped, teacherFile);
    }
}
