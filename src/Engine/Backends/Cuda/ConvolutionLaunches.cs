using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of the kernels that slide windows over maps (N, H, W, C) without being matrix products.</summary>
internal static class ConvolutionLaunches
{
    /// <summary>Channels of y that a thread of a transposed convolution computes.</summary>
    private const int ManyOutputs = 8, FewOutputs = 4;

    /// <summary>The channels of a transposed convolution's weight with padding.</summary>
    public static int WeightColumns(int outputs) => LinearTiles.Tiles(outputs, ManyOutputs) * ManyOutputs;

    /// <summary>Depthwise convolution.</summary>
    public static IReadOnlyList<KernelLaunch> Depthwise(CudaSession session, WindowArguments a, int pictures, int rows) =>
        Windows(session, a is { Stride: 1, KernelWidth: 3 or 5 } ? $"depthwise_{a.KernelWidth}" : "depthwise", a, pictures, rows);

    /// <summary>Max pooling.</summary>
    public static IReadOnlyList<KernelLaunch> MaxPool(CudaSession session, WindowArguments a, int pictures, int rows) => Windows(session, "max_pool", a, pictures, rows);

    /// <summary>Depthwise convolution or max pooling.</summary>
    /// <param name="session">The device.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="a">The arguments but for units and Vectors.</param>
    /// <param name="pictures">N.</param>
    /// <param name="rows">Rows of y.</param>
    private static IReadOnlyList<KernelLaunch> Windows(CudaSession session, string kernel, WindowArguments a, int pictures, int rows)
    {
        bool vectors = a.Channels % 4 == 0 && Launches.Aligned(a.X, a.XStride, 4, a.XType) && Launches.Aligned(a.Y, a.YStride, 4, a.Type)
            && Launches.Aligned(a.Residual, a.ResidualStride, 4, StorageType.Float);
        a.Vectors = vectors ? 1 : 0;
        a.ChannelUnits = Divisor.Of(vectors ? a.Channels / 4 : a.Channels);
        a.ColumnUnits = Divisor.Of(LinearTiles.Tiles(a.YWidth, WindowArguments.Columns));
        a.YHeight = Divisor.Of(rows);
        a.Units = Launches.Units((long)pictures * rows * a.ColumnUnits.Value * a.ChannelUnits.Value);
        return [KernelLaunch.Of(session.Kernel(kernel), new LaunchSize(Launches.Blocks(a.Units, WindowArguments.Threads)), a)];
    }

    /// <summary>Transposed convolution, all phases in one launch.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for ColumnTiles, Phases and Vectors.</param>
    /// <param name="pictures">N.</param>
    /// <exception cref="ConfigurationException">The kernel is too large for a block's shared memory.</exception>
    public static IReadOnlyList<KernelLaunch> Transposed(CudaSession session, TransposedConvolutionArguments a, int pictures)
    {
        int stride = a.Stride.Value, outputs = a.YChannels > FewOutputs ? ManyOutputs : FewOutputs;
        int shared = TransposedConvolutionArguments.SharedBytes(a.Kernel, stride, outputs);
        if (shared > session.Device.MaxSharedMemoryPerBlock)
        {
            throw new ConfigurationException(
                $"a transposed convolution with a kernel of {a.Kernel} and a stride of {stride} needs {shared} bytes of shared memory; this GPU has {session.Device.MaxSharedMemoryPerBlock}: use --device cpu");
        }

        a.ColumnTiles = Divisor.Of(LinearTiles.Tiles(LinearTiles.Tiles(a.YWidth, stride), TransposedConvolutionArguments.TileColumns));
        a.Phases = Divisor.Of(stride * stride);
        a.PixelVectors = a.Channels % TransposedConvolutionArguments.Chunk == 0 && Launches.Aligned(a.X, a.XStride, 4, a.XType) ? 1 : 0;
        a.Vectors = a.YChannels % 4 == 0 && Launches.Aligned(a.Y, a.YStride, 4, a.Type) ? 1 : 0;
        LaunchSize grid = new(
            a.ColumnTiles.Value * LinearTiles.Tiles(a.YChannels, outputs),
            LinearTiles.Tiles(LinearTiles.Tiles(a.YHeight, stride), TransposedConvolutionArguments.TileRows),
            pictures * a.Phases.Value);
        return [KernelLaunch.Of(session.Kernel($"transposed_convolution_{outputs}"), grid, a, shared)];
    }
}
