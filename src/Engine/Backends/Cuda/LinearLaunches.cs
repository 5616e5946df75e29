using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of the matrix products: linear layers, with and without a norm in front, patch embeddings and convolutions.</summary>
internal static class LinearLaunches
{
    // 64 rows by 128 columns of results, fp32: 32 rows.
    private const int NormColumns = 128;
    private const int ReduceColumns = 4;

    /// <summary>Distance of rows of the workspace of a product whose K is split, in floats.</summary>
    public static int WorkspaceStride(int n) => (n + ReduceColumns - 1) / ReduceColumns * ReduceColumns;

    /// <summary>Elements of the workspace.</summary>
    public static long WorkspaceLength(LinearChoice choice) => (long)choice.Splits * choice.M * WorkspaceStride(choice.N);

    /// <summary>y = f(x·Wᵀ + bias) · scale + residual: one kernel, or two where K is split.</summary>
    /// <param name="session">The device.</param>
    /// <param name="choice">How it is cut.</param>
    /// <param name="a">The arguments but for TilesPerSplit and Vectors.</param>
    /// <param name="workspace">Address of the workspace; 0 if there is one split.</param>
    public static IReadOnlyList<KernelLaunch> Product(CudaSession session, LinearChoice choice, LinearArguments a, long workspace)
    {
        RequireOperand(a, choice.Type);
        KernelInfo kernel = session.Kernel(choice.Kernel);
        return Product(session, choice, a, workspace, (grid, linear) => KernelLaunch.Of(kernel, grid, linear));
    }

    /// <summary>A convolution as a matrix product: one kernel, or two where K is split.</summary>
    /// <param name="session">The device.</param>
    /// <param name="choice">How it is cut.</param>
    /// <param name="a">The arguments but for TilesPerSplit and Vectors.</param>
    /// <param name="workspace">Address of the workspace; 0 if there is one split.</param>
    public static IReadOnlyList<KernelLaunch> Convolution(CudaSession session, LinearChoice choice, ConvolutionArguments a, long workspace)
    {
        KernelInfo kernel = session.Kernel(choice.ConvolutionKernel);
        return Product(session, choice, a.Linear, workspace, (grid, linear) => KernelLaunch.Of(kernel, grid, a with { Linear = linear }));
    }

    private static IReadOnlyList<KernelLaunch> Product(
        CudaSession session, LinearChoice choice, LinearArguments a, long workspace, Func<LaunchSize, LinearArguments, KernelLaunch> launch)
    {
        LaunchSize grid = new(choice.Columns, choice.Rows, choice.Splits);
        a.TilesPerSplit = choice.TilesPerSplit;
        a.Vectors = Vectors(a);
        if (choice.Splits == 1)
        {
            return [launch(grid, a)];
        }

        LinearArguments sums = a with
        {
            Bias = 0,
            Scale = 0,
            Residual = 0,
            Y = workspace,
            YStride = WorkspaceStride(a.N),
            Function = EpilogueFunction.None,
            ActivateSum = 0,
            Type = StorageType.Float,
        };
        sums.Vectors = Vectors(sums);
        LinearArguments finish = a with { X = workspace, XStride = sums.YStride, K = choice.Splits };
        KernelInfo reduce = session.Kernel("linear_reduce");
        long vectors = (long)a.M * (sums.YStride / ReduceColumns);
        return
        [
            launch(grid, sums),
            KernelLaunch.Of(reduce, new LaunchSize(Launches.Blocks(vectors, reduce.Threads)), finish),
        ];
    }

    /// <summary>Whether a norm can be taken into the product that reads it: by shape, shared memory, and where it pays.</summary>
    public static bool CanTakeNorm(CudaSession session, int m, int n, int k, StorageType type) =>
        k % 8 == 0
        && NormSharedBytes(k, type) <= session.Device.MaxSharedMemoryPerBlock
        && (long)LinearTiles.Tiles(n, NormColumns) * LinearTiles.Tiles(m, NormRows(type)) <= LinearTiles.MaxNormFill * session.Device.Multiprocessors;

    /// <summary>y = f(LayerNorm(x)·Wᵀ + bias) · scale + residual.</summary>
    /// <param name="session">The device.</param>
    /// <param name="type">The operands' type; x itself is float32.</param>
    /// <param name="a">The arguments but for Vectors.</param>
    public static IReadOnlyList<KernelLaunch> NormProduct(CudaSession session, StorageType type, NormLinearArguments a)
    {
        a.Linear.TilesPerSplit = LinearPanels.Tiles(a.Linear.K, type);
        a.Linear.Vectors = Vectors(a.Linear);
        LaunchSize grid = new(LinearTiles.Tiles(a.Linear.N, NormColumns), LinearTiles.Tiles(a.Linear.M, NormRows(type)));
        return [KernelLaunch.Of(session.Kernel($"norm_linear_{LinearTiles.Name(type)}"), grid, a, NormSharedBytes(a.Linear.K, type))];
    }

    /// <summary>y[m] = W·vec(patch m) + bias.</summary>
    /// <param name="session">The device.</param>
    /// <param name="type">The operands' type; the pictures are float32.</param>
    /// <param name="a">The arguments but for TilesPerSplit and Vectors.</param>
    public static IReadOnlyList<KernelLaunch> PatchProduct(CudaSession session, StorageType type, PatchEmbeddingArguments a)
    {
        const int Side = 64;
        a.Linear.TilesPerSplit = LinearPanels.Tiles(a.Linear.K, type);
        a.Linear.Vectors = Vectors(a.Linear);
        LaunchSize grid = new(LinearTiles.Tiles(a.Linear.N, Side), LinearTiles.Tiles(a.Linear.M, Side));
        return [KernelLaunch.Of(session.Kernel($"patch_embedding_{LinearTiles.Name(type)}_{Side}"), grid, a)];
    }

    private static int NormRows(StorageType type) => type == StorageType.Float ? 32 : 64;

    /// <summary>The normed rows over all of K, and the stages of W behind them; rows of the exact kernel are k-major with a gap of four floats.</summary>
    private static int NormSharedBytes(int k, StorageType type) => type == StorageType.Float
        ? (LinearPanels.Tiles(k, type) * LinearPanels.TileLength(type) * (NormRows(type) + 4) * sizeof(float)) + (2 * NormColumns * LinearPanels.TileLength(type) * sizeof(float))
        : (LinearPanels.Tiles(k, type) * NormRows(type) * 64) + (3 * NormColumns * 64);

    private static int Vectors(LinearArguments a)
    {
        bool y = a.N % 4 == 0 && Launches.Aligned(a.Y, a.YStride, 4, a.Type);
        bool residual = a.Residual == 0 || Launches.Aligned(a.Residual, a.ResidualStride, 4, StorageType.Float);
        return y && residual ? 1 : 0;
    }

    /// <summary>The tensor cores' operands are copied 16 bytes at a time, the end of a row too.</summary>
    private static void RequireOperand(LinearArguments a, StorageType type)
    {
        int elements = 16 / type.Bytes();
        if (type != StorageType.Float && (LinearTiles.Tiles(a.K, elements) * elements > a.XStride || !Launches.Aligned(a.X, a.XStride, elements, type)))
        {
            throw new InvalidOperationException($"the operand at {a.X:X}, rows of {a.K} every {a.XStride} elements, is not aligned");
        }
    }
}
