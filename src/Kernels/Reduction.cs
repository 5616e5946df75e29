using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Sums, means and maxima over one extent of three, and the softmax and the squash of rows. Sums are in fp32, in an order that depends on the shape only: lanes add
/// up every 32nd (or 256th) element in four chains, then each other, so that the error grows with the length of a chain, not of the row. A maximum
/// is NaN as soon as one element is, so that a broken map cannot pass for a good one.
/// Models: InTra's mean token and channel means, every image score. FLOPs 1 an element. Bytes: x once.
/// </summary>
internal static class Reduction
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<ReduceArguments>("reduce_rows", ReduceArguments.Threads, 4, ReduceArguments.SharedBytes, 40, Rows),
        KernelCatalog.Kernel<ReduceArguments>("reduce_columns", ReduceArguments.Threads, 4, ReduceArguments.ColumnSharedBytes, 40, Columns),
        KernelCatalog.Kernel<RowArguments>("softmax", RowArguments.Threads, 8, 0, 40, Softmax),
        KernelCatalog.Kernel<RowArguments>("squash", RowArguments.Threads, 8, 0, 40, Squash),
    ];

    /// <summary>Contiguous rows: a warp or a block a part of a row.</summary>
    public static void Rows(ReduceArguments a)
    {
        bool block = a.TeamWarps > 1;
        int part = block ? Grid.IdxX : (Grid.IdxX * ReduceArguments.BlockWarps) + Threads.Warp, member = block ? Threads.Index : Threads.Lane;
        int shift = block ? 8 : 5, row = Numbers.Divide(part, a.Parts), first = (part - (row * a.Parts.Value)) * a.PartLength;
        if (row >= a.Outer)
        {
            return;
        }

        int length = Numbers.Min(a.PartLength, a.Length - first), count = Numbers.Max(length - member + (1 << shift) - 1, 0) >> shift;
        float total = Accumulation.Of(a, (row * a.OuterStride) + first + member, 1 << shift, count);
        total = a.Operation == ReduceOperation.Max ? Threads.WarpMax(total) : Threads.WarpSum(total);
        if (block)
        {
            uint smem = Shared.Base();
            if (Threads.Lane == 0)
            {
                Shared.Store(smem + (uint)(Threads.Warp * sizeof(float)), total);
            }

            Threads.Barrier();
            total = Shared.Float(smem);
            for (int w = 1; w < ReduceArguments.BlockWarps; w++)
            {
                total = Accumulation.Combine(a.Operation, total, Shared.Float(smem + (uint)(w * sizeof(float))));
            }
        }

        if (member == 0)
        {
            Results.Store(a.Y, part, total * a.Scale, a.Type);
        }
    }

    /// <summary>A block a part of 32 neighbouring results: lanes are columns, each warp takes every eighth row.</summary>
    public static void Columns(ReduceArguments a)
    {
        int block = Numbers.Divide(Grid.IdxX, a.ColumnTiles), column = ((Grid.IdxX - (block * a.ColumnTiles.Value)) * 32) + Threads.Lane;
        int outer = Numbers.Divide(block, a.Parts), part = block - (outer * a.Parts.Value), first = (part * a.PartLength) + Threads.Warp;
        int rows = Numbers.Min(a.PartLength, a.Length - (part * a.PartLength)) - Threads.Warp;
        float total = 0;
        if (column < a.Inner)
        {
            long element = (outer * a.OuterStride) + ((long)first * a.LengthStride) + column;
            total = Accumulation.Of(a, element, a.LengthStride * ReduceArguments.BlockWarps, Numbers.Max(rows + ReduceArguments.BlockWarps - 1, 0) >> 3);
        }

        uint smem = Shared.Base() + (uint)(Threads.Lane * sizeof(float));
        Shared.Store(smem + (uint)(Threads.Warp * 32 * sizeof(float)), total);
        Threads.Barrier();
        if (Threads.Warp == 0 && column < a.Inner)
        {
            for (int w = 1; w < ReduceArguments.BlockWarps; w++)
            {
                total = Accumulation.Combine(a.Operation, total, Shared.Float(smem + (uint)(w * 32 * sizeof(float))));
            }

            Results.Store(a.Y, ((long)block * a.Inner) + column, total * a.Scale, a.Type);
        }
    }

    /// <summary>A warp a row, which is read three times, twice of them from the caches.</summary>
    public static void Softmax(RowArguments a)
    {
        int row = (Grid.IdxX * RowArguments.RowsPerBlock) + Threads.Warp, lane = Threads.Lane;
        if (row >= a.Rows)
        {
            return;
        }

        long x = (long)row * a.XStride, y = (long)row * a.YStride;
        float max = Accumulation.LowerThanAll;
        for (int c = lane; c < a.Width; c += 32)
        {
            max = Numbers.Max(max, Elements.Load(a.X, x + c, a.XType));
        }

        // e^(x − m) = 2^(x·log2 e − m·log2 e) in one fma: the rounding of m·log2 e is a common factor of all terms and cancels.
        float exponent = -Threads.WarpMax(max) * Numbers.Log2E, sum = 0;
        for (int c = lane; c < a.Width; c += 32)
        {
            sum += Numbers.Exp2(Numbers.Fma(Elements.Load(a.X, x + c, a.XType), Numbers.Log2E, exponent));
        }

        float share = Numbers.Reciprocal(Threads.WarpSum(sum));
        for (int c = lane; c < a.Width; c += 32)
        {
            float term = Numbers.Exp2(Numbers.Fma(Elements.Load(a.X, x + c, a.XType), Numbers.Log2E, exponent));
            Results.Store(a.Y, y + c, term * share, a.Type);
        }
    }

    /// <summary>A warp a row, which is read twice, the second time from the caches.</summary>
    public static void Squash(RowArguments a)
    {
        int row = (Grid.IdxX * RowArguments.RowsPerBlock) + Threads.Warp, lane = Threads.Lane;
        if (row >= a.Rows)
        {
            return;
        }

        long x = (long)row * a.XStride, y = (long)row * a.YStride;
        float square = 0;
        for (int c = lane; c < a.Width; c += 32)
        {
            float v = Elements.Load(a.X, x + c, a.XType);
            square = Numbers.Fma(v, v, square);
        }

        square = Threads.WarpSum(square);
        float factor = square * Numbers.ReciprocalSqrt(square) * Numbers.Reciprocal(1 + square);
        for (int c = lane; c < a.Width; c += 32)
        {
            Results.Store(a.Y, y + c, factor * Elements.Load(a.X, x + c, a.XType), a.Type);
        }
    }
}
