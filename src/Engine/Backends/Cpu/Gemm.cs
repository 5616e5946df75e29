using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Matrix multiplication, tile by tile: a left operand in <see cref="RowTiles"/> times a right operand in packed panels
/// [k][<see cref="SimdTier.PanelColumns"/>].
/// </summary>
internal static unsafe class Gemm
{
    /// <summary>
    /// Multiplies the first <paramref name="rows"/> rows (1 … <see cref="SimdTier.TileRows"/>) of one row tile by one panel. All
    /// <see cref="SimdTier.PanelColumns"/> columns are written, and up to the whole tile's rows: the destination has to have room for them.
    /// </summary>
    /// <param name="rows">Rows that matter.</param>
    /// <param name="a">The row tile.</param>
    /// <param name="panel">The panel, [k][PanelColumns].</param>
    /// <param name="k">Columns of the left operand.</param>
    /// <param name="c">The tile of the product.</param>
    /// <param name="rowStride">Floats from one row of C to the next.</param>
    /// <param name="vectorStride">Floats from the first vector of a row of C to the second.</param>
    /// <param name="accumulate">Whether C is added to, or overwritten.</param>
    /// <param name="prefetch">What will be needed next (it is fetched while the tile is multiplied); null for nothing.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MultiplyTile<TSimd, TVector>(
        int rows, float* a, float* panel, int k, float* c, nint rowStride, nint vectorStride, bool accumulate, byte* prefetch = null)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        prefetch = prefetch == null ? (byte*)panel : prefetch;
        if (SimdTier.TileRows == 12)
        {
            if (rows > 8)
                GemmKernels.Multiply<TSimd, TVector, Rows12>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
            else if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows8>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows4>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
        }
        else
        {
            if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows6>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
            else if (rows > 2)
                GemmKernels.Multiply<TSimd, TVector, Rows4>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows2>(a, panel, k, c, rowStride, vectorStride, accumulate, prefetch);
        }
    }

    /// <summary>
    /// The same for rows of the left operand that lie anywhere; see <see cref="GemmKernels.MultiplyGathered"/>. There have to be pointers for a whole tile's
    /// rows, those that do not matter to anything readable.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MultiplyGathered<TSimd, TVector>(
        int count, float** rows, nint start, nint run, nint pitch, int segments, float* panel, float* c, nint rowStride, nint vectorStride, bool accumulate, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        if (SimdTier.TileRows == 12)
        {
            if (count > 8)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows12>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
            else if (count > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows8>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
        }
        else
        {
            if (count > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows6>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
            else if (count > 2)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows2>(rows, start, run, pitch, segments, panel, c, rowStride, vectorStride, accumulate, prefetch);
        }
    }
}
