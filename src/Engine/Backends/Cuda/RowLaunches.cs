using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of the kernels that work row by row: norms, gathers, reductions, distances of tokens, functions and likelihoods of rows.</summary>
internal static class RowLaunches
{
    private const int GatherBytes = 16;

    /// <summary>LayerNorm.</summary>
    public static IReadOnlyList<KernelLaunch> LayerNorm(CudaSession session, LayerNormArguments a)
    {
        bool aligned = a.Columns <= LayerNormArguments.RowWidth && a.Width % 4 == 0 && a.Columns % 4 == 0
            && Aligned(a.X, a.XStride) && Aligned(a.Residual, a.ResidualStride) && Aligned(a.Sum, a.SumStride) && Aligned(a.Plain, a.PlainStride)
            && Aligned(a.Weight, 0) && Aligned(a.Bias, 0) && Launches.Aligned(a.Y, a.YStride, 4, a.Type);
        LaunchSize grid = new(Launches.Blocks(a.Rows, LayerNormArguments.RowsPerBlock));
        return [KernelLaunch.Of(session.Kernel(aligned ? "layer_norm_row" : "layer_norm_loop"), grid, a)];

        static bool Aligned(long address, int stride) => Launches.Aligned(address, stride, 4, StorageType.Float);
    }

    /// <summary>Rows picked from a table.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for UnitBytes; Width and strides in elements.</param>
    /// <param name="type">Type of x and y.</param>
    public static IReadOnlyList<KernelLaunch> Gather(CudaSession session, GatherArguments a, StorageType type)
    {
        int elements = GatherBytes / type.Bytes();
        bool vectors = a.Width % elements == 0 && Launches.Aligned(a.X, a.XStride, elements, type) && Launches.Aligned(a.Y, a.YStride, elements, type);
        int unit = vectors ? elements : 1;
        a.UnitBytes = unit * type.Bytes();
        a.Width /= unit;
        a.XStride /= unit;
        a.YStride /= unit;
        return [KernelLaunch.Of(session.Kernel("gather"), new LaunchSize(Launches.Blocks(a.Rows, GatherArguments.RowsPerBlock)), a)];
    }

    /// <summary>In how many parts rows are reduced, each by a block of its own, so that few long rows fill the GPU.</summary>
    public static int ReduceParts(CudaSession session, long rows, int length)
    {
        const int PartLength = 4096;
        long wanted = 2L * session.Device.Multiprocessors / rows;
        return (int)Math.Clamp(Math.Min(wanted, length / PartLength), 1, int.MaxValue);
    }

    /// <summary>A reduction over contiguous rows: one kernel, or two where rows are cut.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for those of the parts.</param>
    /// <param name="parts">See <see cref="ReduceParts"/>.</param>
    /// <param name="workspace">Address of Outer · parts floats; 0 if there is one part.</param>
    public static IReadOnlyList<KernelLaunch> ReduceRows(CudaSession session, ReduceArguments a, int parts, long workspace)
    {
        a.Inner = 1;
        if (parts == 1)
        {
            return [Row(session, a, 1)];
        }

        ReduceArguments first = a with { Y = workspace, Scale = 1, Type = StorageType.Float };
        // Rounded up, the parts may be so long that fewer are enough.
        int partLength = LinearTiles.Tiles(a.Length, parts), whole = LinearTiles.Tiles(a.Length, partLength);
        ReduceArguments second = a with { X = workspace, Length = whole, OuterStride = whole, XType = StorageType.Float };
        return [Row(session, first, whole, partLength), Row(session, second, 1)];
    }

    /// <summary>In how many parts the columns of matrices are reduced, each by blocks of its own.</summary>
    /// <param name="session">The device.</param>
    /// <param name="outer">Matrices.</param>
    /// <param name="inner">Their columns.</param>
    /// <param name="length">Their rows.</param>
    public static int ReduceColumnParts(CudaSession session, int outer, int inner, int length)
    {
        // A second launch costs more than 64 rows a warp; beyond that, the parts are as many as their own sum takes steps.
        const int WholeLength = 64 * ReduceArguments.BlockWarps;
        long wanted = session.Device.Multiprocessors / ((long)outer * LinearTiles.Tiles(inner, ReduceArguments.Columns));
        return length <= WholeLength ? 1 : (int)Math.Clamp(Math.Min(wanted, (long)Math.Sqrt(length)), 1, int.MaxValue);
    }

    /// <summary>A reduction over the rows of matrices: one kernel, or two where columns are cut.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for those of the parts.</param>
    /// <param name="parts">See <see cref="ReduceColumnParts"/>.</param>
    /// <param name="workspace">Address of Outer · parts · Inner floats; 0 if there is one part.</param>
    /// <exception cref="ConfigurationException">There are more blocks than one launch takes.</exception>
    public static IReadOnlyList<KernelLaunch> ReduceColumns(CudaSession session, ReduceArguments a, int parts, long workspace)
    {
        if (parts == 1)
        {
            return [Columns(session, a, 1, a.Length)];
        }

        ReduceArguments first = a with { Y = workspace, Scale = 1, Type = StorageType.Float };
        int partLength = LinearTiles.Tiles(a.Length, parts), whole = LinearTiles.Tiles(a.Length, partLength);
        ReduceArguments second = a with { X = workspace, Length = whole, OuterStride = (long)whole * a.Inner, LengthStride = a.Inner, XType = StorageType.Float };
        return [Columns(session, first, whole, partLength), Columns(session, second, 1, whole)];
    }

    /// <summary>In how many parts a squeeze-and-excite takes the pixels of maps, each by blocks of its own: two blocks a multiprocessor, none with less than a pixel for each of its threads.</summary>
    /// <param name="session">The device.</param>
    /// <param name="maps">N.</param>
    /// <param name="pixels">Pixels of a map.</param>
    /// <param name="channels">Their channels.</param>
    public static int SqueezeParts(CudaSession session, int maps, int pixels, int channels)
    {
        long wanted = 2L * session.Device.Multiprocessors / ((long)maps * LinearTiles.Tiles(channels, SqueezeExciteArguments.Columns));
        int most = LinearTiles.Tiles(pixels, SqueezeExciteArguments.PixelsAtOnce), parts = (int)Math.Clamp(wanted, 1, most);

        // Rounded up, the parts may be so long that fewer are enough.
        return LinearTiles.Tiles(pixels, LinearTiles.Tiles(pixels, parts));
    }

    /// <summary>Squeeze-and-excite, in two launches.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The addresses and types.</param>
    /// <param name="maps">N.</param>
    /// <param name="pixels">Pixels of a map.</param>
    /// <param name="channels">Their channels.</param>
    /// <param name="squeezed">The squeezed values.</param>
    /// <param name="parts">See <see cref="SqueezeParts"/>.</param>
    /// <exception cref="ConfigurationException">There are more blocks than one launch takes.</exception>
    public static IReadOnlyList<KernelLaunch> SqueezeAndExcite(
        CudaSession session, SqueezeExciteArguments a, int maps, int pixels, int channels, int squeezed, int parts)
    {
        // More threads for a value than this shorten its sum by less than adding up theirs takes.
        const int MostSlices = 32;
        int tiles = LinearTiles.Tiles(channels, SqueezeExciteArguments.Columns);
        a.ColumnTiles = Divisor.Of(tiles);
        a.MapBlocks = Divisor.Of(parts * tiles);
        a.Squeezed = Divisor.Of(squeezed);
        a.SumSlices = Divisor.Of(Math.Min(SqueezeExciteArguments.Threads / squeezed, MostSlices));
        a.Pixels = pixels;
        a.PartPixels = LinearTiles.Tiles(pixels, parts);
        a.Channels = channels;
        a.PaddedChannels = tiles * SqueezeExciteArguments.Columns;
        a.Scale = 1f / pixels;
        a.Vectors = Launches.Aligned(a.X, channels, 4, a.XType) && Launches.Aligned(a.Y, channels, 4, a.Type) ? 1 : 0;
        LaunchSize grid = new(Launches.Blocks((long)maps * a.MapBlocks.Value, perBlock: 1));
        return [KernelLaunch.Of(session.Kernel("squeeze"), grid, a), KernelLaunch.Of(session.Kernel("excite"), grid, a)];
    }

    /// <summary>A function of rows: softmax or squash.</summary>
    public static IReadOnlyList<KernelLaunch> Function(CudaSession session, string kernel, RowArguments a) =>
        [KernelLaunch.Of(session.Kernel(kernel), new LaunchSize(Launches.Blocks(a.Rows, RowArguments.RowsPerBlock)), a)];

    /// <summary>Likelihoods of rows under mixtures.</summary>
    /// <exception cref="ConfigurationException">There are more Gaussians than a block has room for.</exception>
    public static IReadOnlyList<KernelLaunch> MixtureLikelihood(CudaSession session, MixtureLikelihoodArguments a, int rows)
    {
        int shared = MixtureLikelihoodArguments.SharedBytes(a.Components);
        return shared <= session.Device.MaxSharedMemoryPerBlock
            ? [KernelLaunch.Of(session.Kernel("mixture_likelihood"), new LaunchSize(rows), a, shared)]
            : throw new ConfigurationException($"a mixture of {a.Components} Gaussians needs {shared} bytes of shared memory; this GPU has {session.Device.MaxSharedMemoryPerBlock}: use --device cpu");
    }

    /// <summary>Pictures cut into patches.</summary>
    /// <exception cref="ConfigurationException">There are more values than one launch takes.</exception>
    public static IReadOnlyList<KernelLaunch> Patches(CudaSession session, PatchArguments a)
    {
        int units = Launches.Units((long)a.Rows * a.RowUnits.Value);
        return [KernelLaunch.Of(session.Kernel("patches"), new LaunchSize(Launches.Blocks(units, PatchArguments.Threads)), a)];
    }

    /// <summary>Distances of corresponding tokens.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments.</param>
    /// <param name="batch">Pictures.</param>
    public static IReadOnlyList<KernelLaunch> TokenDistance(CudaSession session, DistanceArguments a, int batch) =>
        [KernelLaunch.Of(session.Kernel("token_distance"), new LaunchSize(Launches.Blocks(a.Tokens, DistanceArguments.TokensPerBlock), batch), a)];

    private static KernelLaunch Columns(CudaSession session, ReduceArguments a, int parts, int partLength)
    {
        a.Parts = Divisor.Of(parts);
        a.PartLength = partLength;
        a.TeamWarps = ReduceArguments.BlockWarps;
        a.ColumnTiles = Divisor.Of(LinearTiles.Tiles(a.Inner, ReduceArguments.Columns));
        int blocks = Launches.Blocks((long)a.Outer * parts * a.ColumnTiles.Value, perBlock: 1);
        return KernelLaunch.Of(session.Kernel("reduce_columns"), new LaunchSize(blocks), a);
    }

    private static KernelLaunch Row(CudaSession session, ReduceArguments a, int parts, int? partLength = null)
    {
        const int BlockLength = 1024;
        a.Parts = Divisor.Of(parts);
        a.PartLength = partLength ?? a.Length;
        a.TeamWarps = a.PartLength >= BlockLength ? ReduceArguments.BlockWarps : 1;
        long teams = (long)a.Outer * parts;
        LaunchSize grid = new(Launches.Blocks(teams * a.TeamWarps, ReduceArguments.BlockWarps));
        return KernelLaunch.Of(session.Kernel("reduce_rows"), grid, a, ReduceArguments.SharedBytes);
    }
}
