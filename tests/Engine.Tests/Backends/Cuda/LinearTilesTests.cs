using System.Text.Json.Nodes;
using KernelAD.Backends.Cuda;
using KernelAD.Graph;
using KernelAD.Kernels;
using KernelAD.Models;
using KernelAD.Passes;

namespace KernelAD.Engine.Tests.Backends.Cuda;

public sealed class LinearTilesTests
{
    [Test]
    public void Every_product_is_covered_and_no_split_is_left_without_work()
    {
        foreach (StorageType type in Enum.GetValues<StorageType>())
        {
            foreach (int multiprocessors in (int[])[1, 16, 108, 132])
            {
                foreach (int m in (int[])[1, 17, 63, 64, 65, 257, 2056, 12544])
                {
                    foreach (int n in (int[])[1, 96, 384, 1152, 2048])
                    {
                        foreach (int k in (int[])[1, 31, 384, 512, 1536, 4096])
                        {
                            LinearChoice choice = LinearTiles.Choose(m, n, k, type, multiprocessors);
                            string what = choice.ToString();
                            Assert.That((long)choice.Columns * choice.Tile.Side, Is.GreaterThanOrEqualTo(n), what);
                            Assert.That((long)choice.Rows * choice.Tile.Side, Is.GreaterThanOrEqualTo(m), what);
                            int tiles = LinearPanels.Tiles(k, type);
                            Assert.That(choice.Splits * choice.TilesPerSplit, Is.GreaterThanOrEqualTo(tiles), what);
                            Assert.That((choice.Splits - 1) * choice.TilesPerSplit, Is.LessThan(tiles), what);
                            Assert.That(choice.Microseconds, Is.Positive.And.EqualTo(LinearTiles.All(m, n, k, type, multiprocessors).Min(c => c.Microseconds)), what);
                            Assert.That(choice.Padding, Is.GreaterThanOrEqualTo(1), what);
                        }
                    }
                }
            }
        }
    }

    /// <summary>The products of which an H200 left no doubt (docs/measurements): other cuts took a tenth longer, or more.</summary>
    [TestCase("Half", 257, 384, 384, "64", 1)]
    [TestCase("Half", 257, 384, 1536, "64", 4)]
    [TestCase("Half", 196, 1024, 256, "64", 1)]
    [TestCase("Half", 12544, 512, 512, "128of8", 1)]
    [TestCase("Half", 4096, 4096, 4096, "128", 1)]
    [TestCase("Tf32", 4096, 4096, 4096, "128", 1)]
    [TestCase("Tf32", 2056, 1152, 384, "64", 1)]
    [TestCase("Float", 196, 256, 1024, "64", 8)]
    public void What_was_fastest_is_chosen(string type, int m, int n, int k, string tile, int splits)
    {
        LinearChoice choice = LinearTiles.Choose(m, n, k, Enum.Parse<StorageType>(type), multiprocessors: 132);
        Assert.That((choice.Tile.Name, choice.Splits), Is.EqualTo((tile, splits)));
    }

    /// <summary>What GEMMs execute beyond what counts, for the published models where their batch fills the GPU.</summary>
    [TestCase("ViTAD", 8, 16)]
    [TestCase("ViTAD", 32, 108)]
    [TestCase("InTra", 1, 16)]
    [TestCase("InTra", 1, 108)]
    [TestCase("InTra", 8, 132)]
    public void Padding_costs_little(string model, int batch, int multiprocessors)
    {
        ComputeGraph graph = PassPipeline.Apply(GraphBuilder.Build(Published(model), batch, _ => true).WithTaps([]));
        foreach (Precision precision in Enum.GetValues<Precision>())
        {
            IReadOnlyList<(string Layer, LinearChoice Choice)> products = LinearTiles.List(graph, precision, multiprocessors);
            double useful = products.Sum(p => Flops(p.Choice)), executed = products.Sum(p => Flops(p.Choice) * p.Choice.Padding);
            TestContext.Out.WriteLine($"{model}, batch {batch}, {multiprocessors} multiprocessors, {precision}: padded/useful {executed / useful:F3}");
            Assert.That(executed / useful, Is.LessThanOrEqualTo(1.15));
        }

        static double Flops(LinearChoice c) => 2.0 * c.M * c.N * c.K;
    }

    [Test]
    [Explicit("Prints the table of every product of the published models.")]
    public void Table_of_products()
    {
        foreach (string model in (string[])["ViTAD", "InTra"])
        {
            foreach (int batch in (int[])[1, 8, 32])
            {
                ComputeGraph graph = PassPipeline.Apply(GraphBuilder.Build(Published(model), batch, _ => true).WithTaps([]));
                foreach ((string gpu, int multiprocessors) in ((string, int)[])[("Orin", 16), ("A100", 108), ("H100", 132)])
                {
                    foreach (Precision precision in (Precision[])[Precision.Fp32, Precision.Fp16])
                    {
                        var groups = LinearTiles.List(graph, precision, multiprocessors).Select(p => p.Choice).GroupBy(c => c);
                        foreach (var group in groups)
                        {
                            LinearChoice c = group.Key;
                            TestContext.Out.WriteLine(
                                $"{model}\t{batch}\t{gpu}\t{precision}\t{c.M}×{c.N}×{c.K}\t{group.Count()}×\t{c.Tile.Name}\tsplits {c.Splits}\tblocks {c.Blocks}\twaves {c.Waves:F2}\t{c.Padding:F3}");
                        }
                    }
                }
            }
        }
    }

    private static Model Published(string name) => ModelRegistry.Create(name, name == "ViTAD"
        ? new JsonObject
        {
            ["image"] = new JsonArray(256, 256),
            ["patch"] = 16,
            ["embed_dim"] = 384,
            ["heads"] = 6,
            ["teacher_depth"] = 12,
            ["teachers"] = new JsonArray(3, 6, 9),
            ["neck"] = new JsonArray(12),
            ["student_depth"] = 9,
            ["students"] = new JsonArray(3, 6, 9),
        }
        : new JsonObject { ["image_h"] = 256, ["image_w"] = 256, ["K"] = 16, ["L"] = 7, ["N"] = 13, ["h"] = 8, ["d_model"] = 512, ["grid_max"] = 16 });
}
