using KernelAD.Kernels;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// A Linear kernel's tile of results and what it costs, in microseconds as measured on an H200 (docs/measurements): from relations between them follows which cut
/// of a product is the fastest, on other GPUs too.
/// </summary>
/// <param name="Name">The tile's part of the kernels' names.</param>
/// <param name="Side">Rows and columns of results of a block.</param>
/// <param name="ResidentBlocks">Blocks that a multiprocessor holds at once.</param>
/// <param name="Launch">A launch with one block a multiprocessor, all but the tiles of K.</param>
/// <param name="Latency">A tile of K of a block that has a multiprocessor for itself.</param>
/// <param name="Work">A tile of K where many blocks share a multiprocessor: what each of them adds.</param>
/// <param name="Store">What each further block of a multiprocessor adds for its results.</param>
internal sealed record LinearTile(string Name, int Side, int ResidentBlocks, double Launch, double Latency, double Work, double Store);

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
    public string Kernel => $"linear_{LinearTiles.Name(Type)}_{Tile.Name}";

    /// <summary>The kernel where the rows are a convolution's windows.</summary>
    public string ConvolutionKernel => $"convolution_{LinearTiles.Name(Type)}_{Tile.Name}";

    /// <summary>The kernel where the rows are a transposed convolution's blocks.</summary>
    public string TransposedKernel => $"transposed_convolution_{LinearTiles.Name(Type)}_{Tile.Name}";

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

    /// <summary>How often the GPU is filled.</summary>
    public double Waves => (double)Blocks / (Multiprocessors * Tile.ResidentBlocks);

    /// <summary>
    /// How long it should take on an H200. The multiprocessor with the most blocks decides; blocks that share it hide each other's latency until their work adds up.
    /// </summary>
    public double Microseconds
    {
        get
        {
            // A second kernel that reads each split's float32 sums and writes the result.
            const double ReduceLaunch = 1.2, ReduceMegaElement = 1.1;
            (long full, long rest) = Math.DivRem((Blocks + Multiprocessors - 1) / Multiprocessors, Tile.ResidentBlocks);
            double reduce = Splits == 1 ? 0 : ReduceLaunch + (ReduceMegaElement * 1e-6 * M * N * (Splits + 1));
            return Tile.Launch + (full * Time(Tile.ResidentBlocks)) + Time(rest) + reduce;

            double Time(long blocks) => blocks == 0 ? 0 : (Math.Max(Tile.Latency, blocks * Tile.Work) * TilesPerSplit) + (Tile.Store * blocks);
        }
    }

    /// <summary>Operations that are executed per operation that counts: what the padding of rows, columns and K costs.</summary>
    public double Padding =>
        (double)Columns * Tile.Side * Rows * Tile.Side * LinearPanels.Tiles(K, Type) * LinearPanels.TileLength(Type) / ((double)M * N * K);
}

/// <summary>
/// Which tile and how many splits of K a matrix product gets: of all cuts, the one that <see cref="LinearChoice.Microseconds"/> finds fastest. The tiles' costs are
/// fitted to the times of every cut of some forty products that <c>bench/gpu</c> takes. <see cref="List"/> shows what becomes of a model.
/// </summary>
internal static class LinearTiles
{
    private static readonly int[] Splits = [1, 2, 4, 8];

    // By bench/gpu/fit_tiles.py from docs/measurements/h200-2026-11-26-products.tsv.
    private static readonly LinearTile[] Half =
    [
        new("64", 64, ResidentBlocks: 4, Launch: 2.57, Latency: 0.171, Work: 0.118, Store: 0.46),
        new("128of8", 128, ResidentBlocks: 2, Launch: 3.71, Latency: 0.300, Work: 0.432, Store: 1.01),
        new("128", 128, ResidentBlocks: 2, Launch: 5.11, Latency: 0.330, Work: 0.417, Store: 1.52),
    ];

    private static readonly LinearTile[] Tf32 =
    [
        new("64", 64, ResidentBlocks: 4, Launch: 2.84, Latency: 0.164, Work: 0.117, Store: 0.47),
        new("128of8", 128, ResidentBlocks: 2, Launch: 4.04, Latency: 0.248, Work: 0.395, Store: 1.27),
        new("128", 128, ResidentBlocks: 2, Launch: 5.28, Latency: 0.432, Work: 0.378, Store: 1.49),
    ];

    private static readonly LinearTile[] Float =
    [
        new("64", 64, ResidentBlocks: 4, Launch: 3.76, Latency: 0.512, Work: 0.405, Store: 0.41),
        new("128", 128, ResidentBlocks: 2, Launch: 4.82, Latency: 0.500, Work: 1.484, Store: 0.92),
    ];

    /// <summary>Chooses for a product on a device, among the kernels that it has.</summary>
    public static LinearChoice Choose(CudaSession session, int m, int n, int k, StorageType type) =>
        All(m, n, k, type, session.Device.Multiprocessors).Where(c => session.Has(c.Kernel)).MinBy(c => c.Microseconds)!;

    /// <summary>Chooses for a convolution on a device, among the kernels that it has.</summary>
    public static LinearChoice ChooseConvolution(CudaSession session, int m, int n, int k, StorageType type) =>
        All(m, n, k, type, session.Device.Multiprocessors).Where(c => session.Has(c.ConvolutionKernel)).MinBy(c => c.Microseconds)!;

    /// <summary>Chooses blocks and tile of a transposed convolution on a device, among the kernels that it has. Its K is not split: it is short.</summary>
    /// <param name="session">The device.</param>
    /// <param name="cuts">The blocks to choose from.</param>
    /// <param name="y">The result (N, H, W, C).</param>
    /// <param name="channels">Channels of the operand with padding.</param>
    /// <param name="type">The operands' type.</param>
    /// <returns>The cut and its product; null if the kernels can take none.</returns>
    public static (TransposedBlocks Blocks, LinearChoice Product)? ChooseTransposed(
        CudaSession session, IEnumerable<TransposedBlocks> cuts, Shape y, int channels, StorageType type) =>
        (from blocks in cuts
         let m = checked(y[0] * blocks.Cover(y[1]) * blocks.Cover(y[2]))
         from choice in All(m, blocks.Columns, blocks.Window * blocks.Window * channels, type, session.Device.Multiprocessors)
         where choice.Splits == 1 && session.Has(choice.TransposedKernel)
         orderby choice.Microseconds
         select ((TransposedBlocks, LinearChoice)?)(blocks, choice)).FirstOrDefault();

    /// <summary>Chooses for a product, among all kernels.</summary>
    public static LinearChoice Choose(int m, int n, int k, StorageType type, int multiprocessors) =>
        All(m, n, k, type, multiprocessors).MinBy(c => c.Microseconds)!;

    /// <summary>Every way that a product can be cut.</summary>
    public static IEnumerable<LinearChoice> All(int m, int n, int k, StorageType type, int multiprocessors) =>
        from tile in type switch { StorageType.Half => Half, StorageType.Tf32 => Tf32, _ => Float }
        from splits in Splits
        let choice = new LinearChoice(m, n, k, type, multiprocessors, tile, splits)
        where choice.IsWhole
        select choice;

    /// <summary>Every matrix product of a graph, convolutions left out, with what is chosen for it.</summary>
    /// <param name="graph">The graph, after all passes.</param>
    /// <param name="precision">Arithmetic.</param>
    /// <param name="multiprocessors">Multiprocessors of the GPU: 16 of a Jetson AGX Orin, 108 of an A100, 132 of an H100.</param>
    public static IReadOnlyList<(string Layer, LinearChoice Choice)> List(Graph.ComputeGraph graph, Precision precision, int multiprocessors)
    {
        StorageType type = precision.OperandType();
        return
        [
            .. from node in graph.Nodes
               where node.Operator is Graph.Linear or Graph.PatchEmbedding
               let weight = (Graph.Parameter)node.Inputs[1].Operator
               let m = (int)node.Shape.Rows
               let n = node.Shape[-1]
               let k = (int)(weight.Shape.Count / weight.Shape[0])
               select (weight.Key, Choose(m, n, k, type, multiprocessors)),
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
