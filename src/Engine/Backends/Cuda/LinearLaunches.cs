using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of the matrix products: linear layers and convolutions.</summary>
internal static class LinearLaunches
{
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

    /// <summary>A transposed convolution as a matrix product of blocks of results.</summary>
    /// <param name="session">The device.</param>
    /// <param name="choice">How it is cut, K in one piece.</param>
    /// <param name="a">The arguments but for TilesPerSplit and Vectors.</param>
    public static IReadOnlyList<KernelLaunch> Transposed(CudaSession session, LinearChoice choice, TransposedProductArguments a)
    {
        ref LinearArguments product = ref a.Convolution.Linear;
        product.TilesPerSplit = choice.TilesPerSplit;
        product.Vectors = a.RowElements % 4 == 0 && Launches.Aligned(product.Y, a.YRowElements, 4, product.Type) ? 1 : 0;
        return [KernelLaunch.Of(session.Kernel(choice.TransposedKernel), new LaunchSize(choice.Columns, choice.Rows), a)];
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
