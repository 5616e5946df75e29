using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>Checkpoints of UniAD and ADTR: names, configuration from "arch", from shapes and by word, and what does not fit.</summary>
public class FeatureReconstructionLayoutTests
{
    private const string Queries = "reconstruction.query_embed.weight";
    private const string LayerQueries = "reconstruction.transformer.decoder.layers.0.learned_embed.weight";
    private static readonly string[] Models = ["UniAD", "ADTR"];
    private static readonly string[] Unused =
        ["backbone._conv_head.weight", "backbone._bn1.running_var", "backbone._fc.bias", "backbone._blocks.3._bn1.weight", "backbone._bn0.num_batches_tracked"];

    /// <summary>4×2 tokens, a backbone of three blocks whose first and third are tapped.</summary>
    private static JsonObject Config => new()
    {
        ["backbone"] = "narrow",
        ["blocks"] = new JsonArray(Block(1, true, 1, 4, 4), Block(2, true, 2, 4, 6), Block(1, false, 2, 6, 6)),
        ["nominal_image_size"] = 12,
        ["outblocks"] = new JsonArray(0, 2),
        ["outstride"] = 4,
        ["image"] = new JsonArray(16, 8),
        ["hidden_dim"] = 8,
        ["nhead"] = 2,
        ["num_encoder_layers"] = 1,
        ["num_decoder_layers"] = 2,
        ["dim_feedforward"] = 12,
        ["image_score_avgpool"] = 4,
    };

    /// <summary>What the tensors of such an ADTR do not show.</summary>
    private static JsonObject ToldAdtr => Only("backbone", "blocks", "nominal_image_size", "outblocks", "outstride", "nhead", "image_score_avgpool");

    /// <summary>And of such a UniAD.</summary>
    private static JsonObject Told => new(ToldAdtr.Select(t => new KeyValuePair<string, JsonNode?>(t.Key, t.Value?.DeepClone()))) { ["neighbor_mask"] = false };

    /// <summary>A published backbone, cut after the fourth layer, and a small transformer.</summary>
    private static JsonObject PublishedBackbone => new()
    {
        ["backbone"] = "efficientnet_b0",
        ["image"] = new JsonArray(32, 48),
        ["hidden_dim"] = 8,
        ["num_encoder_layers"] = 1,
        ["num_decoder_layers"] = 1,
        ["dim_feedforward"] = 8,
    };

    [Test]
    public void Everything_is_prefixed_and_the_unused_is_listed([ValueSource(nameof(Models))] string name)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint(name, Config);
        JsonObject told = name == "ADTR" ? ToldAdtr : Told;
        w.Convert(file.Zip(), told);
        float[] expected = w.Read("reconstruction.transformer.decoder.norm.weight");
        Array.ForEach(Unused, key => tensors[key] = file.Float([1], 1));
        file.Root = new Dictionary<string, object?>
        {
            ["epoch"] = 3,
            ["state_dict"] = tensors.ToDictionary(t => "module." + t.Key, t => t.Value),
            ["optimizer"] = new Dictionary<string, object?> { ["state"] = new Dictionary<string, object?>() },
        };
        ConversionReport report = w.Convert(file.Legacy(), told);
        Assert.That(report.SkippedKeys, Is.EquivalentTo((string[])[.. Unused, "optimizer"]));
        Assert.That(report.Warnings, Is.Empty);
        Assert.That(w.Read("reconstruction.transformer.decoder.norm.weight"), Is.EqualTo(expected));
        Assert.That(
            report.Inferred.Select(n => $"{n.Key}={n.Value}"),
            Does.Contain("image=[16,8]").And.Contain("feature_size=[4,2]").And.Contain("inplanes=10").And.Contain("dim_feedforward=12"));
        Assert.That(report.Model.Config["blocks"]!.AsArray(), Has.Count.EqualTo(3));
    }

    [Test]
    public void Arch_names_what_no_tensor_shows_and_the_users_word_goes_before_it()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", Config);
        file.Root = new Dictionary<string, object?> { ["state_dict"] = tensors, ["arch"] = Arch() };
        JsonObject told = Only("blocks", "nominal_image_size", "image_score_avgpool");
        ConversionReport report = w.Convert(file.Zip(), told);
        Assert.That(
            report.Inferred.Select(n => $"{n.Key}={n.Value}"),
            Does.Contain("backbone=\"models.backbones.narrow\"").And.Contain("outblocks=[0,2]").And.Contain("outstride=4").And.Contain("nhead=4")
                .And.Contain("activation=\"gelu\"").And.Contain("neighbor_mask={\"neighbor_size\":[1,0],\"mask\":[true,false,true]}"));
        Assert.That(report.Assumed.Select(n => n.Key), Is.EquivalentTo((string[])["padding", "image_score", "interpolation"]));

        told["nhead"] = 2;
        told["neighbor_mask"] = null;
        report = w.Convert(file.Zip(), told);
        Assert.That(report.Told.Select(n => $"{n.Key}={n.Value}"), Does.Contain("nhead=2").And.Contain("neighbor_mask=false"));
    }

    [Test]
    public void Arch_without_masks_means_none_and_no_arch_the_published_ones()
    {
        using Workspace w = new();
        JsonObject config = PublishedBackbone;
        config["image"] = new JsonArray(128, 128);
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", config);
        Assert.That(w.Convert(file.Zip()).Model.Config["neighbor_mask"]!.ToJsonString(), Is.EqualTo("{\"neighbor_size\":[7,7],\"mask\":[true,true,true]}"));
        List<object?> arch = Arch(mask: false);
        arch.RemoveRange(0, 2);
        file.Root = new Dictionary<string, object?> { ["state_dict"] = tensors, ["arch"] = arch };
        Assert.That(w.Convert(file.Zip()).Model.Config["neighbor_mask"]!.ToJsonString(), Is.EqualTo("false"));
    }

    [TestCase(1)]
    [TestCase("text")]
    [TestCase(null)]
    public void Strange_arch_is_none(object? arch)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", Config);
        file.Root = new Dictionary<string, object?>
        {
            ["state_dict"] = tensors,
            ["arch"] = new List<object?>
            {
                arch, new Dictionary<string, object?> { ["name"] = "reconstruction", ["kwargs"] = arch }, new Dictionary<string, object?> { ["name"] = arch },
            },
        };
        Assert.That(w.Convert(file.Zip(), Told).Told.Select(n => n.Key), Does.Contain("nhead"));
    }

    [Test]
    public void Published_backbone_is_recognised_by_its_shapes()
    {
        using Workspace w = new();
        ConversionReport report = w.Convert(TinyModels.Checkpoint("UniAD", PublishedBackbone).File.Zip(), new JsonObject { ["neighbor_mask"] = false });
        Assert.That(
            report.Inferred.Concat(report.Assumed).Select(n => $"{n.Key}={n.Value}"),
            Does.Contain("backbone=\"efficientnet_b0\"").And.Contain("outblocks=[0,2,4,10]").And.Contain("image=[32,48]").And.Contain("padding=\"static\""));
        Assert.That(report.Model.Config.ContainsKey("blocks"), Is.False);
    }

    [TestCase("[10]", 112)]
    [TestCase("[0,2,4]", 80)]
    public void Tapped_layers_follow_from_the_channels_or_must_be_told(string outblocks, int channels)
    {
        using Workspace w = new();
        JsonObject config = PublishedBackbone;
        config["outblocks"] = JsonNode.Parse(outblocks);
        byte[] file = TinyModels.Checkpoint("UniAD", config).File.Zip();
        JsonObject told = new() { ["neighbor_mask"] = false };
        if (outblocks == "[10]")
        {
            Assert.That(
                w.Fails(file, told).Message,
                Does.Contain($"\"reconstruction.input_proj.weight\" has shape (8, {channels})")
                    .And.Contain("\"backbone._blocks.2._project_conv.weight\" has shape (24, 144, 1, 1)").And.Contain("outblocks"));
            told["outblocks"] = JsonNode.Parse(outblocks);
        }

        Assert.That(w.Convert(file, told).Model.Config["outblocks"]!.ToJsonString(), Is.EqualTo(outblocks));
    }

    [Test]
    public void ADers_names_give_the_same_weights([Values] bool flat)
    {
        using Workspace w = new();
        JsonObject told = new() { ["neighbor_mask"] = false };
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", PublishedBackbone);
        w.Convert(file.Zip(), told);
        Dictionary<string, float[]> expected = tensors.Keys.ToDictionary(k => k, w.Read);

        Dictionary<string, object?> ader = tensors.ToDictionary(t => Ader(t.Key), t => t.Value);
        ader["net_backbone.bn1.num_batches_tracked"] = file.Float([1], 1);
        file.Root = flat ? ader : new Dictionary<string, object?> { ["net"] = ader, ["optimizer"] = 1, ["epoch"] = 2 };
        ConversionReport report = w.Convert(file.Zip());
        Assert.That(report.Warnings, Has.Some.Contains("ADer"));
        Assert.That(report.SkippedKeys, Does.Contain("backbone._bn0.num_batches_tracked"));
        Assert.That(report.Assumed.Single(n => n.Key == "padding"), Has.Property("Value").EqualTo("\"dynamic\"").And.Property("Reason").Contains("not compared"));
        Assert.That(
            report.Assumed.Single(n => n.Key == "neighbor_mask"), Has.Property("Value").Contains("[1,1]").And.Property("Reason").Contains("ADer"), "a 32nd of 32 pixels");
        Assert.That(expected.Keys.Where(k => !w.Read(k).SequenceEqual(expected[k])), Is.Empty);
    }

    [Test]
    public void Two_names_for_one_tensor_are_refused()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", PublishedBackbone);
        Dictionary<string, object?> ader = tensors.ToDictionary(t => Ader(t.Key), t => t.Value);
        ader["reconstruction.input_proj.bias"] = file.Float([1, 2], 2);
        file.Root = ader;
        Assert.That(w.Fails(file.Zip()).Message, Does.Contain("net_ad.input_proj.bias").And.Contain("(8)").And.Contain("\"reconstruction.input_proj.bias\" (2)"));
    }

    [TestCase("")]
    [TestCase("backbone.")]
    [TestCase("module.backbone.")]
    public void Backbone_comes_from_a_file_of_its_own(string prefix)
    {
        using Workspace w = new();
        (string rest, Dictionary<string, object?> backbone, TorchFile file) = Split(w);
        file.Root = backbone.ToDictionary(t => prefix + t.Key, t => t.Value);
        string path = w.Save(file.Legacy(), "backbone.pth");
        CheckpointConverter.Convert([path, rest], w.Output, new ConversionOptions { Told = ToldAdtr });
        float[] found = w.Read("backbone._blocks.1._expand_conv.weight");
        w.Convert(TinyModels.Checkpoint("ADTR", Config).File.Zip(), ToldAdtr);
        Assert.That(found, Is.EqualTo(w.Read("backbone._blocks.1._expand_conv.weight")));
    }

    [Test]
    public void Backbone_that_is_missing_or_something_else()
    {
        using Workspace w = new();
        (string rest, Dictionary<string, object?> backbone, TorchFile file) = Split(w);
        Assert.That(w.Fails([rest], ToldAdtr).Message, Does.Contain("backbone").And.Contain("efficientnet-b4-6ed6700e.pth"));
        foreach ((string key, string what) in new[]
        {
            ("layer1.0.conv1.weight", "a ResNet"), ("features.0.0.weight", "torchvision's EfficientNet"),
            ("patch_embed.proj.weight", "vision transformer"), ("who.knows", "who.knows"),
        })
        {
            file.Root = new Dictionary<string, object?> { [key] = file.Float([1], 1) };
            Assert.That(w.Fails([rest, w.Save(file.Zip(), "backbone.pth")], ToldAdtr).Message, Does.Contain(what), key);
        }

        file.Root = new Dictionary<string, object?>(backbone);
        string good = w.Save(file.Zip(), "backbone.pth");
        Assert.That(w.Fails([rest, good, good], ToldAdtr).Message, Does.Contain("one file too many"));
        Assert.That(w.Fails([good], ToldAdtr).Message, Does.Contain("an EfficientNet backbone"));
    }

    [TestCase("backbone.layer1.0.conv1.weight", "a ResNet")]
    [TestCase("backbone.features.0.0.weight", "torchvision's EfficientNet")]
    [TestCase("backbone.what.weight", "_conv_stem.weight")]
    public void Other_backbone_within_the_checkpoint_is_named(string key, string message)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", Config);
        foreach (string own in tensors.Keys.Where(k => k.StartsWith("backbone.", StringComparison.Ordinal)).ToArray())
        {
            tensors.Remove(own);
        }

        tensors[key] = file.Float([1], 1);
        Assert.That(w.Fails(file.Zip(), Told).Message, Does.Contain(message).And.Contain("lukemelas"));
    }

    [Test]
    public void One_model_given_as_the_other_is_called_what_it_is()
    {
        using Workspace w = new();
        foreach (string name in Models)
        {
            string path = w.Save(TinyModels.Checkpoint(name, Config).File.Zip());
            Assert.That(
                () => CheckpointConverter.Convert([path], w.Output, new ConversionOptions { Model = Models.Single(m => m != name), Told = Told }),
                Throws.TypeOf<CheckpointException>().With.Message.Contains($"{name} checkpoint"));
        }
    }

    [Test]
    public void Queries_of_both_models_in_one_file_are_refused()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("ADTR", Config);
        tensors[LayerQueries] = file.Float(new float[64], 8, 8);
        Assert.That(w.Fails(file.Zip(), ToldAdtr).Message, Does.Contain($"unexpected: \"{LayerQueries}\""));
    }

    [Test]
    public void Mixed_prefixes_are_refused()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("UniAD", Config);
        int half = tensors.Count / 2;
        file.Root = tensors.Select((t, i) => (Key: i < half ? "module." + t.Key : t.Key, t.Value)).ToDictionary(t => t.Key, t => t.Value);
        Assert.That(
            w.Fails(file.Zip(), Told).Message,
            Does.Contain($"{half} begin with \"module.\"").And.Contain("\"module.backbone._conv_stem.weight\" (4, 3, 3, 3)").And.Contain("mixed"));
    }

    [Test]
    public void Feature_sizes_that_do_not_multiply_out([ValueSource(nameof(Models))] string name)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint(name, Config);
        JsonObject told = name == "ADTR" ? ToldAdtr : Told;
        tensors["reconstruction.pos_embed.row_embed.weight"] = file.Float(new float[12], 3, 4);
        string queries = name == "ADTR" ? Queries : LayerQueries;
        Assert.That(
            w.Fails(file.Zip(), told).Message,
            Does.Contain($"\"{queries}\" has shape (8, 8)")
                .And.Contain("row_embed.weight\" has shape (3, 4)").And.Contain("col_embed.weight\" has shape (2, 4)").And.Contain("3·2 = 6 tokens"));
        tensors[queries] = file.Float([], 0, 8);
        Assert.That(w.Fails(file.Zip(), told).Message, Does.Contain($"\"{queries}\" has shape (0, 8)"));
    }

    [Test]
    public void Picture_and_stride_that_do_not_fit_the_grid()
    {
        using Workspace w = new();
        byte[] file = TinyModels.Checkpoint("ADTR", Config).File.Zip();
        JsonObject told = ToldAdtr;
        told["image"] = new JsonArray(32, 16);
        Assert.That(w.Fails(file, told).Message, Does.Contain("\"image\" = [32,16]").And.Contain("[16,8]"));
        told.Remove("outstride");
        ConversionReport report = w.Convert(file, told);
        Assert.That(report.Inferred.Single(n => n.Key == "outstride").Value, Is.EqualTo("8"), "the picture's size shows the stride");
        File.Delete(w.Output);
        told["image"] = new JsonArray(32, 17);
        Assert.That(w.Fails(file, told).Message, Does.Contain("\"image\" = [32,17]"));
        told.Remove("image");
        told["outstride"] = 0;
        Assert.That(w.Fails(file, told).Message, Does.Contain("outstride"));
        told["outstride"] = 3;
        Assert.That(w.Fails(file, told).Message, Does.Contain("image").And.Contain("multiples"));
    }

    [TestCase("kernel", 5, "\"backbone._blocks.1._depthwise_conv.weight\" has shape (8, 1, 3, 3)")]
    [TestCase("expand", 3, "\"backbone._blocks.1._depthwise_conv.weight\" has shape (8, 1, 3, 3)")]
    [TestCase("cin", 5, "\"backbone._blocks.1._expand_conv.weight\" has shape (8, 4, 1, 1)")]
    [TestCase("cout", 7, "\"backbone._blocks.1._project_conv.weight\" has shape (6, 8, 1, 1)")]
    public void Told_block_that_contradicts_a_tensor(string key, int value, string message)
    {
        using Workspace w = new();
        JsonObject told = Told;
        told["blocks"]![1]![key] = value;
        byte[] file = TinyModels.Checkpoint("UniAD", Config).File.Zip();
        Assert.That(w.Fails(file, told).Message, Does.Contain($"\"blocks[1].{key}\" = {value}").And.Contain(message));
    }

    [Test]
    public void Told_blocks_are_completed_from_the_tensors()
    {
        using Workspace w = new();
        JsonObject told = Told;
        foreach (JsonNode? block in told["blocks"]!.AsArray())
        {
            Array.ForEach((string[])["kernel", "expand", "cin", "cout"], key => block!.AsObject().Remove(key));
        }

        ConversionReport report = w.Convert(TinyModels.Checkpoint("UniAD", Config).File.Zip(), told);
        Assert.That(report.Model.Config["blocks"]!.ToJsonString(), Is.EqualTo(Config["blocks"]!.ToJsonString()));
    }

    [TestCase("backbone")]
    [TestCase("blocks")]
    [TestCase("nominal_image_size")]
    [TestCase("outblocks")]
    public void What_no_tensor_shows_of_an_unknown_backbone_must_be_told(string key)
    {
        using Workspace w = new();
        JsonObject told = Told;
        told.Remove(key);
        Assert.That(w.Fails(TinyModels.Checkpoint("UniAD", Config).File.Zip(), told).Message, Does.Contain($"\"{key}\"").And.Contain("--set"));
    }

    [TestCase("outblocks", "[0,3]", "_blocks.3._project_conv.weight")]
    [TestCase("outblocks", "[]", "outblocks")]
    [TestCase("outblocks", "[-1]", "outblocks")]
    [TestCase("outblocks", "[0,1,2]", "4 (\"backbone._blocks.0._project_conv.weight\" has shape (4, 4, 1, 1)) + 6")]
    [TestCase("blocks", "[]", "blocks")]
    [TestCase("blocks", "[{\"kernel\":3,\"stride\":1}]", "first_of_stage")]
    [TestCase("blocks", "[{\"stride\":1,\"first_of_stage\":false}]", "does not go on")]
    [TestCase("blocks", "[1]", "blocks")]
    [TestCase("nhead", "3", "hidden_dim")]
    [TestCase("image_score_avgpool", "9", "16×8")]
    [TestCase("image_score_avgpool", "[4,3]", "square")]
    [TestCase("neighbor_mask", "{\"neighbor_size\":[4,2],\"mask\":[true,true,true]}", "nothing to see")]
    [TestCase("neighbor_mask", "{\"neighbor_size\":[4],\"mask\":[true,true,true]}", "neighbor_mask.neighbor_size")]
    [TestCase("neighbor_mask", "{\"neighbor_size\":[1,1],\"mask\":[true,true]}", "neighbor_mask.mask")]
    [TestCase("neighbor_mask", "{\"neighbor_size\":[1,1],\"mask\":[true,true,true],\"size\":1}", "neighbor_mask.size")]
    [TestCase("neighbor_mask", "7", "neighbor_mask")]
    [TestCase("padding", "\"reflect\"", "static")]
    [TestCase("backbone", "1", "backbone")]
    public void Told_value_that_does_not_fit(string key, string json, string message)
    {
        using Workspace w = new();
        JsonObject told = Told;
        told[key] = JsonNode.Parse(json);
        Assert.That(w.Fails(TinyModels.Checkpoint("UniAD", Config).File.Zip(), told).Message, Does.Contain(message));
    }

    [Test]
    public void Generous_names_of_ADTR()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("ADTR", Config);
        w.Convert(file.Zip(), ToldAdtr);
        float[] queries = w.Read(Queries), projection = w.Read("reconstruction.input_proj.weight");
        File.Delete(w.Output);
        float[] positions = TinyModels.Values(new Random(5), 64);
        Rename(Queries, "reconstruction.transformer.decoder.learned_embed.weight");
        tensors["reconstruction.input_proj.weight"] = ((View)tensors["reconstruction.input_proj.weight"]!) with { Shape = [8, 10], Strides = [10, 1] };
        tensors["reconstruction.output_proj.weight"] = ((View)tensors["reconstruction.output_proj.weight"]!) with { Shape = [10, 8], Strides = [8, 1] };
        tensors.Remove("reconstruction.pos_embed.row_embed.weight");
        tensors.Remove("reconstruction.pos_embed.col_embed.weight");
        tensors["reconstruction.position.weight"] = file.Float(positions, 8, 8);

        JsonObject told = ToldAdtr;
        Assert.That(w.Fails(file.Zip(), told).Message, Does.Contain("no square grid").And.Contain("feature_size"));
        told["feature_size"] = new JsonArray(2, 2);
        Assert.That(w.Fails(file.Zip(), told).Message, Does.Contain("[2, 2]").And.Contain("(8, 8)"));
        told["feature_size"] = new JsonArray(4, 2);
        ConversionReport report = w.Convert(file.Zip(), told);
        Assert.That(report.Warnings, Has.Exactly(2).Contains("is taken for"));
        Assert.That(report.Inferred.Single(n => n.Key == "pos_embed_type").Value, Is.EqualTo("\"table\""));
        Assert.That(w.Read(Queries), Is.EqualTo(queries));
        Assert.That(w.Read("reconstruction.input_proj.weight"), Is.EqualTo(projection));
        Assert.That(w.Read(Adtr.PositionKey), Is.EqualTo(positions));
        using ModelFile model = ModelFile.Open(w.Output);
        Assert.That(model.Tensors["reconstruction.output_proj.weight"].Shape, Is.EqualTo(new Tensors.Shape(10, 8, 1, 1)));

        void Rename(string old, string name)
        {
            tensors[name] = tensors[old];
            tensors.Remove(old);
        }
    }

    private static JsonObject Block(int stride, bool first, int expand, int cin, int cout) => new()
    {
        ["kernel"] = 3,
        ["stride"] = stride,
        ["first_of_stage"] = first,
        ["expand"] = expand,
        ["cin"] = cin,
        ["cout"] = cout,
    };

    private static JsonObject Only(params string[] keys) =>
        new(Config.Where(c => keys.Contains(c.Key)).Select(c => new KeyValuePair<string, JsonNode?>(c.Key, c.Value?.DeepClone())));

    /// <summary>The entry of a checkpoint that describes <see cref="Config"/>, but for its heads.</summary>
    private static List<object?> Arch(bool mask = true)
    {
        Dictionary<string, object?> reconstruction = new() { ["nhead"] = 4, ["activation"] = "gelu" };
        if (mask)
        {
            reconstruction["neighbor_mask"] = new Dictionary<string, object?>
            {
                ["neighbor_size"] = new List<object?> { 1, 0 },
                ["mask"] = new List<object?> { true, false, true },
            };
        }

        return
        [
            Part("backbone", "models.backbones.narrow", new() { ["outblocks"] = new List<object?> { 0, 2 } }),
            Part("neck", "models.necks.MFCN", new() { ["outstrides"] = new List<object?> { 4 } }),
            Part("reconstruction", "models.reconstructions.UniAD", reconstruction),
        ];

        static Dictionary<string, object?> Part(string name, string type, Dictionary<string, object?> arguments) =>
            new() { ["name"] = name, ["type"] = type, ["kwargs"] = arguments };
    }

    /// <summary>An ADTR checkpoint without its backbone, saved, and the backbone's tensors.</summary>
    private static (string Checkpoint, Dictionary<string, object?> Backbone, TorchFile BackboneFile) Split(Workspace w)
    {
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("ADTR", Config);
        (TorchFile backboneFile, Dictionary<string, object?> backbone) = TinyModels.Checkpoint("ADTR", Config);
        file.Root = tensors.Where(t => !t.Key.StartsWith("backbone.", StringComparison.Ordinal)).ToDictionary();
        return (
            w.Save(file.Zip(), "rest.pth"),
            backbone.Where(t => t.Key.StartsWith("backbone.", StringComparison.Ordinal)).ToDictionary(t => t.Key["backbone.".Length..], t => t.Value),
            backboneFile);
    }

    /// <summary>
    /// What ADer and timm call a tensor of a UniAD with an EfficientNet-B0: stages of 1, 2, 2, 3, 3 blocks, the first of which does not widen.
    /// </summary>
    private static string Ader(string key)
    {
        if (key.StartsWith("reconstruction.", StringComparison.Ordinal))
        {
            return "net_ad." + key["reconstruction.".Length..];
        }

        string[] parts = key.Split('.');
        if (parts[1] != "_blocks")
        {
            return $"net_backbone.{(parts[1] == "_bn0" ? "bn1" : "conv_stem")}.{parts[2]}";
        }

        int block = int.Parse(parts[2], System.Globalization.CultureInfo.InvariantCulture), stage = 0;
        foreach (int blocks in new[] { 1, 2, 2, 3, 3 })
        {
            if (block < blocks)
            {
                break;
            }

            block -= blocks;
            stage++;
        }

        string layer = (parts[3], stage) switch
        {
            ("_depthwise_conv", _) => "conv_dw",
            ("_se_reduce", _) => "se.conv_reduce",
            ("_se_expand", _) => "se.conv_expand",
            ("_project_conv", 0) => "conv_pw",
            ("_bn1", 0) => "bn1",
            ("_bn2", 0) => "bn2",
            ("_expand_conv", _) => "conv_pw",
            ("_bn0", _) => "bn1",
            ("_bn1", _) => "bn2",
            ("_project_conv", _) => "conv_pwl",
            _ => "bn3",
        };
        return $"net_backbone.blocks.{stage}.{block}.{layer}.{parts[4]}";
    }
}
