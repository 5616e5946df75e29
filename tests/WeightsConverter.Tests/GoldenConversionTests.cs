using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>Checkpoints that the published training codes wrote.</summary>
public class GoldenConversionTests
{
    private static readonly string[] InferredOfTiny = ["K=8", "L=5", "C=3", "N=5", "d_model=32", "grid_max=8"];
    private static readonly string[] InferredOfUtrad =
    [
        "backbone_base_width=4", "input_dim=28", "patch_size=[4,4,4]", "d_model=24", "num_encoder_layers=[2,1,1]", "num_decoder_layers=[1,1,2]", "dim_feedforward=48", "activation=\"gelu\"",
    ];

    private static readonly string[] InferredOfVtAdl =
    [
        "image_size=152", "patch_size=19", "dim=32", "depth=2", "mlp_dim=48", "caps_per_token=8", "in_dim_caps=4", "latent_c=8", "latent_h=2", "latent_w=2", "gaussians=10",
    ];

    private static readonly string[] SameWeights = ["weights.pth", "net.pth"];

    /// <summary>Storages are numbered in the order of the checkpoint's keys, which the model cards give; a zip reader that is not ours fetches them.</summary>
    [TestCase("intra/tiny", "weights.pth", "x_inpaint", 0)]
    [TestCase("intra/tiny", "weights.pth", "pos_embedding_glb", 2)]
    [TestCase("intra/tiny", "weights.pth", "encoder.layers.0.self_attn.MLP_q.0.weight", 25)]
    [TestCase("intra/tiny", "weights.pth", "encoder.layers.4.sublayer.1.norm.bias", 124)]
    [TestCase("intra/tiny", "weights.pth", "generator.proj.bias", 128)]
    [TestCase("intra/tiny_jhy12", "weights.pth", "lin_proj.weight", 3)]
    [TestCase("intra/tiny_jhy12", "weights.pth", "encoder.layers.4.feed_forward.w_2.weight", 119)]
    [TestCase("vitad/tiny", "weights.pth", "net_t.pos_embed", 1)]
    [TestCase("vitad/tiny", "weights.pth", "net_fusion.fc.weight", 66)]
    [TestCase("vitad/tiny", "weights.pth", "net_s.pos_embed", 69)]
    [TestCase("vitad/tiny", "net.pth", "net_t.patch_embed.proj.weight", 2)]
    [TestCase("vitad/tiny", "net.pth", "net_s.blocks.0.mlp.fc2.bias", 83)]
    [TestCase("uniad/tiny", "weights.pth", "backbone._conv_stem.weight", 0)]
    [TestCase("uniad/tiny", "weights.pth", "backbone._bn0.running_var", 4)]
    [TestCase("uniad/tiny", "weights.pth", "reconstruction.output_proj.bias", 297)]
    [TestCase("adtr/tiny", "weights.pth", "backbone._conv_stem.weight", 0)]
    [TestCase("vtadl/tiny", "weights.pth", "vt.pos_embedding", 0)]
    [TestCase("vtadl/tiny", "weights.pth", "decoder.decoder2.13.running_var", 59)]
    [TestCase("vtadl/tiny", "weights.pth", "Digcap.W", 63)]
    [TestCase("vtadl/tiny", "weights_mdn.pth", "mu.weight", 1)]
    [TestCase("vtadl/tiny", "weights_mdn.pth", "sigma_sq.weight", 2)]
    [TestCase("utrad/tiny", "weights.pth", "zeros", 0)]
    [TestCase("utrad/tiny", "weights.pth", "encoder.0.norm.weight", 32)]
    [TestCase("utrad/tiny", "weights.pth", "encoder.2.norm.weight", 32)]
    [TestCase("utrad/tiny", "weights.pth", "decoder.1.norm.bias", 77)]
    [TestCase("utrad/tiny", "weights.pth", "decoder.2.layers.1.multihead_attn.in_proj_weight", 118)]
    [TestCase("utrad/tiny", "backbone.pth", "backbone.conv1.weight", 0)]
    [TestCase("utrad/tiny", "backbone.pth", "backbone.layer3.1.bn2.running_var", 88)]
    public void Tensor_has_the_bytes_of_its_storage(string golden, string checkpoint, string name, int storage)
    {
        using Workspace w = new();
        string path = Fixtures.Golden($"{golden}/{checkpoint}");
        string[] files = [.. Fixtures.Checkpoints(golden).Skip(checkpoint == "net.pth" ? 1 : 0).Append(path).Distinct()];
        CheckpointConverter.Convert(files, w.Output, new ConversionOptions { Told = Fixtures.Config(golden) });
        using ZipArchive zip = ZipFile.OpenRead(path);
        using Stream entry = zip.Entries.Single(e => e.FullName.EndsWith($"/data/{storage}", StringComparison.Ordinal)).Open();
        using MemoryStream expected = new();
        entry.CopyTo(expected);

        using SafetensorsFile file = SafetensorsFile.Open(w.Output);
        byte[] actual = new byte[file.Entries[name].ByteCount];
        file.Read(name, actual);
        Assert.That(actual, Is.EqualTo(expected.ToArray()));
    }

    [TestCase("intra/tiny")]
    [TestCase("intra/tiny_jhy12")]
    [TestCase("vitad/tiny")]
    [TestCase("uniad/tiny")]
    [TestCase("uniad/tiny_masks")]
    [TestCase("adtr/tiny")]
    [TestCase("vtadl/tiny")]
    [TestCase("utrad/tiny")]
    public void Configuration_is_the_cases(string golden)
    {
        using Workspace w = new();
        JsonObject config = Fixtures.Config(golden);
        string[] files = Fixtures.Checkpoints(golden);
        ConversionReport report = CheckpointConverter.Convert(files, w.Output, new ConversionOptions { Told = config });
        JsonObject found = report.Model.Config;
        foreach ((string key, JsonNode? value) in config.Where(p => found.ContainsKey(p.Key)))
        {
            Assert.That(Agree(found[key], value), Is.True, $"{key}: {found[key]?.ToJsonString()} and {value?.ToJsonString()}");
        }

        Assert.That(report.Notes.Select(n => n.Key), Is.EqualTo(found.Select(p => p.Key)), "one note for every value");
        using ModelFile file = ModelFile.Open(w.Output);
        Assert.That(file.Notes, Is.EqualTo(report.Notes));
        Assert.That(file.Model.Config.ToJsonString(), Is.EqualTo(found.ToJsonString()));
        Assert.That(file.Parameters, Is.EqualTo(report.Parameters));
        Assert.That(file.Source.Select(f => f.File), Is.EqualTo(files.Select(Path.GetFileName)));
        Assert.That(file.Source.Select(f => f.Sha256), Has.All.Length.EqualTo(64));
    }

    [TestCase("uniad/tiny")]
    [TestCase("adtr/tiny")]
    public void Legacy_file_gives_the_same_weights(string golden)
    {
        using Workspace w = new(), v = new();
        ConversionOptions options = new() { Told = Fixtures.Config(golden) };
        CheckpointConverter.Convert([Fixtures.Golden(golden + "/weights.pth")], w.Output, options);
        CheckpointConverter.Convert([Fixtures.Golden(golden + "/weights_legacy.pth")], v.Output, options);
        using SafetensorsFile zip = SafetensorsFile.Open(w.Output), legacy = SafetensorsFile.Open(v.Output);
        Assert.That(legacy.Entries.Keys, Is.EquivalentTo(zip.Entries.Keys));
        Assert.That(zip.Entries.Keys.Where(k => !v.Read(k).SequenceEqual(w.Read(k))), Is.Empty);
    }

    /// <summary>Of a backbone of its own, strides and stages are all that a UniAD checkpoint does not show; what it does not use is listed.</summary>
    [Test]
    public void UniAD_says_what_it_is()
    {
        using Workspace w = new();
        JsonObject told = Fixtures.Config("uniad/tiny");
        foreach (string key in told.Select(t => t.Key).Where(k => k is not ("blocks" or "nominal_image_size")).ToArray())
        {
            told.Remove(key);
        }

        ConversionReport report = CheckpointConverter.Convert([Fixtures.Golden("uniad/tiny/weights.pth")], w.Output, new ConversionOptions { Told = told });
        JsonObject expected = Fixtures.Config("uniad/tiny");
        Assert.That(report.Model.Config.Where(c => expected.ContainsKey(c.Key) && !Agree(c.Value, expected[c.Key])), Is.Empty);
        Assert.That(
            report.SkippedKeys,
            Does.Contain("backbone._conv_head.weight").And.Contain("backbone._fc.bias").And.Contain("backbone._blocks.9._bn2.bias")
                .And.Contain("backbone._bn0.num_batches_tracked").And.Contain("optimizer"));
        Assert.That(report.Warnings, Is.Empty);
    }

    [Test]
    public void InTra_without_a_word_is_inferred_and_assumed()
    {
        using Workspace w = new();
        ConversionReport report = CheckpointConverter.Convert([Fixtures.Golden("intra/tiny/weights.pth")], w.Output);
        Assert.That(report.Told, Is.Empty);
        Assert.That(report.Inferred.Select(n => $"{n.Key}={n.Value}"), Is.EquivalentTo(InferredOfTiny));
        Assert.That(report.Assumed.Select(n => $"{n.Key}={n.Value}"), Does.Contain("h=8").And.Contain("image_h=64").And.Contain("long_skip=\"symmetric\""));
        Assert.That(report.SkippedKeys, Has.Count.EqualTo(37).And.Contains("pos_embedding_loc").And.Contains("encoder_layer.sublayer.1.norm.bias"));
        Assert.That(report.Warnings, Has.Some.Contains("long_skip").And.Some.Contains("mean_map"));
    }

    [Test]
    public void Training_state_and_flat_dictionary_give_the_same_weights()
    {
        using Workspace w = new();
        byte[][] data = [.. SameWeights.Select(name =>
        {
            CheckpointConverter.Convert([Fixtures.Golden("vitad/tiny/" + name)], w.Output, new ConversionOptions { Told = Fixtures.Config("vitad/tiny") });
            using SafetensorsFile file = SafetensorsFile.Open(w.Output);
            return File.ReadAllBytes(w.Output)[(int)file.Entries.Values.Min(e => e.Offset)..];
        })];
        Assert.That(data[1], Is.EqualTo(data[0]));
    }

    [TestCase("utrad/tiny", "weights.pth", "backbone.pth")]
    [TestCase("utrad/tiny", "weights_legacy.pth", "backbone.pth")]
    [TestCase("vtadl/tiny", "weights.pth", "weights_mdn.pth")]
    public void Two_files_give_the_same_weights_in_either_order_and_format(string golden, string first, string second)
    {
        using Workspace w = new();
        string[] files = [Fixtures.Golden($"{golden}/{first}"), Fixtures.Golden($"{golden}/{second}")];
        byte[][] data = [.. ((string[][])[Fixtures.Checkpoints(golden), files, [.. files.Reverse()]]).Select(order =>
        {
            CheckpointConverter.Convert(order, w.Output, new ConversionOptions { Told = Fixtures.Config(golden) });
            using SafetensorsFile file = SafetensorsFile.Open(w.Output);
            return File.ReadAllBytes(w.Output)[(int)file.Entries.Values.Min(e => e.Offset)..];
        })];
        Assert.That(data[1], Is.EqualTo(data[0]));
        Assert.That(data[2], Is.EqualTo(data[0]));
    }

    [Test]
    public void UTRAD_without_a_word_is_inferred_and_assumed()
    {
        using Workspace w = new();
        ConversionReport report = CheckpointConverter.Convert(Fixtures.Checkpoints("utrad/tiny"), w.Output);
        Assert.That(report.Told, Is.Empty);
        Assert.That(report.Inferred.Select(n => $"{n.Key}={n.Value}"), Is.EquivalentTo(InferredOfUtrad));
        Assert.That(report.Assumed.Select(n => n.Key), Is.EquivalentTo<string>(["backbone", "image", "nhead"]));

        // Of 191 tensors of the checkpoint and 122 of the backbone; what is left is known to be of no use.
        Assert.That(report.SkippedKeys, Has.Count.EqualTo(191 + 122 - report.Tensors));
        Assert.That(
            report.SkippedKeys.Where(k => !k.StartsWith("backbone.layer4.", StringComparison.Ordinal) && !k.EndsWith(".num_batches_tracked", StringComparison.Ordinal)),
            Is.EquivalentTo<string>(["backbone.fc.weight", "backbone.fc.bias"]));
    }

    [Test]
    public void VT_ADL_without_a_word_is_inferred_and_assumed()
    {
        using Workspace w = new();
        ConversionReport report = CheckpointConverter.Convert(Fixtures.Checkpoints("vtadl/tiny"), w.Output);
        Assert.That(report.Told, Is.Empty);
        Assert.That(report.Inferred.Select(n => $"{n.Key}={n.Value}"), Is.EquivalentTo(InferredOfVtAdl));
        Assert.That(report.Assumed.Select(n => $"{n.Key}={n.Value}"), Is.EquivalentTo<string>(["heads=8", "nll=\"weighted_sum\"", "ssim_sign=\"plus\"", "resize=163"]));
        Assert.That(report.SkippedKeys, Has.Count.EqualTo(5).And.All.Matches<string>(k => k.EndsWith(".num_batches_tracked", StringComparison.Ordinal)));
    }

    /// <summary>ADer freezes the teacher, so that its trained file holds the very table that timm resampled from the teacher's file.</summary>
    [TestCase("teacher_dino.pth")]
    [TestCase("teacher_dino_legacy.pth")]
    public void Teacher_from_its_own_file_equals_the_frozen_one(string teacher)
    {
        using Workspace w = new(), v = new();
        JsonObject config = Fixtures.Config("vitad/tiny");
        CheckpointConverter.Convert([Fixtures.Golden("vitad/tiny/net.pth")], w.Output, new ConversionOptions { Told = config });
        string student = v.Save(WithoutTeacher(Fixtures.Golden("vitad/tiny/net.pth")));
        ConversionReport report = CheckpointConverter.Convert(
            [Fixtures.Golden("vitad/tiny/" + teacher), student], v.Output, new ConversionOptions { Told = config });
        Assert.That(report.Warnings, Has.Some.Contains("from 3×3 to 5×5"));
        using ModelFile expected = ModelFile.Open(w.Output);
        foreach (string name in expected.Tensors.Keys)
        {
            Assert.That(v.Read(name), Is.EqualTo(w.Read(name)).Within(name == "net_t.pos_embed" ? 1e-6f : 0f), name);
        }
    }

    [TestCase("vitad/tiny/teacher_dino.pth", "teacher of a ViTAD")]
    [TestCase("vtadl/tiny/weights_mdn.pth", "mixture network of a VT-ADL")]
    [TestCase("utrad/tiny/backbone.pth", "backbone of a UTRAD")]
    [TestCase("vitad/tiny/io.safetensors", "safetensors")]
    [TestCase("vitad/tiny/case.json", "not a PyTorch checkpoint")]
    public void Other_fixtures_are_called_what_they_are(string file, string message)
    {
        using Workspace w = new();
        Assert.That(w.Fails([Fixtures.Golden(file)]).Message, Does.Contain(message));
    }

    /// <summary>Whether a value is what a case says: a model lists its backbone's blocks only as deep as it needs them, and more about each.</summary>
    private static bool Agree(JsonNode? found, JsonNode? told) => (found, told) switch
    {
        (JsonArray f, JsonArray t) => (f.Count == t.Count || (f.Count < t.Count && t[0] is JsonObject)) && f.Zip(t).All(p => Agree(p.First, p.Second)),
        (JsonObject f, JsonObject t) => t.All(p => Agree(f[p.Key], p.Value)),
        (JsonValue f, JsonValue t) when f.GetValueKind() == JsonValueKind.Number && t.GetValueKind() == JsonValueKind.Number => Number(f) == Number(t),
        _ => JsonNode.DeepEquals(found, told),
    };

    private static double Number(JsonValue value) => double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture);

    /// <summary>The archive's storages with a pickle of student and fusion only, taken from the converted file's shapes.</summary>
    private static byte[] WithoutTeacher(string path)
    {
        using Workspace w = new();
        CheckpointConverter.Convert([path], w.Output, new ConversionOptions { Told = Fixtures.Config("vitad/tiny") });
        using SafetensorsFile file = SafetensorsFile.Open(w.Output);
        TorchFile torch = new();
        Dictionary<string, object?> tensors = [];
        foreach ((string name, SafetensorsEntry entry) in file.Entries.Where(e => !e.Key.StartsWith("net_t.", StringComparison.Ordinal)))
        {
            tensors.Add("module." + name, torch.Float(w.Read(name), [.. entry.Shape.Extents.ToArray().Select(e => (long)e)]));
        }

        torch.Root = new Dictionary<string, object?> { ["net"] = tensors, ["epoch"] = 3 };
        return torch.Zip();
    }
}
