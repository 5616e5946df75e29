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
        // Rows of the result that are fetched beside a block of columns.
        int fetchedRows = 1 + ((TRows.Count - 1) * RowTiles.BlockColumns / left.Columns);
        for (; count > 0; count--, tile++, b += bStep, row += rowStep)
        {
            store.Seek(row);
            left.Seek(tile, TRows.Count);
            float* right = b;
            Tile<TSimd, TVector, TRows> product = default;
            int fetched = 0;
            nint first = left.Start;
            for (nint rest = left.Columns; rest > 0; rest -= left.Run, first += left.Pitch)
            {
                nint i = first, end = first + Math.Min(left.Run, rest);
                do
                {
                    nint blockEnd = Math.Min(i + RowTiles.BlockColumns, end);
                    left.Fetch(i, TRows.Count);
                    for (int stop = Math.Min(fetched + fetchedRows, TRows.Count); fetched < stop; fetched++)
                        store.Fetch(fetched);
                    if (Sse.IsSupported)
                    {
                        Sse.Prefetch1(prefetch);
                        Sse.Prefetch1(prefetch + AlignedMemory.Alignment);
                        prefetch += PrefetchedPerBlock;
                    }

                    // Where two threads share a core, they share its decoder: what counts there is the number of instructions beside the multiply-adds.
                    for (nint quads = blockEnd - 3; i < quads; i += 4, right += 8 * TSimd.Lanes)
                    {
                        product.Step(in left, i, 0, right);
                        product.Step(in left, i, 1, right);
                        product.Step(in left, i, 2, right);
                        product.Step(in left, i, 3, right);
                    }

                    for (; i < blockEnd; i++, right += 2 * TSimd.Lanes)
                    {
                        product.Step(in left, i, 0, right);
                    }
                }
                while (i < end);
            }

            product.Store(ref store);
        }
    }

    /// <summary>A tile of the product.</summary>
    private struct Tile<TSimd, TVector, TRows>
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TRows : struct, IRows
    {
        private TVector _c00;
        private TVector _c01;
        private TVector _c10;
        private TVector _c11;
        private TVector _c20;
        private TVector _c21;
        private TVector _c30;
        private TVector _c31;
        private TVector _c40;
        private TVector _c41;
        private TVector _c50;
        private TVector _c51;
        private TVector _c60;
        private TVector _c61;
        private TVector _c70;
        private TVector _c71;
        private TVector _c80;
        private TVector _c81;
        private TVector _c90;
        private TVector _c91;
        private TVector _ca0;
        private TVector _ca1;
        private TVector _cb0;
        private TVector _cb1;

        /// <summary>Takes a step along K.</summary>
        /// <param name="left">A.</param>
        /// <param name="i">Index of the elements of A,</param>
        /// <param name="ahead">and how many steps beyond it, a constant.</param>
        /// <param name="right">The row of B for i.</param>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Step<TLeft>(in TLeft left, nint i, int ahead, float* right)
            where TLeft : struct, ILeftOperand
        {
            TVector b0 = TSimd.Load(right + (2 * ahead * TSimd.Lanes));
            TVector b1 = TSimd.Load(right + (((2 * ahead) + 1) * TSimd.Lanes));
            TVector x = TSimd.Broadcast(left.At(0, i, ahead));
            _c00 = TSimd.MultiplyAdd(x, b0, _c00);
            _c01 = TSimd.MultiplyAdd(x, b1, _c01);
            x = TSimd.Broadcast(left.At(1, i, ahead));
            _c10 = TSimd.MultiplyAdd(x, b0, _c10);
            _c11 = TSimd.MultiplyAdd(x, b1, _c11);
            if (TRows.Count > 2)
            {
                x = TSimd.Broadcast(left.At(2, i, ahead));
                _c20 = TSimd.MultiplyAdd(x, b0, _c20);
                _c21 = TSimd.MultiplyAdd(x, b1, _c21);
                x = TSimd.Broadcast(left.At(3, i, ahead));
                _c30 = TSimd.MultiplyAdd(x, b0, _c30);
                _c31 = TSimd.MultiplyAdd(x, b1, _c31);
            }

            if (TRows.Count > 4)
            {
                x = TSimd.Broadcast(left.At(4, i, ahead));
                _c40 = TSimd.MultiplyAdd(x, b0, _c40);
                _c41 = TSimd.MultiplyAdd(x, b1, _c41);
                x = TSimd.Broadcast(left.At(5, i, ahead));
                _c50 = TSimd.MultiplyAdd(x, b0, _c50);
                _c51 = TSimd.MultiplyAdd(x, b1, _c51);
            }

            if (TRows.Count > 6)
            {
                x = TSimd.Broadcast(left.At(6, i, ahead));
                _c60 = TSimd.MultiplyAdd(x, b0, _c60);
                _c61 = TSimd.MultiplyAdd(x, b1, _c61);
                x = TSimd.Broadcast(left.At(7, i, ahead));
                _c70 = TSimd.MultiplyAdd(x, b0, _c70);
                _c71 = TSimd.MultiplyAdd(x, b1, _c71);
            }

            if (TRows.Count > 8)
            {
                x = TSimd.Broadcast(left.At(8, i, ahead));
                _c80 = TSimd.MultiplyAdd(x, b0, _c80);
                _c81 = TSimd.MultiplyAdd(x, b1, _c81);
                x = TSimd.Broadcast(left.At(9, i, ahead));
                _c90 = TSimd.MultiplyAdd(x, b0, _c90);
                _c91 = TSimd.MultiplyAdd(x, b1, _c91);
                x = TSimd.Broadcast(left.At(10, i, ahead));
                _ca0 = TSimd.MultiplyAdd(x, b0, _ca0);
                _ca1 = TSimd.MultiplyAdd(x, b1, _ca1);
                x = TSimd.Broadcast(left.At(11, i, ahead));
                _cb0 = TSimd.MultiplyAdd(x, b0, _cb0);
                _cb1 = TSimd.MultiplyAdd(x, b1, _cb1);
            }
        }

        /// <summary>Stores the tile.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Store<TStore>(ref TStore store)
            where TStore : struct, ITileStore<TVector>
        {
            store.Store(0, _c00, _c01);
            store.Store(1, _c10, _c11);
            if (TRows.Count > 2)
            {
                store.Store(2, _c20, _c21);
                store.Store(3, _c30, _c31);
            }

            if (TRows.Count > 4)
            {
                store.Store(4, _c40, _c41);
                store.Store(5, _c50, _c51);
            }

            if (TRows.Count > 6)
            {
                store.Store(6, _c60, _c61);
                store.Store(7, _c70, _c71);
            }

            if (TRows.Count > 8)
            {
                store.Store(8, _c80, _c81);
                store.Store(9, _c90, _c91);
                store.Store(10, _ca0, _ca1);
                store.Store(11, _cb0, _cb1);
            }
        }
    }
}
