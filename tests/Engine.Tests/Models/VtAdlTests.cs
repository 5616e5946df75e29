using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Passes;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Models;

/// <summary>What VT-ADL's golden cases do not show: other numbers of Gaussians, the proper likelihood, batches, and configurations that do not fit.</summary>
public sealed class VtAdlTests
{
    [Test]
    public void Likelihood_is_the_weighted_sum_or_the_mixtures([Values("weighted_sum", "log_sum_exp")] string form, [Values(1, 10, 150)] int gaussians)
    {
        const int Width = 12;
        JsonObject config = RandomModel.VtAdlConfig(gaussians);
        config["nll"] = form;
        using RandomModel file = RandomModel.VtAdl(config);
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        IReadOnlyDictionary<string, Tensor> r = detector.Run(RandomModel.Input(detector, 2), ["encoded", "mdn_pi", "mdn_mu", "mdn_logvar", "nll_per_gaussian", "nll"]);
        float[] x = r["encoded"].Data, pi = r["mdn_pi"].Data, mu = r["mdn_mu"].Data, v = r["mdn_logvar"].Data;
        for (int token = 0; token < r["nll"].Data.Length; token++)
        {
            double[] each = [.. Enumerable.Range(0, gaussians).Select(k => 0.5 * (Math.Log(2 * Math.PI) + Enumerable.Range(0, Width).Sum(d =>
            {
                int i = (((token * Width) + d) * gaussians) + k;
                double difference = (double)x[(token * Width) + d] - mu[i];
                return v[i] + (difference * difference * Math.Exp(-v[i]));
            })))];
            double[] weights = [.. Enumerable.Range(0, gaussians).Select(k => (double)pi[(token * gaussians) + k])];
            double rest = 0.5 * (Width - 1) * Math.Log(2 * Math.PI);
            double expected = form == "weighted_sum"
                ? each.Zip(weights, (l, p) => p * l).Sum()
                : -Math.Log(each.Zip(weights, (l, p) => p * Math.Exp(-(l + rest))).Sum());
            Assert.That(r["nll"].Data[token], Is.EqualTo(expected).Within(1e-5 * (1 + Math.Abs(expected))), $"token {token}");
            Assert.That(r["nll_per_gaussian"].Data.AsSpan(token * gaussians, gaussians).ToArray(), Is.EqualTo(each).Within(1e-5 * (1 + each.Max())), $"token {token}");
        }
    }

    [TestCase("plus", 1)]
    [TestCase("minus", -1)]
    public void Score_adds_or_subtracts_the_similarity(string sign, int factor)
    {
        JsonObject config = RandomModel.VtAdlConfig();
        config["ssim_sign"] = sign;
        using RandomModel file = RandomModel.VtAdl(config);
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        IReadOnlyDictionary<string, Tensor> r = detector.Run(RandomModel.Input(detector, 1), ["mse", "ssim", "nll"]);
        double expected = r["mse"].Data[0] + (factor * r["ssim"].Data[0]) + r["nll"].Data.Max();
        Assert.That(Math.Abs(r["ssim"].Data[0]), Is.GreaterThan(1e-4), "or the sign would not show");
        Assert.That(r["image_score"].Data[0], Is.EqualTo(expected).Within(2e-6 * Math.Abs(expected)));
    }

    [Test]
    public void A_pictures_result_does_not_depend_on_its_batch()
    {
        using RandomModel file = RandomModel.VtAdl();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(detector, 3);
        string[] taps = ["caps_out", "dec6", "recon", "nll_per_gaussian"];
        IReadOnlyDictionary<string, Tensor> one = detector.Run(input, taps), two = detector.Run(input, taps, batch: 2);
        foreach (string name in one.Keys)
        {
            Assert.That(two[name].Shape, Is.EqualTo(one[name].Shape), name);
            Assert.That(two[name].Data, Is.EqualTo(one[name].Data), name);
        }

        Assert.That(one["nll_per_gaussian"].Shape, Is.EqualTo(new Shape(3, 16, 3)));
    }

    [Test]
    public void The_map_alone_needs_no_decoder_and_a_plan_no_batch_norm()
    {
        ComputeGraph graph = GraphBuilder.Build(ModelRegistry.Create("VT-ADL", RandomModel.VtAdlConfig()), batch: 1, _ => true).WithTaps([]);
        ComputeGraph plan = PassPipeline.Apply(graph);
        Assert.That(plan.Nodes.Select(n => n.Operator), Has.None.TypeOf<BatchNorm>());
        Assert.That(plan.Nodes.Count(n => n.Operator is Linear && n.Inputs[1].Operator is Folded), Is.EqualTo(1), "the capsule's weight");
        Assert.That(plan.Nodes.Count(n => n.Operator is TransposedConvolution), Is.EqualTo(6));
        ComputeGraph map = new(graph.Nodes, new Dictionary<string, Node> { ["anomaly_map"] = graph.Outputs["anomaly_map"] }, new Dictionary<string, Node>());
        Assert.That(PassPipeline.Apply(map).Nodes.Select(n => n.Operator), Has.None.TypeOf<TransposedConvolution>().And.None.TypeOf<Squash>());
    }

    [TestCase("patch_size", "24", "does not divide the picture side 92")]
    [TestCase("heads", "5", "does not divide dim = 12")]
    [TestCase("in_dim_caps", "4", "expected dim = 12")]
    [TestCase("latent_h", "2", "a picture of 152 pixels, expected image_size = 92")]
    [TestCase("latent_w", "2", "must be latent_h = 1")]
    [TestCase("gaussians", "0", "expected 1 …")]
    [TestCase("nll", "\"sum\"", "\"log_sum_exp\"")]
    [TestCase("ssim_sign", "1", "\"minus\"")]
    [TestCase("resize", "80", "smaller than the part that is cut out")]
    [TestCase("noise", "0.2", "unknown key \"noise\"")]
    public void A_configuration_that_does_not_fit_is_named(string key, string json, string message)
    {
        JsonObject config = RandomModel.VtAdlConfig();
        config[key] = JsonNode.Parse(json);
        Assert.That(() => ModelRegistry.Create("VT-ADL", config), Throws.TypeOf<ConfigurationException>().With.Message.Contains($"\"{key}\"").And.Message.Contains(message));
    }

    [Test]
    public void More_means_than_a_plan_should_hold_are_refused()
    {
        JsonObject config = RandomModel.VtAdlConfig(gaussians: 4096);
        (config["patch_size"], config["dim"], config["caps_per_token"]) = (1, 16383, 5461);
        Assert.That(() => ModelRegistry.Create("VT-ADL", config), Throws.TypeOf<ConfigurationException>().With.Message.Contains("\"gaussians\""));
    }

    [Test]
    public void Pictures_are_prepared_as_published()
    {
        JsonObject published = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture.Golden("vtadl", "full"), "case.json")))!["config"]!.AsObject();
        var p = ModelRegistry.Create("VT-ADL", published).Preprocessing;
        Assert.That((p.ResizeHeight, p.ResizeWidth, p.CropHeight, p.CropWidth), Is.EqualTo((550, 550, 512, 512)));
        Assert.That(p.Mean, Is.All.Zero);
        Assert.That(p.Std, Is.All.EqualTo(1));
    }
}
