using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Passes;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Models;

/// <summary>What UTRAD's golden cases do not show: other windows, the other activation, batches, what is folded, and configurations that do not fit.</summary>
public sealed class UtradTests
{
    [Test]
    public void A_pictures_result_does_not_depend_on_its_batch()
    {
        using RandomModel file = RandomModel.Utrad();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(detector, 3);
        string[] taps = ["layer3", "encoder.0.layers.0", "encoder.2", "decoder.2.layers.0", "decoder.0", "std"];
        IReadOnlyDictionary<string, Tensor> one = detector.Run(input, taps), two = detector.Run(input, taps, batch: 2);
        foreach (string name in one.Keys)
        {
            Assert.That(two[name].Shape, Is.EqualTo(one[name].Shape), name);
            Assert.That(two[name].Data, Is.EqualTo(one[name].Data), name);
        }

        Assert.That(one["encoder.0.layers.0"].Shape, Is.EqualTo(new Shape(3, 65, 64, 24)), "the picture, 8·8 tokens and the summary, 8·8 windows");
        Assert.That(one["decoder.2.layers.0"].Shape, Is.EqualTo(new Shape(3, 4, 1, 24)));
    }

    [Test]
    public void The_first_attention_among_the_queries_is_computed_at_load()
    {
        ComputeGraph graph = Graph("gelu");
        ComputeGraph plan = PassPipeline.Apply(graph);

        // Four encoder layers with one attention, six decoder layers with two, of which the first of each of three levels depends on weights only.
        Assert.That(graph.Nodes.Count(n => n.Operator is Attention), Is.EqualTo(4 + (2 * 6)));
        Assert.That(plan.Nodes.Count(n => n.Operator is Attention), Is.EqualTo(4 + (2 * 6) - 3));
        Assert.That(plan.Nodes.Select(n => n.Operator), Has.None.TypeOf<BatchNorm>());
    }

    [Test]
    public void The_activation_is_that_of_the_feed_forward_networks_alone()
    {
        ComputeGraph gelu = Graph("gelu"), relu = Graph("relu");
        int Count(ComputeGraph graph, UnaryFunction function) => graph.Nodes.Count(n => n.Operator == new Unary(function));
        Assert.That(Count(gelu, UnaryFunction.Gelu), Is.EqualTo(10 + 3), "ten layers and three bottlenecks");
        Assert.That(Count(relu, UnaryFunction.Gelu), Is.EqualTo(3));
        Assert.That(Count(relu, UnaryFunction.Relu), Is.EqualTo(Count(gelu, UnaryFunction.Relu) + 10));
        using RandomModel a = RandomModel.Utrad(), b = RandomModel.Utrad(RandomModel.UtradConfig("relu"));
        using AnomalyDetector first = AnomalyDetector.Load(a.Path), second = AnomalyDetector.Load(b.Path);
        Tensor input = RandomModel.Input(first, 1);
        Assert.That(second.Run(input)["anomaly_map"].Data, Is.Not.EqualTo(first.Run(input)["anomaly_map"].Data));
    }

    [Test]
    public void Every_tensor_that_is_listed_is_used()
    {
        Model model = ModelRegistry.Create("UTRAD", RandomModel.UtradConfig());
        IEnumerable<string> used = RemoveUnused.Apply(Graph("gelu")).Nodes.Select(n => n.Operator).OfType<Parameter>().Select(p => p.Key);
        Assert.That(used, Is.EquivalentTo(model.Tensors.Select(t => t.Name)));
    }

    [TestCase("patch_size", "[4,4,8]", "product is 64")]
    [TestCase("patch_size", "[]", "product is 64")]
    [TestCase("patch_size", "[65536,65536,65536,65536]", "product is 64")]
    [TestCase("num_encoder_layers", "[1,1]", "each of the 3 levels")]
    [TestCase("num_decoder_layers", "[1,0,1]", "1 … 64 layers")]
    [TestCase("nhead", "5", "does not divide d_model = 24")]
    [TestCase("input_dim", "20", "have 21 channels")]
    [TestCase("image", "[224,224]", "must be [256, 256]")]
    [TestCase("activation", "\"glu\"", "\"relu\"")]
    [TestCase("backbone", "\"resnet50\"", "\"resnet18\"")]
    [TestCase("dropout", "0.1", "unknown key \"dropout\"")]
    public void A_configuration_that_does_not_fit_is_named(string key, string json, string message)
    {
        JsonObject config = RandomModel.UtradConfig();
        config[key] = JsonNode.Parse(json);
        Assert.That(() => ModelRegistry.Create("UTRAD", config), Throws.TypeOf<ConfigurationException>().With.Message.Contains($"\"{key}\"").And.Message.Contains(message));
    }

    [Test]
    public void A_width_that_cannot_be_halved_three_times_is_named()
    {
        JsonObject config = RandomModel.UtradConfig();
        config["d_model"] = 21;
        Assert.That(() => ModelRegistry.Create("UTRAD", config), Throws.TypeOf<ConfigurationException>().With.Message.Contains("a multiple of 8"));
    }

    private static ComputeGraph Graph(string activation) =>
        GraphBuilder.Build(ModelRegistry.Create("UTRAD", RandomModel.UtradConfig(activation)), batch: 1, _ => true).WithTaps([]);
}
