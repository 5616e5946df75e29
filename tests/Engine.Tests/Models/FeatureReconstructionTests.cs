using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Models;

/// <summary>EfficientNet, UniAD and ADTR: what their golden cases do not show.</summary>
public sealed class FeatureReconstructionTests
{
    /// <summary>Kernel, stride of the first, expansion, channels and number of blocks of B4's stages, from the model card.</summary>
    private static readonly (int Kernel, int Stride, int Expansion, int Inputs, int Outputs, int Count)[] StagesOfB4 =
    [
        (3, 1, 1, 48, 24, 2), (3, 2, 6, 24, 32, 4), (5, 2, 6, 32, 56, 4), (3, 2, 6, 56, 112, 6),
        (5, 1, 6, 112, 160, 6), (5, 2, 6, 160, 272, 8), (3, 1, 6, 272, 448, 2),
    ];

    /// <summary>The tapped blocks and their channels from the model card.</summary>
    private static readonly TestCaseData[] Layers =
    [
        new(0, new[] { 0, 2, 4, 10, 15 }, new[] { 16, 24, 40, 112, 320 }, 224),
        new(1, new[] { 1, 4, 7, 15, 22 }, new[] { 16, 24, 40, 112, 320 }, 240),
        new(2, new[] { 1, 4, 7, 15, 22 }, new[] { 16, 24, 48, 120, 352 }, 260),
        new(3, new[] { 1, 4, 7, 17, 25 }, new[] { 24, 32, 48, 136, 384 }, 300),
        new(4, new[] { 1, 5, 9, 21, 31 }, new[] { 24, 32, 56, 160, 448 }, 380),
        new(5, new[] { 2, 7, 12, 26, 38 }, new[] { 24, 40, 64, 176, 512 }, 456),
        new(6, new[] { 2, 8, 14, 30, 44 }, new[] { 32, 40, 72, 200, 576 }, 528),
        new(7, new[] { 3, 10, 17, 37, 54 }, new[] { 32, 48, 80, 224, 640 }, 600),
    ];

    [Test]
    public void B4_has_the_blocks_of_the_card()
    {
        List<InvertedResidual> expected = [];
        foreach ((int kernel, int stride, int expansion, int inputs, int outputs, int count) in StagesOfB4)
        {
            expected.AddRange(Enumerable.Range(0, count).Select(i =>
                new InvertedResidual(kernel, i == 0 ? stride : 1, i == 0, expansion, i == 0 ? inputs : outputs, outputs)));
        }

        Assert.That(EfficientNetConfig.Published("models.backbones.efficientnet_b4")!.Value.Blocks, Is.EqualTo(expected));
    }

    [TestCaseSource(nameof(Layers))]
    public void Scaled_networks_have_the_layers_of_the_card(int number, int[] blocks, int[] channels, int side)
    {
        (int nominal, IReadOnlyList<InvertedResidual> all) = EfficientNetConfig.Published($"efficientnet_b{number}")!.Value;
        Assert.That(nominal, Is.EqualTo(side));
        Assert.That(EfficientNetConfig.Layers(all), Is.EqualTo(blocks));
        Assert.That(blocks.Select(b => all[b].Outputs), Is.EqualTo(channels));
    }

    [TestCase("efficientnet_b8")]
    [TestCase("efficientnet_b")]
    [TestCase("efficientnet_b4.layer")]
    [TestCase("efficientnet_narrow_a")]
    [TestCase("")]
    public void Other_names_are_no_published_network(string name) => Assert.That(EfficientNetConfig.Published(name), Is.Null);

    /// <summary>The card's table of paddings (first, last); only block 6 depends on what they are made for.</summary>
    [TestCase("static", 2, 2)]
    [TestCase("dynamic", 1, 2)]
    public void Paddings_of_B4_are_those_of_the_card(string padding, int before6, int after6)
    {
        (int, int)[] expected = new (int, int)[33];
        expected[0] = (0, 1);
        for (int block = 0; block < 32; block++)
        {
            expected[block + 1] = block switch
            {
                2 or 10 => (0, 1),
                6 => (before6, after6),
                22 => (1, 2),
                < 6 or (> 10 and < 16) or >= 30 => (1, 1),
                _ => (2, 2),
            };
        }

        ComputeGraph graph = Build("ADTR", new JsonObject { ["padding"] = padding });
        Padding[] found = [.. graph.Nodes.Select(n => n.Operator).OfType<Convolution>().Select(c => c.Padding)];
        Assert.That(found.Select(p => (p.Top, p.Bottom)), Is.EqualTo(expected));
        Assert.That(found.Select(p => (p.Left, p.Right)), Is.EqualTo(expected));
    }

    /// <summary>Parameters in millions and multiply-adds in billions, from the model cards.</summary>
    [TestCase("UniAD", 16, 3.64 + 7.72, 2.622)]
    [TestCase("ADTR", 16, 16.74 + 7.81, 4.285)]
    [TestCase("ADTR", 8, 16.74 + 7.81, 16.2)]
    public void Published_models_cost_what_the_cards_say(string name, int stride, double parameters, double multiplyAdds)
    {
        JsonObject config = new() { ["outstride"] = stride };
        Assert.That(ModelRegistry.Create(name, config).Tensors.Sum(t => t.Shape.Count) / 1e6, Is.EqualTo(parameters).Within(stride == 8 ? 0.3 : 0.02));
        long flops = Build(name, config).Nodes.Where(n => n.Operator is Linear or Convolution or Attention).Sum(n => n.Flops);
        Assert.That(flops / 2e9, Is.EqualTo(multiplyAdds).Within(1).Percent);
    }

    /// <summary>What depends on no picture must not grow with their number: a pass computes it once.</summary>
    [Test]
    public void Constant_parts_have_no_batch([Values("UniAD", "ADTR")] string name)
    {
        (long one, long four) = (Constant(Build(name, [])), Constant(Build(name, [], batch: 4)));
        Assert.That(one, Is.GreaterThan(4 * 196 * 256));
        Assert.That(four, Is.EqualTo(one));

        static long Constant(ComputeGraph graph)
        {
            HashSet<Node> reached = [];
            foreach (Node node in graph.Nodes.Where(n => n.Operator is Input || n.Inputs.Any(reached.Contains)))
            {
                reached.Add(node);
            }

            // A late repetition is a view.
            return graph.Nodes.Where(n => !reached.Contains(n) && n.Operator is not Broadcast).Sum(n => n.Shape.Count);
        }
    }

    [TestCase("odd")]
    [TestCase("even")]
    [TestCase("wide")]
    [TestCase("self_only")]
    [TestCase("zero_side")]
    public void Masks_hide_what_the_published_code_hides(string variant)
    {
        NeighborMask mask = Build("UniAD", TinyMasks(variant)).Nodes.Select(n => n.Operator).OfType<Attention>().First().Mask!;
        byte[] blocked = GoldenIo.Read<byte>("uniad/tiny_masks/io.safetensors", variant + ".blocked");
        int tokens = mask.Height * mask.Width;
        Assert.That(tokens, Is.EqualTo(45));
        Assert.That(
            Enumerable.Range(0, tokens * tokens).Select(i => Hidden(i / tokens, i % tokens) ? (byte)1 : (byte)0),
            Is.EqualTo(blocked));

        bool Hidden(int query, int key) =>
            Math.Abs((query / mask.Width) - (key / mask.Width)) <= mask.RadiusY && Math.Abs((query % mask.Width) - (key % mask.Width)) <= mask.RadiusX;
    }

    [TestCase("odd", true, true, true)]
    [TestCase("enc_only", true, false, false)]
    [TestCase("dec1_only", false, true, false)]
    [TestCase("dec2_only", false, false, true)]
    [TestCase("no_mask", false, false, false)]
    public void Each_attention_has_a_switch_of_its_own(string variant, bool encoder, bool memory, bool previous) =>
        Assert.That(
            Build("UniAD", TinyMasks(variant)).Nodes.Select(n => n.Operator).OfType<Attention>().Select(a => a.Mask is not null),
            Is.EqualTo(new[] { encoder, memory, previous, memory, previous }));

    [Test]
    public void Masks_that_leave_a_token_nothing_to_see_are_refused()
    {
        JsonNode golden = JsonNode.Parse(File.ReadAllText(Fixture.File("golden/uniad/tiny_masks/case.json")))!;
        JsonObject refused = golden["fully_masked"]!["all_outputs_nan_in_the_official_code"]!.AsObject();
        Assert.That(refused, Has.Count.GreaterThan(4));
        foreach ((string size, JsonNode? isNaN) in refused)
        {
            JsonObject config = TinyMasks("odd");
            config["neighbor_mask"]!["neighbor_size"] = JsonNode.Parse(size);
            Assert.That(
                () => ModelRegistry.Create("UniAD", config),
                (bool)isNaN! ? Throws.TypeOf<ConfigurationException>().With.Message.Contains("nothing to see") : Throws.Nothing,
                size);
        }
    }

    [Test]
    public void Dynamic_paddings_are_static_ones_for_the_real_picture()
    {
        float[] nominal = Map(("image", new JsonArray(40, 40)), ("nominal_image_size", 40));
        Assert.That(Map(("image", new JsonArray(40, 40)), ("nominal_image_size", 37), ("padding", "dynamic")), Is.EqualTo(nominal));
        Assert.That(Map(("image", new JsonArray(40, 40)), ("nominal_image_size", 37)), Is.Not.EqualTo(nominal));

        static float[] Map(params ReadOnlySpan<(string, JsonNode)> others)
        {
            using RandomModel file = RandomModel.UniAd(others);
            using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
            return detector.Run(RandomModel.Input(detector, 1))["anomaly_map"].Data;
        }
    }

    [Test]
    public void Score_is_the_largest_pooled_or_the_mean_of_the_map()
    {
        foreach (string kind in new[] { "max", "mean" })
        {
            using RandomModel file = RandomModel.UniAd(("image_score", kind));
            using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
            IReadOnlyDictionary<string, Tensor> results = detector.Run(RandomModel.Input(detector, 2));
            for (int n = 0; n < 2; n++)
            {
                float[] map = results["anomaly_map"].Data[(n * 24 * 40)..((n + 1) * 24 * 40)];
                double expected = kind == "mean"
                    ? map.Average(v => (double)v)
                    : Enumerable.Range(0, 20 * 36).Max(i => Enumerable.Range(0, 25).Average(j => (double)map[(((i / 36) + (j / 5)) * 40) + (i % 36) + (j % 5)]));
                Assert.That(results["image_score"].Data[n], Is.EqualTo(expected).Within(1e-5).Percent.Or.EqualTo(expected).Within(2e-6 * expected), kind);
            }
        }
    }

    [Test]
    public void Interpolation_is_part_of_the_preprocessing() =>
        Assert.That(ModelRegistry.Create("UniAD", new JsonObject { ["interpolation"] = "lanczos" }).Preprocessing.Filter, Is.EqualTo(Interpolation.Lanczos));

    [TestCase("ADTR", "neighbor_mask", "{\"neighbor_size\":[1,1],\"mask\":[true,true,true]}", "unknown key")]
    [TestCase("UniAD", "feature_size", "[14,15]", "14×14")]
    [TestCase("UniAD", "image", "[224,225]", "multiples")]
    [TestCase("UniAD", "image", "[224]", "expected [height, width]")]
    [TestCase("ADTR", "image", "[240,240]", "largest stride")]
    [TestCase("ADTR", "image", "[16,16]", "score")]
    [TestCase("UniAD", "inplanes", "720", "272")]
    [TestCase("UniAD", "inplanes_per_layer", "[24,32,56,112]", "24, 32, 56, 160")]
    [TestCase("UniAD", "block_strides", "[2,4,8,32]", "2, 4, 8, 16")]
    [TestCase("UniAD", "nominal_image_size", "224", "380")]
    [TestCase("UniAD", "blocks", "[{\"kernel\":5}]", "efficientnet_b4 has")]
    [TestCase("UniAD", "backbone", "\"resnet18\"", "efficientnet_b0, ")]
    [TestCase("UniAD", "outblocks", "[5,1]", "rising order")]
    [TestCase("UniAD", "outblocks", "[32]", "0 … 31")]
    [TestCase("UniAD", "normalize_before", "1", "true or false")]
    [TestCase("UniAD", "activation", "\"glu\"", "relu")]
    [TestCase("ADTR", "nhead", "7", "hidden_dim")]
    [TestCase("UniAD", "hidden_dim", "0", "1 … 16384")]
    public void Configurations_that_do_not_fit_are_refused(string name, string key, string json, string message) =>
        Assert.That(
            () => ModelRegistry.Create(name, new JsonObject { [key] = JsonNode.Parse(json) }),
            Throws.TypeOf<ConfigurationException>().With.Message.Contains(message).And.Message.Contains(key));

    [Test]
    public void Configuration_survives_its_own_writing([Values("UniAD", "ADTR")] string name)
    {
        JsonObject other = name == "UniAD" ? RandomModel.UniAdConfig(("padding", "dynamic")) : new JsonObject { ["backbone"] = "efficientnet_b0", ["outstride"] = 8 };
        foreach (JsonObject config in new[] { [], other })
        {
            Model model = ModelRegistry.Create(name, config);
            Assert.That(ModelRegistry.Create(name, model.Config).Config.ToJsonString(), Is.EqualTo(model.Config.ToJsonString()));
        }
    }

    private static ComputeGraph Build(string name, JsonObject config, int batch = 1) => GraphBuilder.Build(ModelRegistry.Create(name, config), batch, _ => true);

    private static JsonObject TinyMasks(string variant) => KernelAD.Golden.GoldenCase.Open(Path.Combine(Fixture.Golden("uniad", "tiny_masks"), variant)).Config;
}
