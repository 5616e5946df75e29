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
    /// <summary>Bytes that <see cref="Multiply"/> fetches ahead per sixteen columns of A.</summary>
    public const int PrefetchedPerBlock = 2 * AlignedMemory.Alignment;

    /// <summary>
    /// [rows, 2 vectors] of A·B, tile after tile of the product: each is held in registers over the whole of K. Every element is the same chain of multiply-adds
    /// in ascending k whatever the number of rows, so a row's result does not depend on its place in a matrix. The loop over tiles is part of the kernel because
    /// between two of them the processor has nothing to multiply: what is done there has to be little.
    /// </summary>
    /// <param name="left">A.</param>
    /// <param name="tile">Its first tile.</param>
    /// <param name="count">Number of tiles.</param>
    /// <param name="b">The first tile's packed panel [k][2 · Lanes].</param>
    /// <param name="bStep">Floats of B from one tile to the next.</param>
    /// <param name="store">What becomes of the tiles.</param>
    /// <param name="row">What the first tile's first row is called there.</param>
    /// <param name="rowStep">Rows from one tile to the next.</param>
    /// <param name="prefetch">What will be needed next: two cache lines are fetched per sixteen columns of A, evenly, since bursts would hold up the
    /// loads.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TSimd, TVector, TRows, TLeft, TStore>(
        TLeft left, int tile, int count, float* b, nint bStep, TStore store, int row, int rowStep, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TRows : struct, IRows
        where TLeft : struct, ILeftOperand
        where TStore : struct, ITileStore<TVector>
    {
        for (; count > 0; count--, tile++, b += bStep, row += rowStep)
        {
            store.Seek(row, TRows.Count);
            left.Seek(tile, TRows.Count);
            float* right = b;
            TVector c00 = TSimd.Zero, c01 = TSimd.Zero, c10 = TSimd.Zero, c11 = TSimd.Zero, c20 = TSimd.Zero, c21 = TSimd.Zero;
            TVector c30 = TSimd.Zero, c31 = TSimd.Zero, c40 = TSimd.Zero, c41 = TSimd.Zero, c50 = TSimd.Zero, c51 = TSimd.Zero;
            TVector c60 = TSimd.Zero, c61 = TSimd.Zero, c70 = TSimd.Zero, c71 = TSimd.Zero, c80 = TSimd.Zero, c81 = TSimd.Zero;
            TVector c90 = TSimd.Zero, c91 = TSimd.Zero, ca0 = TSimd.Zero, ca1 = TSimd.Zero, cb0 = TSimd.Zero, cb1 = TSimd.Zero;

            nint first = left.Start;
            for (nint rest = left.Columns; rest > 0; rest -= left.Run, first += left.Pitch)
            {
                nint i = first, end = first + Math.Min(left.Run, rest);
                do
                {
                    nint blockEnd = Math.Min(i + RowTiles.BlockColumns, end);
                    if (Sse.IsSupported)
                    {
                        Sse.Prefetch1(prefetch);
                        Sse.Prefetch1(prefetch + AlignedMemory.Alignment);
                        prefetch += PrefetchedPerBlock;
                    }

                    // Where two threads share a core, they share its decoder: what counts there is the number of instructions beside the multiply-adds.
                    for (nint quads = blockEnd - 3; i < quads; i += 4, right += 8 * TSimd.Lanes)
                    {
                        Step<TSimd, TVector, TRows, TLeft>(
                            in left, i, 0, right,
                            ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31,
                            ref c40, ref c41, ref c50, ref c51, ref c60, ref c61, ref c70, ref c71,
                            ref c80, ref c81, ref c90, ref c91, ref ca0, ref ca1, ref cb0, ref cb1);
                        Step<TSimd, TVector, TRows, TLeft>(
                            in left, i, 1, right,
                            ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31,
                            ref c40, ref c41, ref c50, ref c51, ref c60, ref c61, ref c70, ref c71,
                            ref c80, ref c81, ref c90, ref c91, ref ca0, ref ca1, ref cb0, ref cb1);
                        Step<TSimd, TVector, TRows, TLeft>(
                            in left, i, 2, right,
                            ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31,
                            ref c40, ref c41, ref c50, ref c51, ref c60, ref c61, ref c70, ref c71,
                            ref c80, ref c81, ref c90, ref c91, ref ca0, ref ca1, ref cb0, ref cb1);
                        Step<TSimd, TVector, TRows, TLeft>(
                            in left, i, 3, right,
                            ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31,
                            ref c40, ref c41, ref c50, ref c51, ref c60, ref c61, ref c70, ref c71,
                            ref c80, ref c81, ref c90, ref c91, ref ca0, ref ca1, ref cb0, ref cb1);
                    }

                    for (; i < blockEnd; i++, right += 2 * TSimd.Lanes)
                    {
                        Step<TSimd, TVector, TRows, TLeft>(
                            in left, i, 0, right,
                            ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31,
                            ref c40, ref c41, ref c50, ref c51, ref c60, ref c61, ref c70, ref c71,
                            ref c80, ref c81, ref c90, ref c91, ref ca0, ref ca1, ref cb0, ref cb1);
                    }
                }
                while (i < end);
            }

            store.Store(0, c00, c01);
            store.Store(1, c10, c11);
            if (TRows.Count > 2)
            {
                store.Store(2, c20, c21);
                store.Store(3, c30, c31);
            }

            if (TRows.Count > 4)
            {
                store.Store(4, c40, c41);
                store.Store(5, c50, c51);
            }

            if (TRows.Count > 6)
            {
                store.Store(6, c60, c61);
                store.Store(7, c70, c71);
            }

            if (TRows.Count > 8)
            {
                store.Store(8, c80, c81);
                store.Store(9, c90, c91);
                store.Store(10, ca0, ca1);
                store.Store(11, cb0, cb1);
            }
        }
    }

    /// <summary>One step along K.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TSimd, TVector, TRows, TLeft>(
        in TLeft left,
        nint i,
        int ahead,
        float* right,
        ref TVector c00, ref TVector c01, ref TVector c10, ref TVector c11,
        ref TVector c20, ref TVector c21, ref TVector c30, ref TVector c31,
        ref TVector c40, ref TVector c41, ref TVector c50, ref TVector c51,
        ref TVector c60, ref TVector c61, ref TVector c70, ref TVector c71,
        ref TVector c80, ref TVector c81, ref TVector c90, ref TVector c91,
        ref TVector ca0, ref TVector ca1, ref TVector cb0, ref TVector cb1)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TRows : struct, IRows
        where TLeft : struct, ILeftOperand
    {
        TVector b0 = TSimd.Load(right + (2 * ahead * TSimd.Lanes));
        TVector b1 = TSimd.Load(right + (((2 * ahead) + 1) * TSimd.Lanes));
        TVector x = TSimd.Broadcast(left.At(0, i, ahead));
        c00 = TSimd.MultiplyAdd(x, b0, c00);
        c01 = TSimd.MultiplyAdd(x, b1, c01);
        x = TSimd.Broadcast(left.At(1, i, ahead));
        c10 = TSimd.MultiplyAdd(x, b0, c10);
        c11 = TSimd.MultiplyAdd(x, b1, c11);
        if (TRows.Count > 2)
        {
            x = TSimd.Broadcast(left.At(2, i, ahead));
            c20 = TSimd.MultiplyAdd(x, b0, c20);
            c21 = TSimd.MultiplyAdd(x, b1, c21);
            x = TSimd.Broadcast(left.At(3, i, ahead));
            c30 = TSimd.MultiplyAdd(x, b0, c30);
            c31 = TSimd.MultiplyAdd(x, b1, c31);
        }

        if (TRows.Count > 4)
        {
            x = TSimd.Broadcast(left.At(4, i, ahead));
            c40 = TSimd.MultiplyAdd(x, b0, c40);
            c41 = TSimd.MultiplyAdd(x, b1, c41);
            x = TSimd.Broadcast(left.At(5, i, ahead));
            c50 = TSimd.MultiplyAdd(x, b0, c50);
            c51 = TSimd.MultiplyAdd(x, b1, c51);
        }

        if (TRows.Count > 6)
        {
            x = TSimd.Broadcast(left.At(6, i, ahead));
            c60 = TSimd.MultiplyAdd(x, b0, c60);
            c61 = TSimd.MultiplyAdd(x, b1, c61);
            x = TSimd.Broadcast(left.At(7, i, ahead));
            c70 = TSimd.MultiplyAdd(x, b0, c70);
            c71 = TSimd.MultiplyAdd(x, b1, c71);
        }

        if (TRows.Count > 8)
        {
            x = TSimd.Broadcast(left.At(8, i, ahead));
            c80 = TSimd.MultiplyAdd(x, b0, c80);
            c81 = TSimd.MultiplyAdd(x, b1, c81);
            x = TSimd.Broadcast(left.At(9, i, ahead));
            c90 = TSimd.MultiplyAdd(x, b0, c90);
            c91 = TSimd.MultiplyAdd(x, b1, c91);
            x = TSimd.Broadcast(left.At(10, i, ahead));
            ca0 = TSimd.MultiplyAdd(x, b0, ca0);
            ca1 = TSimd.MultiplyAdd(x, b1, ca1);
            x = TSimd.Broadcast(left.At(11, i, ahead));
            cb0 = TSimd.MultiplyAdd(x, b0, cb0);
            cb1 = TSimd.MultiplyAdd(x, b1, cb1);
        }
    }
}
