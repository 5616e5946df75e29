using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Filters, pooling and interpolation of planes [planes, H, W], float32. Filters and pooling are separable and do both passes in one launch: a block reduces down the
/// columns into shared memory, margins included, and then along the rows, so that a result costs about 2·k operations instead of k², by plain sums without running ones
/// (relative error 1e-6). Lanes are neighbouring columns: global accesses are whole rows, shared ones free of bank conflicts (but for strided pooling).
/// Models: ViTAD (Gaussian, 16×16 average of the score, resize), InTra (pooling, Gaussian, mean filter, resize). Bytes: x once and the margins again, y once.
/// </summary>
internal static class Filters
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<FilterArguments>("separable_filter", FilterArguments.Threads, 8, 0, 56, Separable),
        KernelCatalog.Kernel<PoolArguments>("pool", PoolArguments.Threads, 8, 0, 48, Pool),
        KernelCatalog.Kernel<ResizeArguments>("resize", ResizeArguments.Threads, 16, 0, 40, Resize),
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

        // Four rows of a column share what they read: row j takes input row k with tap k − j.
        for (int item = thread; item < columns * (TileRows / 4); item += FilterArguments.Threads)
        {
            int group = item >= columns ? 1 : 0, column = item - (group * columns), top = firstRow + (4 * group) - a.Radius;
            int x = Inside(firstColumn + column - a.Radius, a.Width, a.Border);
            F4 sums = default;
            float tap = 0, before = 0, before2 = 0, before3 = 0;
            for (int k = 0; k < diameter + 4; k++)
            {
                before3 = before2;
                before2 = before;
                before = tap;
                tap = k <= diameter ? Shared.Float(taps + (uint)(k * sizeof(float))) : 0;
                int y = Inside(top + k, a.Height, a.Border);
                float v = (x | y) >= 0 ? Global.Float(a.X + plane + ((((long)y * a.Width) + x) * sizeof(float))) : 0;

                // Not multiplied with zeros instead: an infinity must reach no further than the taps do.
                sums.X = k <= diameter ? Numbers.Fma(tap, v, sums.X) : sums.X;
                sums.Y = (uint)(k - 1) <= (uint)diameter ? Numbers.Fma(before, v, sums.Y) : sums.Y;
                sums.Z = (uint)(k - 2) <= (uint)diameter ? Numbers.Fma(before2, v, sums.Z) : sums.Z;
                sums.W = k >= 3 ? Numbers.Fma(before3, v, sums.W) : sums.W;
            }

            uint target = tile + ((uint)(4 * group) * rowBytes) + (uint)(column * sizeof(float));
            Shared.Store(target, sums.X);
            Shared.Store(target + rowBytes, sums.Y);
            Shared.Store(target + (2 * rowBytes), sums.Z);
            Shared.Store(target + (3 * rowBytes), sums.W);
        }

        Threads.Barrier();
        for (int item = thread; item < TileRows * TileColumns; item += FilterArguments.Threads)
        {
            int row = item / TileColumns, column = item % TileColumns, x = firstColumn + column, y = firstRow + row;
            if (x < a.Width && y < a.Height)
            {
                uint source = tile + ((uint)row * rowBytes) + (uint)(column * sizeof(float));
                float sum = 0;
                for (int k = 0; k <= diameter; k++)
                {
                    sum = Numbers.Fma(Shared.Float(taps + (uint)(k * sizeof(float))), Shared.Float(source + (uint)(k * sizeof(float))), sum);
                }

                Global.Store(a.Y + plane + ((((long)y * a.Width) + x) * sizeof(float)), sum);
            }
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
        float none = a.Operation == PoolOperation.Max ? float.NegativeInfinity : 0;
        for (int row = 0; row < rows; row++)
        {
            int top = ((firstRow + row) * a.Stride) - a.Padding, end = Numbers.Min(top + a.Kernel, a.Height);
            for (int column = thread; column < columns; column += PoolArguments.Threads)
            {
                int x = (firstColumn * a.Stride) - a.Padding + column;
                float total = none;
                if ((uint)x < (uint)a.Width)
                {
                    for (int y = Numbers.Max(top, 0); y < end; y++)
                    {
                        total = Combine(a.Operation, total, Global.Float(plane + ((((long)y * a.Width) + x) * sizeof(float))));
                    }
                }

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
                float total = none;
                for (int k = 0; k < a.Kernel; k++)
                {
                    total = Combine(a.Operation, total, Shared.Float(source + (uint)(k * sizeof(float))));
                }

                if (a.Operation != PoolOperation.Max)
                {
                    bool all = a.Operation == PoolOperation.Average;
                    float height = all ? a.Kernel : Covered(y, a.Height, a), width = all ? a.Kernel : Covered(x, a.Width, a);
                    total *= Numbers.Reciprocal(height * width);
                }

                Global.Store(a.Y + (((((long)Grid.IdxZ * a.YHeight) + y) * a.YWidth) + x) * sizeof(float), total);
            }
        }
    }

    /// <summary>
    /// Bilinear interpolation, a thread a result. The source coordinate is rounded after each operation as PyTorch rounds it on the CPU: contracted to an fma, it would fall
    /// on the other side of a whole number here and there. FLOPs 8 a result.
    /// </summary>
    public static void Resize(ResizeArguments a)
    {
        int x = (Grid.IdxX * ResizeArguments.Threads) + Threads.Index, y = Grid.IdxY;
        if (x >= a.YWidth)
        {
            return;
        }

        float row = Source(y, a.RowStep, a.AlignCorners), column = Source(x, a.ColumnStep, a.AlignCorners);
        int top = Numbers.Min((int)row, a.Height - 1), bottom = Numbers.Min(top + 1, a.Height - 1);
        int left = Numbers.Min((int)column, a.Width - 1), right = Numbers.Min(left + 1, a.Width - 1);
        float lower = Numbers.Min(row - top, 1), further = Numbers.Min(column - left, 1);
        long plane = a.X + ((long)Grid.IdxZ * a.Height * a.Width * sizeof(float));
        long upperRow = plane + ((long)top * a.Width * sizeof(float)), lowerRow = plane + ((long)bottom * a.Width * sizeof(float));
        float above = Mix(Global.Float(upperRow + ((long)left * sizeof(float))), Global.Float(upperRow + ((long)right * sizeof(float))), further);
        float below = Mix(Global.Float(lowerRow + ((long)left * sizeof(float))), Global.Float(lowerRow + ((long)right * sizeof(float))), further);
        Global.Store(a.Y + (((((long)Grid.IdxZ * a.YHeight) + y) * a.YWidth) + x) * sizeof(float), a.Scale * Mix(above, below, lower));
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Combine(PoolOperation operation, float a, float b) => operation == PoolOperation.Max ? Numbers.MaxOrNaN(a, b) : a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Source(int index, float step, int alignCorners) =>
        alignCorners != 0 ? step * index : Numbers.Max(Numbers.Multiply(step, index + 0.5f) - 0.5f, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mix(float a, float b, float weight) => Numbers.Fma(weight, b, (1 - weight) * a);
}
