using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Structural similarity of two pictures. A block filters the five moments down the columns into shared memory, margins included, and then along the rows, where they meet in the
/// formula; none of them is in memory. Lanes are neighbouring columns. Models: VT-ADL. FLOPs 20 a tap and result. Bytes: both pictures once and the margins again, y once.
/// </summary>
internal static class StructuralSimilarity
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
        [KernelCatalog.Kernel<StructuralSimilarityArguments>("structural_similarity", StructuralSimilarityArguments.Threads, 8, 0, 56, Compute)];

    /// <summary>A block a tile.</summary>
    public static void Compute(StructuralSimilarityArguments a)
    {
        const int TileRows = StructuralSimilarityArguments.TileRows, TileColumns = StructuralSimilarityArguments.TileColumns;
        int thread = Threads.Index, diameter = 2 * a.Radius, columns = a.Columns.Value, firstRow = Grid.IdxY * TileRows, firstColumn = Grid.IdxX * TileColumns;
        uint taps = Shared.Base(), tile = taps + (uint)((diameter + 1) * sizeof(float)), plane = (uint)(TileRows * columns * sizeof(float));
        for (int k = thread; k <= diameter; k += StructuralSimilarityArguments.Threads)
        {
            Shared.Store(taps + (uint)(k * sizeof(float)), Global.Constant(a.Taps + ((long)k * sizeof(float))));
        }

        Threads.Barrier();
        long picture = (long)Grid.IdxZ * a.Height * a.Width;
        for (int item = thread; item < TileRows * columns; item += StructuralSimilarityArguments.Threads)
        {
            int row = Numbers.Divide(item, a.Columns), x = firstColumn + item - (row * columns) - a.Radius, top = firstRow + row - a.Radius;
            Moments sums = default;
            if ((uint)x < (uint)a.Width)
            {
                int last = Numbers.Min(diameter, a.Height - 1 - top);
                for (int k = Numbers.Max(-top, 0); k <= last; k++)
                {
                    long offset = (picture + ((long)(top + k) * a.Width) + x) * sizeof(float);
                    float u = Global.Float(a.A + offset), v = Global.Float(a.B + offset);
                    sums.Add(Shared.Float(taps + (uint)(k * sizeof(float))), new Moments { A = u, B = v, AA = u * u, BB = v * v, AB = u * v });
                }
            }

            sums.Store(tile + (uint)(item * sizeof(float)), plane);
        }

        Threads.Barrier();
        for (int item = thread; item < TileRows * TileColumns; item += StructuralSimilarityArguments.Threads)
        {
            int row = item / TileColumns, column = item & (TileColumns - 1), y = firstRow + row, x = firstColumn + column;
            if (y < a.Height && x < a.Width)
            {
                uint source = tile + (uint)(((row * columns) + column) * sizeof(float));
                Moments m = default;
                for (int k = 0; k <= diameter; k++)
                {
                    m.Add(Shared.Float(taps + (uint)(k * sizeof(float))), Moments.Load(source + (uint)(k * sizeof(float)), plane));
                }

                Global.Store(a.Y + ((picture + ((long)y * a.Width) + x) * sizeof(float)), m.Similarity(a.C1, a.C2));
            }
        }
    }

    /// <summary>Weighted sums of two pictures' pixels, their squares and their product.</summary>
    private struct Moments
    {
        public float A;
        public float B;
        public float AA;
        public float BB;
        public float AB;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Moments Load(uint address, uint plane) => new()
        {
            A = Shared.Float(address),
            B = Shared.Float(address + plane),
            AA = Shared.Float(address + (2 * plane)),
            BB = Shared.Float(address + (3 * plane)),
            AB = Shared.Float(address + (4 * plane)),
        };

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(float weight, Moments m)
        {
            A = Numbers.Fma(weight, m.A, A);
            B = Numbers.Fma(weight, m.B, B);
            AA = Numbers.Fma(weight, m.AA, AA);
            BB = Numbers.Fma(weight, m.BB, BB);
            AB = Numbers.Fma(weight, m.AB, AB);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Store(uint address, uint plane)
        {
            Shared.Store(address, A);
            Shared.Store(address + plane, B);
            Shared.Store(address + (2 * plane), AA);
            Shared.Store(address + (3 * plane), BB);
            Shared.Store(address + (4 * plane), AB);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Similarity(float c1, float c2)
        {
            // Products that are subtracted are rounded, as the published formula's are: squares of means and their product then cancel where the pictures are equal.
            float aa = Numbers.Multiply(A, A), bb = Numbers.Multiply(B, B), ab = Numbers.Multiply(A, B);
            float numerator = ((2 * ab) + c1) * ((2 * (AB - ab)) + c2);
            return numerator * Numbers.Reciprocal((aa + bb + c1) * (AA - aa + (BB - bb) + c2));
        }
    }
}
