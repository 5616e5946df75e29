using KernelAD.Backends;
using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Passes;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Passes;

/// <summary>Each pass alone: what it does to the graph, and that the outputs stay the same.</summary>
public sealed class PassTests
{
    private static readonly (string Name, Func<ComputeGraph, ComputeGraph> Pass)[] All =
    [
        ("RemoveUnused", RemoveUnused.Apply), ("FuseEpilogue", FuseEpilogue.Apply), ("SumBeforeResize", SumBeforeResize.Apply),
        ("FoldBatchNorm", FoldBatchNorm.Apply), ("FoldConstants", FoldConstants.Apply),
    ];

    [Test]
    public void A_pass_changes_no_output_beyond_rounding([Range(0, 4)] int pass, [Values("InTra", "ViTAD")] string model)
    {
        using RandomModel file = model == "InTra" ? RandomModel.InTra() : RandomModel.VitAd();
        float[] plain = Run(file, g => g, []), passed = Run(file, All[pass].Pass, []);
        Assert.That(passed, Is.EqualTo(plain).Within(1e-5), All[pass].Name);
    }

    [Test]
    public void Fusion_leaves_no_activation_and_no_residual_outside_a_linear()
    {
        using RandomModel file = RandomModel.VitAd();
        ComputeGraph graph = PassPipeline.Apply(Graph(file, []));
        Assert.That(graph.Nodes.Where(n => n.Operator is Unary { Function: UnaryFunction.Gelu }), Is.Empty);
        Assert.That(graph.Nodes.Count(n => n.Operator is Linear { Activation: Activation.Gelu }), Is.EqualTo(5), "one per block");
        Assert.That(graph.Nodes.Count(n => n.Operator is Linear { HasResidual: true }), Is.EqualTo(10), "two per block");
    }

    [Test]
    public void A_tap_stops_fusion_across_it()
    {
        using RandomModel file = RandomModel.VitAd();
        ComputeGraph graph = PassPipeline.Apply(Graph(file, ["t.block1.fc1", "t.block1.mlp"]));
        Assert.That(graph.Nodes.Count(n => n.Operator is Linear { Activation: Activation.Gelu }), Is.EqualTo(4));
        Assert.That(graph.Nodes.Count(n => n.Operator is Linear { HasResidual: true }), Is.EqualTo(9));
        Assert.That(graph.Taps["t.block1.fc1"].Operator, Is.EqualTo(new Linear(HasBias: true)));
    }

    [Test]
    public void Maps_are_summed_before_they_are_enlarged()
    {
        using RandomModel file = RandomModel.VitAd();
        Assert.That(PassPipeline.Apply(Graph(file, [])).Nodes.Count(n => n.Operator is Resize), Is.EqualTo(1));
        Assert.That(PassPipeline.Apply(Graph(file, ["up0"])).Nodes.Count(n => n.Operator is Resize), Is.EqualTo(2), "a tapped map is kept");
    }

    [TestCase("ViTAD")]
    [TestCase("InTra")]
    public void A_position_table_is_added_to_the_patches_before_they_are_concatenated(string model)
    {
        using RandomModel file = model == "InTra" ? RandomModel.InTra() : RandomModel.VitAd();
        ComputeGraph graph = AddBeforeConcat.Apply(PassPipeline.Apply(Graph(file, [], batch: 1)));
        Node patches = graph.Nodes.Single(n => n.Operator is PatchEmbedding);
        Node sum = graph.Nodes.Single(n => n.Inputs.Contains(patches));
        Assert.That(sum.Operator, Is.EqualTo(new Binary(BinaryFunction.Add)));
        Assert.That(graph.Nodes.Single(n => n.Inputs.Contains(sum)).Operator, Is.TypeOf<Concat>());
        Assert.That(Run(file, AddBeforeConcat.Apply, [], batch: 1), Is.EqualTo(Run(file, g => g, [], batch: 1)));
        Assert.That(AddBeforeConcat.Apply(Graph(file, [], batch: 2)).Nodes, Has.Count.LessThanOrEqualTo(Graph(file, [], batch: 2).Nodes.Count), "a table that repeats is no view");
    }

    [Test]
    public void What_nobody_asked_for_goes()
    {
        using RandomModel file = RandomModel.InTra();
        ComputeGraph all = Graph(file, []), used = RemoveUnused.Apply(all);
        Assert.That(used.Nodes, Has.Count.LessThan(all.Nodes.Count));
        Assert.That(used.Nodes.Count(n => n.Operator is GradientMagnitudeSimilarity), Is.EqualTo(1), "the other map variant is a tap only");
        HashSet<Node> kept = [.. used.Nodes];
        Assert.That(used.Nodes.SelectMany(n => n.Inputs).All(kept.Contains), Is.True);
    }

    private static ComputeGraph Graph(RandomModel file, string[] taps, int batch = 2)
    {
        using ModelFile model = ModelFile.Open(file.Path);
        return GraphBuilder.Build(model.Model, batch, model.Has).WithTaps(taps);
    }

    private static float[] Run(RandomModel file, Func<ComputeGraph, ComputeGraph> passes, string[] taps, int batch = 2)
    {
        CpuWeights weights = CpuWeights.Of(ModelFile.Open(file.Path));
        CpuPlan plan = CpuCompiler.Compile(Graph(file, taps, batch), weights, long.MaxValue, threads: 1, passes);
        using (IRunContext context = CpuBackend.CreateContext(plan, threads: 1))
        {
            Random random = new(3);
            foreach (ref float x in context.Input)
            {
                x = random.NextSingle();
            }

            context.Run([], CancellationToken.None);
            float[] map = context.Result("anomaly_map").ToArray();
            weights.Dispose();
            return map;
        }
    }
}
