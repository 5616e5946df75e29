using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Filters, pooling and interpolation of planes [planes, H, W], interpolation of maps [planes, H, W, C] too, float32. Filters and pooling are separable and do both passes in one launch: a block
/// reduces down the columns into shared memory, margins included, and then along the rows, so that a result costs about 2·k operations instead of
/// k², by plain sums without running ones (relative error 1e-6). Lanes are neighbouring columns: global accesses are whole rows, shared ones free of
/// bank conflicts (but for strided pooling). Models: ViTAD (Gaussian, 16×16 average of the score, resize), InTra (pooling, Gaussian, mean filter,
/// resize), ADTR, UniAD, UTRAD (resize of features). Bytes: x once and the margins again, y once.
/// </summary>
internal static class Filters
{
    private const int RowsAtOnce = 4;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<FilterArguments>("separable_filter", FilterArguments.Threads, 8, 0, 56, Separable),
        KernelCatalog.Kernel<PoolArguments>("pool", PoolArguments.Threads, 8, 0, 32, Pool),
        KernelCatalog.Kernel<ResizeArguments>("resize", ResizeArguments.Threads, 16, 0, 32, Resize),
    ];

    /// <summary>y[i] = Σₖ taps[k] · x[i + k − radius] down the columns, then along the rows. FLOPs 4 a tap and result.</summary>
    public static void Separable(FilterArguments a)
    {
        const int TileRows = FilterArguments.TileRows, TileColumns = FilterArguments.TileColumns;
        int thread = Threads.Index, diameter = 2 * a.Radius, columns = TileColumns + diameter;
        int firstRow = Grid.IdxY * TileRows, firstColumn = Grid.IdxX * TileColumns;
        long plane = (long)Grid.IdxZ * a.Height * a.Width * sizeof(float);
        uint taps = Shared.Base(), tile = taps + (uint)((diameter + 1) * sizeof(float)), rowBytes = (uint)(columns * sizeof(float));
        for (int k = thread; k <= diameter; k += FilterArguments.Threads)
        {
            Shared.Store(taps + (uint)(k * sizeof(float)), Global.Constant(a.Taps + ((long)k * sizeof(float))));
        }

        Threads.Barrier();

        // Down the columns, margins included: a thread does four rows, which share what they read.
        for (int item = thread; item < columns * (TileRows / RowsAtOnce); item += FilterArguments.Threads)
        {
            int group = item >= columns ? 1 : 0, column = item - (group * columns), top = firstRow + (RowsAtOnce * group) - a.Radius;
            int x = Inside(firstColumn + column - a.Radius, a.Width, a.Border);
            F4 sums = default;
            if (x >= 0)
            {
                // Most threads meet no border: then the loop is short, and its loads overlap.
                long source = a.X + plane + ((long)x * sizeof(float));
                sums = top >= 0 && top + diameter + RowsAtOnce <= a.Height
                    ? FilterColumn(a, taps, source, top, inside: true)
                    : FilterColumn(a, taps, source, top, inside: false);
            }

            uint target = tile + ((uint)(RowsAtOnce * group) * rowBytes) + (uint)(column * sizeof(float));
            Shared.Store(target, sums.X);
            Shared.Store(target + rowBytes, sums.Y);
            Shared.Store(target + (2 * rowBytes), sums.Z);
            Shared.Store(target + (3 * rowBytes), sums.W);
        }

        Threads.Barrier();

        // Along the rows: a thread does four of a column, which share the taps.
        int resultColumn = thread & (TileColumns - 1), resultRow = (thread / TileColumns) * RowsAtOnce;
        uint read = tile + ((uint)resultRow * rowBytes) + (uint)(resultColumn * sizeof(float));
        F4 results = default;
        for (int k = 0; k <= diameter; k++)
        {
            float tap = Shared.Float(taps + (uint)(k * sizeof(float)));
            results.X = Numbers.Fma(tap, Shared.Float(read), results.X);
            results.Y = Numbers.Fma(tap, Shared.Float(read + rowBytes), results.Y);
            results.Z = Numbers.Fma(tap, Shared.Float(read + (2 * rowBytes)), results.Z);
            results.W = Numbers.Fma(tap, Shared.Float(read + (3 * rowBytes)), results.W);
            read += sizeof(float);
        }

        int yRow = firstRow + resultRow, yColumn = firstColumn + resultColumn;
        if (yColumn < a.Width)
        {
            long target = a.Y + plane + ((((long)yRow * a.Width) + yColumn) * sizeof(float)), pitch = (long)a.Width * sizeof(float);
            StoreIf(yRow < a.Height, target, results.X);
            StoreIf(yRow + 1 < a.Height, target + pitch, results.Y);
            StoreIf(yRow + 2 < a.Height, target + (2 * pitch), results.Z);
            StoreIf(yRow + 3 < a.Height, target + (3 * pitch), results.W);
        }
    }

    /// <summary>Averages or maxima of square windows. FLOPs 2·kernel a result and more where windows overlap little.</summary>
    public static void Pool(PoolArguments a)
    {
        const int TileRows = PoolArguments.TileRows;
        int thread = Threads.Index, tileColumns = 1 << a.TileShift, columns = ((tileColumns - 1) * a.Stride) + a.Kernel;
        int firstRow = Grid.IdxY * TileRows, firstColumn = Grid.IdxX * tileColumns, rows = Numbers.Min(TileRows, a.YHeight - firstRow);
        long plane = a.X + ((long)Grid.IdxZ * a.Height * a.Width * sizeof(float));
        uint tile = Shared.Base(), rowBytes = (uint)(columns * sizeof(float));
        for (int row = 0; row < rows; row++)
        {
            int top = ((firstRow + row) * a.Stride) - a.Padding, first = Numbers.Max(top, 0), height = Numbers.Min(top + a.Kernel, a.Height) - first;
            for (int column = thread; column < columns; column += PoolArguments.Threads)
            {
                int x = (firstColumn * a.Stride) - a.Padding + column, count = (uint)x < (uint)a.Width ? height : 0;
                long source = plane + ((((long)first * a.Width) + x) * sizeof(float)), pitch = (long)a.Width * sizeof(float);
                float total = a.Operation == PoolOperation.Max ? Column<LargestFold>(source, pitch, count) : Column<SumFold>(source, pitch, count);
                Shared.Store(tile + ((uint)row * rowBytes) + (uint)(column * sizeof(float)), total);
            }
        }

        Threads.Barrier();
        for (int item = thread; item < rows << a.TileShift; item += PoolArguments.Threads)
        {
            int row = item >> a.TileShift, column = item & (tileColumns - 1), x = firstColumn + column, y = firstRow + row;
            if (x < a.YWidth)
            {
                uint source = tile + ((uint)row * rowBytes) + (uint)(column * a.Stride * sizeof(float));
                float total = a.Operation == PoolOperation.Max ? Row<LargestFold>(source, a.Kernel) : Row<SumFold>(source, a.Kernel);
                if (a.Operation != PoolOperation.Max)
                {
                    bool all = a.Operation == PoolOperation.Average;
                    float high = all ? a.Kernel : Covered(y, a.Height, a), wide = all ? a.Kernel : Covered(x, a.Width, a);
                    total *= Numbers.Reciprocal(high * wide);
                }

                Global.Store(a.Y + (((((long)Grid.IdxZ * a.YHeight) + y) * a.YWidth) + x) * sizeof(float), total);
            }
        }
    }

    /// <summary>
    /// Bilinear interpolation, a thread a result. The source coordinate is rounded after each operation as PyTorch rounds it on the CPU: contracted
    /// to an fma, it would fall on the other side of a whole number here and there. FLOPs 8 a result.
    /// </summary>
    public static void Resize(ResizeArguments a)
    {
        int item = (Grid.IdxX * ResizeArguments.Threads) + Threads.Index, channels = a.Channels.Value;
        int x = Numbers.Divide(item, a.Channels), y = Grid.IdxY, channel = item - (x * channels);
        if (x >= a.YWidth)
        {
            return;
        }

        float row = Source(y, a.RowStep, a.AlignCorners), column = Source(x, a.ColumnStep, a.AlignCorners);
        int top = Numbers.Min((int)row, a.Height - 1), bottom = Numbers.Min(top + 1, a.Height - 1);
        int left = Numbers.Min((int)column, a.Width - 1), right = Numbers.Min(left + 1, a.Width - 1);
        float lower = Numbers.Min(row - top, 1), further = Numbers.Min(column - left, 1);
        long rowBytes = (long)a.Width * channels * sizeof(float), plane = a.X + (Grid.IdxZ * a.Height * rowBytes) + ((long)channel * sizeof(float));
        long upperRow = plane + (top * rowBytes), lowerRow = plane + (bottom * rowBytes);
        long near = (long)left * channels * sizeof(float), far = (long)right * channels * sizeof(float);
        float above = Mix(Global.Float(upperRow + near), Global.Float(upperRow + far), further);
        float below = Mix(Global.Float(lowerRow + near), Global.Float(lowerRow + far), further);
        Global.Store(a.Y + ((((((long)Grid.IdxZ * a.YHeight) + y) * a.YWidth * channels) + item) * sizeof(float)), a.Scale * Mix(above, below, lower));
    }

    /// <summary>Index within the picture that stands for one that may be beyond it; −1 for a zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Inside(int index, int extent, FilterBorder border)
    {
        if ((uint)index < (uint)extent)
        {
            return index;
        }

        if (border == FilterBorder.Zero)
        {
            return -1;
        }

        // d c b a | a b c d | d c b a repeats every two extents.
        int period = 2 * extent, folded = index % period;
        folded = folded < 0 ? folded + period : folded;
        return folded < extent ? folded : period - 1 - folded;
    }

    /// <summary>How many pixels of the picture a window covers in one dimension.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Covered(int window, int extent, PoolArguments a)
    {
        int first = (window * a.Stride) - a.Padding;
        return Numbers.Min(first + a.Kernel, extent) - Numbers.Max(first, 0);
    }

    /// <summary>Folds a column of a window.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Column<TFold>(long source, long pitch, int count)
        where TFold : struct, IFold
    {
        TFold fold = default;
        float total = fold.None;
        for (; count > 0; count--)
        {
            total = fold.Add(total, Global.Float(source));
            source += pitch;
        }

        return total;
    }

    /// <summary>Folds a row of column folds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Row<TFold>(uint source, int count)
        where TFold : struct, IFold
    {
        TFold fold = default;
        float total = fold.None;
        for (; count > 0; count--)
        {
            total = fold.Add(total, Shared.Float(source));
            source += sizeof(float);
        }

        return total;
    }

    /// <summary>Filters four rows of a column: with tap k, row j takes what lies k + j below the first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 FilterColumn(FilterArguments a, uint taps, long source, int top, bool inside)
    {
        F4 sums = default;
        float x = Pixel(a, source, top, inside), y = Pixel(a, source, top + 1, inside), z = Pixel(a, source, top + 2, inside);
        for (int k = 0; k <= 2 * a.Radius; k++)
        {
            float w = Pixel(a, source, top + k + 3, inside), tap = Shared.Float(taps + (uint)(k * sizeof(float)));
            sums.X = Numbers.Fma(tap, x, sums.X);
            sums.Y = Numbers.Fma(tap, y, sums.Y);
            sums.Z = Numbers.Fma(tap, z, sums.Z);
            sums.W = Numbers.Fma(tap, w, sums.W);
            x = y;
            y = z;
            z = w;
        }

        return sums;
    }

    /// <summary>A pixel of a column that may lie beyond the border unless <paramref name="inside"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Pixel(FilterArguments a, long column, int y, bool inside)
    {
        if (!inside)
        {
            y = Inside(y, a.Height, a.Border);
            if (y < 0)
            {
                return 0;
            }
        }

        return Global.Float(column + ((long)y * a.Width * sizeof(float)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreIf(bool condition, long address, float value)
    {
        if (condition)
        {
            Global.Store(address, value);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Source(int index, float step, int alignCorners) =>
        alignCorners != 0 ? step * index : Numbers.Max(Numbers.Multiply(step, index + 0.5f) - 0.5f, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mix(float a, float b, float weight) => Numbers.Fma(weight, b, (1 - weight) * a);

    /// <summary>How pooling makes one number of many.</summary>
    private interface IFold
    {
        /// <summary>The result of no number.</summary>
        float None { get; }

        /// <summary>Takes in one number.</summary>
        float Add(float total, float value);
    }

    private struct SumFold : IFold
    {
        public readonly float None => 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Add(float total, float value) => total + value;
    }

    private struct LargestFold : IFold
    {
        public readonly float None => float.NegativeInfinity;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Add(float total, float value) => Numbers.MaxOrNaN(total, value);
    }
}
