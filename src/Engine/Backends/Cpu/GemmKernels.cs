using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>Number of rows of a micro-kernel, as a type so that the JIT specialises the kernel for it.</summary>
internal interface IRows
{
    /// <summary>2, 4, 6, 8 or 12.</summary>
    static abstract int Count { get; }
}

/// <summary>Two rows.</summary>
internal readonly struct Rows2 : IRows
{
    public static int Count => 2;
}

/// <summary>Four rows.</summary>
internal readonly struct Rows4 : IRows
{
    public static int Count => 4;
}

/// <summary>Six rows.</summary>
internal readonly struct Rows6 : IRows
{
    public static int Count => 6;
}

/// <summary>Eight rows.</summary>
internal readonly struct Rows8 : IRows
{
    public static int Count => 8;
}

/// <summary>Twelve rows.</summary>
internal readonly struct Rows12 : IRows
{
    public static int Count => 12;
}

/// <summary>The inner loops of matrix multiplication.</summary>
internal static unsafe class GemmKernels
{
    /// <summary>Bytes that a call of <see cref="Multiply"/> fetches ahead per sixteen columns of A.</summary>
    public const int PrefetchedPerBlock = 2 * AlignedMemory.Alignment;

    /// <summary>
    /// [rows, 2 vectors] of A·B, tile after tile of the product: each is held in registers over the whole of K. Every element is the same chain of multiply-adds
    /// in ascending k whatever the number of rows, so a row's result does not depend on its place in a matrix. The loop over tiles is part of the kernel because
    /// between two of them the processor has nothing to multiply: what is done there has to be little.
    /// </summary>
    /// <param name="count">Number of tiles.</param>
    /// <param name="a">The first of the first tile's rows in row tiles.</param>
    /// <param name="aStep">Floats of A from one tile to the next.</param>
    /// <param name="b">The first tile's packed panel [k][2 · Lanes].</param>
    /// <param name="bStep">Floats of B from one tile to the next.</param>
    /// <param name="k">Columns of A, rows of B.</param>
    /// <param name="store">What becomes of the tiles.</param>
    /// <param name="row">What the first tile's first row is called there.</param>
    /// <param name="rowStep">Rows from one tile to the next.</param>
    /// <param name="prefetch">What will be needed next: two cache lines are fetched per sixteen columns of A, evenly, since bursts would hold up the
    /// loads.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TSimd, TVector, TRows, TStore>(
        int count, float* a, nint aStep, float* b, nint bStep, int k, in TStore store, int row, int rowStep, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TRows : struct, IRows
        where TStore : struct, ITileStore<TVector>
    {
        nint skip = (RowTiles.TileRows - 1) * RowTiles.BlockColumns;
        for (; count > 0; count--, a += aStep, b += bStep, row += rowStep)
        {
            store.Prefetch(row, TRows.Count);
            float* left = a, right = b;
            int rest = k;
            TVector c00 = TSimd.Zero, c01 = TSimd.Zero, c10 = TSimd.Zero, c11 = TSimd.Zero, c20 = TSimd.Zero, c21 = TSimd.Zero;
            TVector c30 = TSimd.Zero, c31 = TSimd.Zero, c40 = TSimd.Zero, c41 = TSimd.Zero, c50 = TSimd.Zero, c51 = TSimd.Zero;
            TVector c60 = TSimd.Zero, c61 = TSimd.Zero, c70 = TSimd.Zero, c71 = TSimd.Zero, c80 = TSimd.Zero, c81 = TSimd.Zero;
            TVector c90 = TSimd.Zero, c91 = TSimd.Zero, ca0 = TSimd.Zero, ca1 = TSimd.Zero, cb0 = TSimd.Zero, cb1 = TSimd.Zero;

            while (rest > 0)
            {
                float* blockEnd = left + Math.Min(rest, RowTiles.BlockColumns);
                if (Sse.IsSupported)
                {
                    Sse.Prefetch1(prefetch);
                    Sse.Prefetch1(prefetch + AlignedMemory.Alignment);
                    prefetch += PrefetchedPerBlock;
                }

                do
                {
                    TVector b0 = TSimd.Load(right);
                    TVector b1 = TSimd.Load(right + TSimd.Lanes);
                    TVector x = TSimd.Broadcast(left[0]);
                    c00 = TSimd.MultiplyAdd(x, b0, c00);
                    c01 = TSimd.MultiplyAdd(x, b1, c01);
                    x = TSimd.Broadcast(left[16]);
                    c10 = TSimd.MultiplyAdd(x, b0, c10);
                    c11 = TSimd.MultiplyAdd(x, b1, c11);
                    if (TRows.Count > 2)
                    {
                        x = TSimd.Broadcast(left[32]);
                        c20 = TSimd.MultiplyAdd(x, b0, c20);
                        c21 = TSimd.MultiplyAdd(x, b1, c21);
                        x = TSimd.Broadcast(left[48]);
                        c30 = TSimd.MultiplyAdd(x, b0, c30);
                        c31 = TSimd.MultiplyAdd(x, b1, c31);
                    }

                    if (TRows.Count > 4)
                    {
                        x = TSimd.Broadcast(left[64]);
                        c40 = TSimd.MultiplyAdd(x, b0, c40);
                        c41 = TSimd.MultiplyAdd(x, b1, c41);
                        x = TSimd.Broadcast(left[80]);
                        c50 = TSimd.MultiplyAdd(x, b0, c50);
                        c51 = TSimd.MultiplyAdd(x, b1, c51);
                    }

                    if (TRows.Count > 6)
                    {
                        x = TSimd.Broadcast(left[96]);
                        c60 = TSimd.MultiplyAdd(x, b0, c60);
                        c61 = TSimd.MultiplyAdd(x, b1, c61);
                        x = TSimd.Broadcast(left[112]);
                        c70 = TSimd.MultiplyAdd(x, b0, c70);
                        c71 = TSimd.MultiplyAdd(x, b1, c71);
                    }

                    if (TRows.Count > 8)
                    {
                        x = TSimd.Broadcast(left[128]);
                        c80 = TSimd.MultiplyAdd(x, b0, c80);
                        c81 = TSimd.MultiplyAdd(x, b1, c81);
                        x = TSimd.Broadcast(left[144]);
                        c90 = TSimd.MultiplyAdd(x, b0, c90);
                        c91 = TSimd.MultiplyAdd(x, b1, c91);
                        x = TSimd.Broadcast(left[160]);
                        ca0 = TSimd.MultiplyAdd(x, b0, ca0);
                        ca1 = TSimd.MultiplyAdd(x, b1, ca1);
                        x = TSimd.Broadcast(left[176]);
                        cb0 = TSimd.MultiplyAdd(x, b0, cb0);
                        cb1 = TSimd.MultiplyAdd(x, b1, cb1);
                    }

                    left++;
                    right += 2 * TSimd.Lanes;
                }
                while (left < blockEnd);

                left += skip;
                rest -= RowTiles.BlockColumns;
            }

            store.Store(row, c00, c01);
            store.Store(row + 1, c10, c11);
            if (TRows.Count > 2)
            {
                store.Store(row + 2, c20, c21);
                store.Store(row + 3, c30, c31);
            }

            if (TRows.Count > 4)
            {
                store.Store(row + 4, c40, c41);
                store.Store(row + 5, c50, c51);
            }

            if (TRows.Count > 6)
            {
                store.Store(row + 6, c60, c61);
                store.Store(row + 7, c70, c71);
            }

            if (TRows.Count > 8)
            {
                store.Store(row + 8, c80, c81);
                store.Store(row + 9, c90, c91);
                store.Store(row + 10, ca0, ca1);
                store.Store(row + 11, cb0, cb1);
            }
        }
    }

    /// <summary>
    /// The same with one panel and rows of A that lie anywhere, each in segments: element k of row r is rows[r][k / run · pitch + k mod run]. The windows of a
    /// convolution over a channels-last picture are such rows, a segment to a row of the kernel.
    /// </summary>
    /// <param name="count">Number of tiles.</param>
    /// <param name="rows">Where the tiles' rows of A begin.</param>
    /// <param name="start">Floats from there to the first segment.</param>
    /// <param name="run">Floats of a segment.</param>
    /// <param name="pitch">Floats from one segment to the next.</param>
    /// <param name="segments">Number of segments.</param>
    /// <param name="b">A packed panel [segments · run][2 · Lanes].</param>
    /// <param name="store">What becomes of the tiles.</param>
    /// <param name="row">What the first tile's first row is called there.</param>
    /// <param name="prefetch">What will be needed next, as for <see cref="Multiply"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyGathered<TSimd, TVector, TRows, TStore>(
        int count, float** rows, nint start, nint run, nint pitch, int segments, float* b, in TStore store, int row, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TRows : struct, IRows
        where TStore : struct, ITileStore<TVector>
    {
        for (; count > 0; count--, rows += TRows.Count, row += TRows.Count)
        {
            store.Prefetch(row, TRows.Count);
            TVector c00 = TSimd.Zero, c01 = TSimd.Zero, c10 = TSimd.Zero, c11 = TSimd.Zero, c20 = TSimd.Zero, c21 = TSimd.Zero;
            TVector c30 = TSimd.Zero, c31 = TSimd.Zero, c40 = TSimd.Zero, c41 = TSimd.Zero, c50 = TSimd.Zero, c51 = TSimd.Zero;
            TVector c60 = TSimd.Zero, c61 = TSimd.Zero, c70 = TSimd.Zero, c71 = TSimd.Zero, c80 = TSimd.Zero, c81 = TSimd.Zero;
            TVector c90 = TSimd.Zero, c91 = TSimd.Zero, ca0 = TSimd.Zero, ca1 = TSimd.Zero, cb0 = TSimd.Zero, cb1 = TSimd.Zero;
            float* a0 = rows[0], a1 = rows[1];
            float* a2 = TRows.Count > 2 ? rows[2] : null, a3 = TRows.Count > 2 ? rows[3] : null;
            float* a4 = TRows.Count > 4 ? rows[4] : null, a5 = TRows.Count > 4 ? rows[5] : null;
            float* a6 = TRows.Count > 6 ? rows[6] : null, a7 = TRows.Count > 6 ? rows[7] : null;
            float* a8 = TRows.Count > 8 ? rows[8] : null, a9 = TRows.Count > 8 ? rows[9] : null;
            float* aa = TRows.Count > 8 ? rows[10] : null, ab = TRows.Count > 8 ? rows[11] : null;

            float* right = b;
            nint first = start;
            for (int rest = segments; rest > 0; rest--, first += pitch)
            {
                nint i = first, end = first + run;
                do
                {
                    nint blockEnd = Math.Min(i + RowTiles.BlockColumns, end);
                    if (Sse.IsSupported)
                    {
                        Sse.Prefetch1(prefetch);
                        Sse.Prefetch1(prefetch + AlignedMemory.Alignment);
                        prefetch += PrefetchedPerBlock;
                    }

                    do
                    {
                        TVector b0 = TSimd.Load(right);
                        TVector b1 = TSimd.Load(right + TSimd.Lanes);
                        TVector x = TSimd.Broadcast(a0[i]);
                        c00 = TSimd.MultiplyAdd(x, b0, c00);
                        c01 = TSimd.MultiplyAdd(x, b1, c01);
                        x = TSimd.Broadcast(a1[i]);
                        c10 = TSimd.MultiplyAdd(x, b0, c10);
                        c11 = TSimd.MultiplyAdd(x, b1, c11);
                        if (TRows.Count > 2)
                        {
                            x = TSimd.Broadcast(a2[i]);
                            c20 = TSimd.MultiplyAdd(x, b0, c20);
                            c21 = TSimd.MultiplyAdd(x, b1, c21);
                            x = TSimd.Broadcast(a3[i]);
                            c30 = TSimd.MultiplyAdd(x, b0, c30);
                            c31 = TSimd.MultiplyAdd(x, b1, c31);
                        }

                        if (TRows.Count > 4)
                        {
                            x = TSimd.Broadcast(a4[i]);
                            c40 = TSimd.MultiplyAdd(x, b0, c40);
                            c41 = TSimd.MultiplyAdd(x, b1, c41);
                            x = TSimd.Broadcast(a5[i]);
                            c50 = TSimd.MultiplyAdd(x, b0, c50);
                            c51 = TSimd.MultiplyAdd(x, b1, c51);
                        }

                        if (TRows.Count > 6)
                        {
                            x = TSimd.Broadcast(a6[i]);
                            c60 = TSimd.MultiplyAdd(x, b0, c60);
                            c61 = TSimd.MultiplyAdd(x, b1, c61);
                            x = TSimd.Broadcast(a7[i]);
                            c70 = TSimd.MultiplyAdd(x, b0, c70);
                            c71 = TSimd.MultiplyAdd(x, b1, c71);
                        }

                        if (TRows.Count > 8)
                        {
                            x = TSimd.Broadcast(a8[i]);
                            c80 = TSimd.MultiplyAdd(x, b0, c80);
                            c81 = TSimd.MultiplyAdd(x, b1, c81);
                            x = TSimd.Broadcast(a9[i]);
                            c90 = TSimd.MultiplyAdd(x, b0, c90);
                            c91 = TSimd.MultiplyAdd(x, b1, c91);
                            x = TSimd.Broadcast(aa[i]);
                            ca0 = TSimd.MultiplyAdd(x, b0, ca0);
                            ca1 = TSimd.MultiplyAdd(x, b1, ca1);
                            x = TSimd.Broadcast(ab[i]);
                            cb0 = TSimd.MultiplyAdd(x, b0, cb0);
                            cb1 = TSimd.MultiplyAdd(x, b1, cb1);
                        }

                        i++;
                        right += 2 * TSimd.Lanes;
                    }
                    while (i < blockEnd);
                }
                while (i < end);
            }

            store.Store(row, c00, c01);
            store.Store(row + 1, c10, c11);
            if (TRows.Count > 2)
            {
                store.Store(row + 2, c20, c21);
                store.Store(row + 3, c30, c31);
            }

            if (TRows.Count > 4)
            {
                store.Store(row + 4, c40, c41);
                store.Store(row + 5, c50, c51);
            }

            if (TRows.Count > 6)
            {
                store.Store(row + 6, c60, c61);
                store.Store(row + 7, c70, c71);
            }

            if (TRows.Count > 8)
            {
                store.Store(row + 8, c80, c81);
                store.Store(row + 9, c90, c91);
                store.Store(row + 10, ca0, ca1);
                store.Store(row + 11, cb0, cb1);
            }
        }
    }
}
