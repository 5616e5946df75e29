using System.Text.Json.Nodes;
using KernelAD.Backends;
using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Passes;
using KernelAD.Planner;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Backends.Cpu;

public sealed class CpuCompilerTests
{
    [TestCase(300, 12, Description = "a slice is one item")]
    [TestCase(100, 3, Description = "a slice is four items")]
    public void What_leaves_a_sliced_region_in_any_way_is_whole(int rows, int slices)
    {
        using RandomModel file = RandomModel.InTra();
        Dictionary<string, float[]> whole = Run(file, rows, sliced: false, out int one), cut = Run(file, rows, sliced: true, out int many);
        Assert.That((one, many), Is.EqualTo((1, slices)));
        foreach ((string name, float[] expected) in whole)
        {
            Assert.That(cut[name], Is.EqualTo(expected), name);
        }
    }

    /// <summary>Also where one step does a part of another one's work: a depthwise convolution adds up the rows whose mean is asked for.</summary>
    [Test]
    public void The_work_of_a_plan_s_steps_is_that_of_its_graph()
    {
        foreach (RandomModel random in new[] { RandomModel.UniAd(), RandomModel.Adtr(), RandomModel.Utrad() })
        {
            using RandomModel model = random;
            using ModelFile file = ModelFile.Open(model.Path);
            using CpuWeights weights = CpuWeights.Borrowing(file);
            ComputeGraph graph = PassPipeline.Apply(GraphBuilder.Build(file.Model, 1, file.Has).WithTaps([]));
            IReadOnlyList<PlanStep> steps = CpuCompiler.Compile(graph, weights, long.MaxValue, threads: 1, passes: g => g).Steps;
            Assert.That(steps.Sum(s => s.Flops * s.Repeats), Is.EqualTo(graph.Flops), file.Model.Name);
            Assert.That(steps.Select(s => s.Bytes), Is.All.Positive);
            (PlanStep Picture, PlanStep Mean)[] means =
                [.. steps.Zip(steps.Skip(1)).Where(p => p.First.Operator.Contains("Depthwise", StringComparison.Ordinal) && p.Second.Operator == "Mean")];
            Assert.That(means.Length > 0, Is.EqualTo(file.Model.Name != "UTRAD"));
            foreach ((PlanStep picture, PlanStep mean) in means)
                Assert.That(mean.Flops * picture.Shape[2], Is.EqualTo(picture.Shape.Count), $"{mean.Name} adds up what is left of the rows");
        }
    }

    private static Dictionary<string, float[]> Run(RandomModel file, int rows, bool sliced, out int repeats)
    {
        CpuWeights weights = CpuWeights.Of(ModelFile.Open(file.Path));
        CpuPlan plan = CpuCompiler.Compile(GraphBuilder.Build(new RegionModel(rows, sliced), 1, _ => true), weights, long.MaxValue, threads: 2);
        repeats = plan.Steps.Max(s => s.Repeats);
        using IRunContext context = CpuBackend.CreateContext(plan, threads: 2);
        Random random = new(3);
        foreach (ref float x in context.Input)
        {
            x = random.NextSingle();
        }

        context.Run([], CancellationToken.None);
        Dictionary<string, float[]> results = plan.Results.Keys.ToDictionary(n => n, n => context.Result(n).ToArray());
        weights.Dispose();
        return results;
    }

    /// <summary>Twelve items out of a small InTra's patches: a value read inside and outside by linear layers, a view of one, and a range of one.</summary>
    private sealed class RegionModel(int rows, bool sliced) : Model
    {
        private const int Items = 12;
        private const int Width = 20;

        public override string Name => "Region";

        public override JsonObject Config => [];

        public override PicturePreprocessing Preprocessing => throw new NotSupportedException();

        public override int ImageHeight => 24;

        public override int ImageWidth => 32;

        public override IReadOnlyList<TensorSpec> Tensors { get; } =
        [
            new("lin_proj.weight", new Shape(Width, 48)),
            new("lin_proj.bias", new Shape(Width)),
            new("encoder.layers.0.self_attn.linear.weight", new Shape(Width, Width)),
            new("encoder.layers.0.self_attn.linear.bias", new Shape(Width)),
            new("encoder.layers.1.self_attn.linear.weight", new Shape(Width, Width)),
            new("encoder.layers.1.self_attn.linear.bias", new Shape(Width)),
        ];

        public override void Build(GraphBuilder g, int batch)
        {
            Node table = g.PatchEmbedding(g.Input("input", new Shape(batch, 3, 24, 32)), "lin_proj", 4, PatchOrder.RowColumnChannel);
            int[] indices = [.. Enumerable.Range(0, Items * rows).Select(i => i * 7 % 48)];
            Node shared, mean, view, range;
            using (sliced ? g.SlicedRegion() : null)
            {
                Node x = g.Gather(table, indices, Items);
                shared = g.Linear(x, "encoder.layers.0.self_attn.linear");
                mean = g.Mean(g.Linear(shared, "encoder.layers.1.self_attn.linear"), axis: 1, keepDimension: false);
                view = g.Reshape(g.Affine(x, 2, 1), Items, rows * Width);
                range = g.Slice(g.Affine(x, 3, 1), axis: 1, start: 5, length: 10);
            }

            g.Output("mean", mean);
            g.Output("shared", g.Linear(shared, "encoder.layers.1.self_attn.linear"));
            g.Output("view", g.Square(view));
            g.Output("range", g.Square(range));
        }
    }
}
