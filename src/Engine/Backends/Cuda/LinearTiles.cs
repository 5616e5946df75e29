using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>A Linear kernel's tile of results.</summary>
/// <param name="Side">Rows and columns of results of a block.</param>
/// <param name="ResidentBlocks">Blocks that a multiprocessor holds at once.</param>
internal sealed record LinearTile(int Side, int ResidentBlocks);

/// <summary>How a matrix product y (M, N) = x (M, K) · Wᵀ is cut into blocks.</summary>
/// <param name="M">Rows.</param>
/// <param name="N">Columns.</param>
/// <param name="K">Length of the sums.</param>
/// <param name="Type">The operands' type.</param>
/// <param name="Multiprocessors">Multiprocessors of the GPU.</param>
/// <param name="Tile">The tile.</param>
/// <param name="Splits">Parts of K that blocks of their own add up; with more than one, a second kernel adds the parts.</param>
internal sealed record LinearChoice(int M, int N, int K, StorageType Type, int Multiprocessors, LinearTile Tile, int Splits)
{
    /// <summary>The kernel.</summary>
    public string Kernel => $"linear_{LinearTiles.Name(Type)}_{Tile.Side}";

    /// <summary>The kernel where the rows are a convolution's windows.</summary>
    public string ConvolutionKernel => $"convolution_{LinearTiles.Name(Type)}_{Tile.Side}";

    /// <summary>Column tiles.</summary>
    public int Columns => LinearTiles.Tiles(N, Tile.Side);

    /// <summary>Row tiles.</summary>
    public int Rows => LinearTiles.Tiles(M, Tile.Side);

    /// <summary>Tiles of K that one split adds up.</summary>
    public int TilesPerSplit => LinearTiles.Tiles(LinearPanels.Tiles(K, Type), Splits);

    /// <summary>Whether no split is left without a tile of K.</summary>
    public bool IsWhole => LinearTiles.Tiles(LinearPanels.Tiles(K, Type), TilesPerSplit) == Splits;

    /// <summary>Blocks of the grid.</summary>
    public long Blocks => (long)Columns * Rows * Splits;

    /// <summary>How often the GPU is filled: 1.2 waves take as long as 2.</summary>
    public double Waves => (double)Blocks / (Multiprocessors * Tile.ResidentBlocks);

    /// <summary>Operations that are executed per operation that counts: what the padding of rows, columns and K costs.</summary>
    public double Padding =>
        (double)Columns * Tile.Side * Rows * Tile.Side * LinearPanels.Tiles(K, Type) * LinearPanels.TileLength(Type) / ((double)M * N * K);
}

/// <summary>
/// Which tile and how many splits of K a matrix product gets. <see cref="Rules"/> is the table to tune: the first rule whose conditions hold applies.
/// <see cref="List"/> shows what becomes of a model.
/// </summary>
internal static class LinearTiles
{
    // A 128 × 128 tile loads half as much per operation as a 64 × 64 tile, which in turn cuts finer and hides latency with more blocks.
    private static readonly LinearTile Large = new(128, ResidentBlocks: 2), Small = new(64, ResidentBlocks: 4);

    /// <summary>
    /// The table. A second kernel costs some 2 µs and traffic of two floats per result and split, as much as eight tiles of K: fewer are not worth
    /// splitting off.
    /// </summary>
    public static IReadOnlyList<LinearRule> Rules { get; } =
    [
        // rows from, blocks per multiprocessor from, tiles of K per split from
        new(65, 1.5, 0, Large, Splits: 1, MaxPadding: 1.2),
        new(1, 1.0, 0, Small, Splits: 1),
        new(1, 1.0, 8, Small, Splits: 2),
        new(1, 1.0, 8, Small, Splits: 4),
        new(1, 1.0, 8, Small, Splits: 8),
        new(1, 0.0, 8, Small, Splits: 8),
        new(1, 0.0, 8, Small, Splits: 4),
        new(1, 0.0, 8, Small, Splits: 2),
        new(1, 0.0, 0, Small, Splits: 1),
    ];

    /// <summary>
    /// Blocks per multiprocessor up to which a norm is taken into the product that reads it. Every block repeats the norm of its rows before it
    /// multiplies: that costs less than a
    /// launch and a round trip through memory as long as the blocks are few.
    /// </summary>
    public const double MaxNormFill = 6;

    /// <summary>Chooses for a product.</summary>
    public static LinearChoice Choose(int m, int n, int k, StorageType type, int multiprocessors) => Choose(m, n, k, type, multiprocessors, Rules);

    /// <summary>Chooses for a convolution: windows take so many registers that fp32 has the small tile only.</summary>
    public static LinearChoice ChooseConvolution(int m, int n, int k, StorageType type, int multiprocessors) =>
        Choose(m, n, k, type, multiprocessors, type == StorageType.Float ? Rules.Where(r => r.Tile == Small) : Rules);

    private static LinearChoice Choose(int m, int n, int k, StorageType type, int multiprocessors, IEnumerable<LinearRule> rules)
    {
        foreach (LinearRule rule in rules)
        {
            LinearChoice choice = new(m, n, k, type, multiprocessors, rule.Tile, rule.Splits);
            if (m >= rule.MinRows && choice.Blocks >= rule.MinFill * multiprocessors && choice.TilesPerSplit >= rule.MinTilesPerSplit
                && choice.Padding <= rule.MaxPadding && choice.IsWhole)
            {
                return choice;
            }
        }

        throw new InvalidOperationException("the last rule applies to everything");
    }

    /// <summary>Every way that a product can be cut: what <see cref="Choose(int, int, int, StorageType, int)"/> chooses from.</summary>
    public static IEnumerable<LinearChoice> All(int m, int n, int k, StorageType type, int multiprocessors) =>
        from cut in Rules.Select(r => (r.Tile, r.Splits)).Append((Tile: Large, Splits: 2)).Append((Tile: Large, Splits: 4)).Distinct()
        let choice = new LinearChoice(m, n, k, type, multiprocessors, cut.Tile, cut.Splits)
        where choice.IsWhole
        select choice;

    /// <summary>Every matrix product of a graph with what is chosen for it; a plan may take a norm into some of them, see <see cref="MaxNormFill"/>.</summary>
    /// <param name="graph">The graph, after all passes.</param>
    /// <param name="precision">Arithmetic.</param>
    /// <param name="multiprocessors">Multiprocessors of the GPU: 16 of a Jetson AGX Orin, 108 of an A100, 132 of an H100.</param>
    public static IReadOnlyList<(string Layer, LinearChoice Choice)> List(Graph.ComputeGraph graph, Precision precision, int multiprocessors)
    {
        StorageType type = precision.OperandType();
        return
        [
            .. from node in graph.Nodes
               where node.Operator is Graph.Linear or Graph.PatchEmbedding or Graph.Convolution { Groups: 1 }
               let weight = (Graph.Parameter)node.Inputs[1].Operator
               let m = (int)node.Shape.Rows
               let n = node.Shape[-1]
               let k = (int)(weight.Shape.Count / weight.Shape[0])
               select (weight.Key, node.Operator switch
               {
                   Graph.PatchEmbedding => new LinearChoice(m, n, k, type, multiprocessors, Small, Splits: 1),
                   Graph.Convolution => ChooseConvolution(m, n, k, type, multiprocessors),
                   _ => Choose(m, n, k, type, multiprocessors),
               }),
        ];
    }

    /// <summary>A type's part of the kernels' names.</summary>
    public static string Name(StorageType type) => type switch
    {
        StorageType.Half => "fp16",
        StorageType.Tf32 => "tf32",
        _ => "fp32",
    };

    /// <summary>Tiles that cover an extent.</summary>
    public static int Tiles(int extent, int tile) => (extent + tile - 1) / tile;
}

/// <summary>
/// A row of the table: a product gets the tile and the splits if it has at least so many rows, blocks per multiprocessor, and tiles of K per split.
/// </summary>
/// <param name="MinRows">Rows of the product.</param>
/// <param name="MinFill">Blocks, splits counted, per multiprocessor.</param>
/// <param name="MinTilesPerSplit">Tiles of K per split.</param>
/// <param name="Tile">The tile.</param>
/// <param name="Splits">Splits of K.</param>
/// <param name="MaxPadding">Most operations executed per operation that counts.</param>
internal sealed record LinearRule(int MinRows, double MinFill, int MinTilesPerSplit, LinearTile Tile, int Splits, double MaxPadding = double.PositiveInfinity);
