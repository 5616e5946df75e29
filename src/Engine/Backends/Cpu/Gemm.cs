namespace KernelAD.Backends.Cpu;

/// <summary>
/// Matrix multiplication, tile by tile: a left operand of rows times a right operand in packed panels [k][<see cref="SimdTier.PanelColumns"/>]. Chooses the
/// micro-kernel for a tile's height.
/// </summary>
internal static unsafe class Gemm
{
    /// <summary>Whether there is a micro-kernel of just this height: then no row beyond is computed or stored.</summary>
    public static bool IsHeight(int rows) => rows == SimdTier.TileRows || 3 * rows == SimdTier.TileRows || 3 * rows == 2 * SimdTier.TileRows;

    /// <summary>
    /// Multiplies <paramref name="count"/> row tiles, of which the first <paramref name="rows"/> rows (1 … <see cref="SimdTier.TileRows"/>) matter, by a panel
    /// each. All <see cref="SimdTier.PanelColumns"/> columns are stored, and up to the whole tile's rows (unless <see cref="IsHeight"/>): the destination has to
    /// have room for them. The other parameters are those of <see cref="GemmKernels.Multiply"/>.
    /// </summary>
    public static void MultiplyTiles<TSimd, TVector, TStore>(
        int count, int rows, float* a, nint aStep, float* b, nint bStep, int k, in TStore store, int row, int rowStep, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        if (SimdTier.TileRows == 12)
        {
            if (rows > 8)
                GemmKernels.Multiply<TSimd, TVector, Rows12, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
            else if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows8, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows4, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
        }
        else
        {
            if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows6, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
            else if (rows > 2)
                GemmKernels.Multiply<TSimd, TVector, Rows4, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows2, TStore>(count, a, aStep, b, bStep, k, in store, row, rowStep, prefetch);
        }
    }

    /// <summary>
    /// The same for one panel and rows of the left operand that lie anywhere; see <see cref="GemmKernels.MultiplyGathered"/>. There have to be pointers for whole
    /// tiles, those that do not matter to anything readable.
    /// </summary>
    public static void MultiplyGathered<TSimd, TVector, TStore>(
        int count, int rows, float** sources, nint start, nint run, nint pitch, int segments, float* panel, in TStore store, int row, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        if (SimdTier.TileRows == 12)
        {
            if (rows > 8)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows12, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
            else if (rows > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows8, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
        }
        else
        {
            if (rows > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows6, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
            else if (rows > 2)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows2, TStore>(count, sources, start, run, pitch, segments, panel, in store, row, prefetch);
        }
    }
}
