using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Matrix multiplication, tile by tile: a left operand in <see cref="RowTiles"/> times a right operand in packed panels
/// [k][<see cref="SimdTier.PanelColumns"/>].
/// </summary>
internal static unsafe class Gemm
{
    /// <summary>Whether there is a micro-kernel of just this height: then no row beyond is computed or stored.</summary>
    public static bool IsHeight(int rows) => rows == SimdTier.TileRows || 3 * rows == SimdTier.TileRows || 3 * rows == 2 * SimdTier.TileRows;

    /// <summary>
    /// Multiplies the first <paramref name="rows"/> rows (1 … <see cref="SimdTier.TileRows"/>) of one row tile by one panel. All
    /// <see cref="SimdTier.PanelColumns"/> columns are stored, and up to the whole tile's rows (unless <see cref="IsHeight"/>): the destination has to have
    /// room for them.
    /// </summary>
    /// <param name="rows">Rows that matter.</param>
    /// <param name="a">The row tile.</param>
    /// <param name="panel">The panel, [k][PanelColumns].</param>
    /// <param name="k">Columns of the left operand.</param>
    /// <param name="store">What becomes of the tile.</param>
    /// <param name="prefetch">What will be needed next (it is fetched while the tile is multiplied); null for nothing.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MultiplyTile<TSimd, TVector, TStore>(int rows, float* a, float* panel, int k, in TStore store, byte* prefetch = null)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        prefetch = prefetch == null ? (byte*)panel : prefetch;
        if (SimdTier.TileRows == 12)
        {
            if (rows > 8)
                GemmKernels.Multiply<TSimd, TVector, Rows12, TStore>(a, panel, k, in store, prefetch);
            else if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows8, TStore>(a, panel, k, in store, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows4, TStore>(a, panel, k, in store, prefetch);
        }
        else
        {
            if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows6, TStore>(a, panel, k, in store, prefetch);
            else if (rows > 2)
                GemmKernels.Multiply<TSimd, TVector, Rows4, TStore>(a, panel, k, in store, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows2, TStore>(a, panel, k, in store, prefetch);
        }
    }

    /// <summary>
    /// The same for rows of the left operand that lie anywhere; see <see cref="GemmKernels.MultiplyGathered"/>. There have to be pointers for a whole tile's
    /// rows, those that do not matter to anything readable.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MultiplyGathered<TSimd, TVector, TStore>(
        int count, float** rows, nint start, nint run, nint pitch, int segments, float* panel, in TStore store, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        if (SimdTier.TileRows == 12)
        {
            if (count > 8)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows12, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
            else if (count > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows8, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
        }
        else
        {
            if (count > 4)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows6, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
            else if (count > 2)
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows4, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
            else
                GemmKernels.MultiplyGathered<TSimd, TVector, Rows2, TStore>(rows, start, run, pitch, segments, panel, in store, prefetch);
        }
    }
}
