namespace KernelAD.Backends.Cpu;

/// <summary>
/// Matrix multiplication, tile by tile: a left operand of rows times a right operand in packed panels [k][<see cref="SimdTier.PanelColumns"/>]. Chooses the
/// micro-kernel for a tile's height.
/// </summary>
internal static unsafe class Gemm
{
    /// <summary>Whether there is a micro-kernel of just this height: then no row beyond is computed or stored.</summary>
    public static bool IsHeight(int rows) => rows == SimdTier.TileRows || 3 * rows == SimdTier.TileRows || 3 * rows == 2 * SimdTier.TileRows;

    /// <summary>Bytes that the multiplication of a tile fetches ahead.</summary>
    public static int PrefetchedPerTile<TLeft>(in TLeft left)
        where TLeft : struct, ILeftOperand =>
        Split.Most(left.Columns, (int)left.Run) * Split.Most((int)left.Run, RowTiles.BlockColumns) * GemmKernels.PrefetchedPerBlock;

    /// <summary>Multiplies some rows by a panel.</summary>
    /// <param name="left">The left operand.</param>
    /// <param name="row">The first row, a tile's first.</param>
    /// <param name="rows">Their number; up to a whole number of tiles are stored, unless the last one <see cref="IsHeight"/>.</param>
    /// <param name="panel">[k][PanelColumns].</param>
    /// <param name="store">What becomes of the product. The first row is row 0 there.</param>
    /// <param name="prefetch">What will be needed next; it is fetched meanwhile.</param>
    public static void Multiply<TSimd, TVector, TLeft, TStore>(in TLeft left, int row, int rows, float* panel, in TStore store, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TLeft : struct, ILeftOperand
        where TStore : struct, ITileStore<TVector>
    {
        int tileRows = SimdTier.TileRows, tile = row / tileRows;
        (int whole, int rest) = Math.DivRem(rows, tileRows);
        if (whole > 0)
            MultiplyTiles<TSimd, TVector, TLeft, TStore>(in left, tile, whole, tileRows, panel, 0, in store, 0, tileRows, prefetch);
        if (rest > 0)
        {
            MultiplyTiles<TSimd, TVector, TLeft, TStore>(
                in left, tile + whole, 1, rest, panel, 0, in store, whole * tileRows, 0, prefetch + (whole * PrefetchedPerTile(in left)));
        }
    }

    /// <summary>
    /// Multiplies <paramref name="count"/> tiles, of which the first <paramref name="rows"/> rows (1 … <see cref="SimdTier.TileRows"/>) matter, by a panel
    /// each. All <see cref="SimdTier.PanelColumns"/> columns are stored, and up to the whole tile's rows (unless <see cref="IsHeight"/>): the destination has to
    /// have room for them. The other parameters are those of <see cref="GemmKernels.Multiply"/>.
    /// </summary>
    public static void MultiplyTiles<TSimd, TVector, TLeft, TStore>(
        in TLeft left, int tile, int count, int rows, float* b, nint bStep, in TStore store, int row, int rowStep, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TLeft : struct, ILeftOperand
        where TStore : struct, ITileStore<TVector>
    {
        if (SimdTier.TileRows == 12)
        {
            if (rows > 8)
                GemmKernels.Multiply<TSimd, TVector, Rows12, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
            else if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows8, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows4, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
        }
        else
        {
            if (rows > 4)
                GemmKernels.Multiply<TSimd, TVector, Rows6, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
            else if (rows > 2)
                GemmKernels.Multiply<TSimd, TVector, Rows4, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
            else
                GemmKernels.Multiply<TSimd, TVector, Rows2, TLeft, TStore>(left, tile, count, b, bStep, store, row, rowStep, prefetch);
        }
    }
}
