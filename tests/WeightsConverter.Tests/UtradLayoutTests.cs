using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>UTRAD's checkpoint and its backbone: what fits together, and what does not.</summary>
public class UtradLayoutTests
{
    [TestCase(true)]
    [TestCase(false)]
    public void Backbone_with_and_without_counters_of_batches(bool counters)
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        if (counters)
        {
            backbone.Tensors["bn1.num_batches_tracked"] = backbone.File.Add("LongStorage", new byte[8], 8);
        }

        backbone.Tensors["fc.bias"] = backbone.File.Float([1], 1);
        ConversionReport report = Convert(w, checkpoint, backbone);
        Assert.That(report.SkippedKeys, Is.EquivalentTo<string>(counters ? ["backbone.bn1.num_batches_tracked", "backbone.fc.bias"] : ["backbone.fc.bias"]));
        Assert.That(report.Inferred.Select(n => $"{n.Key}={n.Value}"), Does.Contain("activation=\"relu\"").And.Contain("patch_size=[16,4]").And.Contain("num_decoder_layers=[2,1]"));
        Assert.That(w.Read("backbone.layer2.0.downsample.0.weight"), Has.Length.EqualTo(8));
    }

    [Test]
    public void Without_the_backbone_the_message_says_what_is_needed()
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        string first = w.Save(checkpoint.File.Legacy(), "checkpoint.pth"), second = w.Save(backbone.File.Zip(), "resnet18.pth");
        Assert.That(w.Fails([first], TinyModels.UtradTold).Message, Does.Contain("backbone is missing").And.Contain("resnet18-f37072fd.pth").And.Contain("checkpoint.pth"));
        Assert.That(w.Fails([second], TinyModels.UtradTold).Message, Does.Contain("resnet18.pth").And.Contain("the backbone of a UTRAD"));
        Assert.That(w.Fails([first, first], TinyModels.UtradTold).Message, Does.Contain("already"));
        Assert.That(w.Fails([first, second, second], TinyModels.UtradTold).Message, Does.Contain("one file too many"));
        string mixture = w.Save(TinyModels.VtAdl().Mixture.File.Zip(), "mixture.pt");
        Assert.That(w.Fails([first, mixture], TinyModels.UtradTold).Message, Does.Contain("mixture.pt").And.Contain("expected UTRAD's backbone").And.Contain("mixture network"));
    }

    [Test]
    public void Backbone_whose_channels_do_not_add_up()
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        checkpoint.Tensors["pre_conv.weight"] = checkpoint.File.Float(new float[8 * 15], 8, 15, 1, 1);
        Assert.That(
            Fails(w, checkpoint, backbone),
            Does.Contain("\"pre_conv.weight\"").And.Contain("(8, 15, 1, 1)").And.Contain("\"conv1.weight\" (2, 3, 7, 7)").And.Contain("2 + 4 + 8 = 14").And.Contain("backbone.pth"));
    }

    [TestCase("layer2.2.conv1.weight", "2, 3, 2 blocks of two convolutions")]
    [TestCase("layer1.0.conv3.weight", "2, 2, 2 blocks of three convolutions")]
    public void Deeper_ResNet_is_recognised(string key, string message)
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        backbone.Tensors[key] = backbone.File.Float([1], 1);
        Assert.That(Fails(w, checkpoint, backbone), Does.Contain("expected a ResNet-18").And.Contain(message).And.Contain("backbone.pth"));
    }

    [TestCase("position_embedding.1.weight", new[] { 4, 8 }, "(8, 4096), expected (8, 1024)")]
    [TestCase("position_embedding.1.weight", new[] { 15, 8 }, "15 rows, expected the square of a window's side")]
    [TestCase("global_position_embedding.weight", new[] { 8, 4095 }, "(8, 4095), expected (8, 4096)")]
    [TestCase("bottle_neck.1.0.weight", new[] { 4, 8 }, "wrong shape: \"bottle_neck.1.0.weight\" (4, 8) instead of (2, 8)")]
    [TestCase("final_layer2.12.weight", new[] { 2, 1, 1, 1 }, "(2, 1, 1, 1) instead of (1, 1, 1, 1)")]
    public void Sizes_that_do_not_multiply_out(string tensor, int[] shape, string message)
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        checkpoint.Tensors[tensor] = checkpoint.File.Float(new float[shape.Aggregate(1, (a, b) => a * b)], [.. shape.Select(e => (long)e)]);
        Assert.That(Fails(w, checkpoint, backbone), Does.Contain(tensor.StartsWith("position", StringComparison.Ordinal) ? "position_embedding" : tensor).And.Contain(message));
    }

    [Test]
    public void Windows_of_another_grid_than_the_scores()
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        checkpoint.Tensors["position_embedding.1.weight"] = checkpoint.File.Float(new float[4 * 8], 4, 8);
        checkpoint.Tensors["global_position_embedding.weight"] = checkpoint.File.Float(new float[8 * 1024], 8, 1024);
        Assert.That(Fails(w, checkpoint, backbone), Does.Contain("\"patch_size\" is [16, 2]").And.Contain("product is 64"));
    }

    [Test]
    public void Activation_comes_from_the_training_arguments()
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        JsonObject told = TinyModels.UtradTold;
        told["activation"] = "gelu";
        Assert.That(Fails(w, checkpoint, backbone, told), Does.Contain("told \"activation\" = \"gelu\", but the file says \"relu\""));

        Dictionary<string, object?> root = (Dictionary<string, object?>)checkpoint.File.Root!;
        root["args"] = new Dictionary<string, object?> { ["activation"] = "glu" };
        Assert.That(Fails(w, checkpoint, backbone), Does.Contain("\"activation\" is \"glu\"").And.Contain("\"relu\""));

        root.Remove("args");
        Assert.That(Convert(w, checkpoint, backbone).Assumed.Select(n => $"{n.Key}={n.Value}"), Does.Contain("activation=\"gelu\""));
        Assert.That(Convert(w, checkpoint, backbone, told).Told.Select(n => n.Key), Does.Contain("activation"));
    }

    [Test]
    public void Every_tensor_is_missed_and_measured([Values] StrangeShape kind)
    {
        using Workspace w = new();
        (TinyFile checkpoint, TinyFile backbone) = TinyModels.Utrad();
        Strange.CheckEvery(w, TinyModels.UtradTold, kind, checkpoint, backbone);
    }

    private static string[] Files(Workspace w, TinyFile checkpoint, TinyFile backbone) =>
        [w.Save(checkpoint.File.Zip()), w.Save(backbone.File.Zip(), "backbone.pth")];

    private static ConversionReport Convert(Workspace w, TinyFile checkpoint, TinyFile backbone, JsonObject? told = null) =>
        CheckpointConverter.Convert(Files(w, checkpoint, backbone), w.Output, new ConversionOptions { Told = told ?? TinyModels.UtradTold });

    private static string Fails(Workspace w, TinyFile checkpoint, TinyFile backbone, JsonObject? told = null) =>
        w.Fails(Files(w, checkpoint, backbone), told ?? TinyModels.UtradTold).Message;
}
