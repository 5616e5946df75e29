namespace KernelAD.Backends.Cpu;

/// <summary>Rows of a matrix product's left operand, as a type so that one loop serves all their layouts.</summary>
internal unsafe interface ILeftOperand
{
    /// <summary>Bytes that the multiplication of a tile fetches ahead.</summary>
    int PrefetchedPerTile { get; }

    /// <summary>Multiplies some rows by a panel.</summary>
    /// <param name="row">The first, a tile's first.</param>
    /// <param name="rows">Their number; up to a whole number of tiles are stored, unless the last one <see cref="Gemm.IsHeight"/>.</param>
    /// <param name="panel">[k][PanelColumns].</param>
    /// <param name="store">What becomes of the product. The first row is row 0 there.</param>
    /// <param name="prefetch">What will be needed next; it is fetched meanwhile.</param>
    void Multiply<TSimd, TVector, TStore>(int row, int rows, float* panel, in TStore store, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>;
}

/// <summary>Rows in <see cref="RowTiles"/>, or some columns of them.</summary>
/// <param name="a">The first tile; of the columns the first, a block's first.</param>
/// <param name="tileFloats">Floats from one tile to the next.</param>
/// <param name="k">Number of columns.</param>
internal readonly unsafe struct TiledRows(float* a, nint tileFloats, int k) : ILeftOperand
{
    private readonly float* _a = a;
    private readonly nint _tileFloats = tileFloats;
    private readonly int _k = k;

    public int PrefetchedPerTile => Split.Most(_k, RowTiles.BlockColumns) * GemmKernels.PrefetchedPerBlock;

    public void Multiply<TSimd, TVector, TStore>(int row, int rows, float* panel, in TStore store, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        int tileRows = SimdTier.TileRows;
        (int whole, int rest) = Math.DivRem(rows, tileRows);
        float* a = _a + (row / tileRows * _tileFloats);
        if (whole > 0)
            Gemm.MultiplyTiles<TSimd, TVector, TStore>(whole, tileRows, a, _tileFloats, panel, 0, _k, in store, 0, tileRows, prefetch);
        if (rest > 0)
        {
            Gemm.MultiplyTiles<TSimd, TVector, TStore>(
                1, rest, a + (whole * _tileFloats), 0, panel, 0, _k, in store, whole * tileRows, 0, prefetch + (whole * PrefetchedPerTile));
        }
    }
}

/// <summary>Rows that lie anywhere, each in segments; see <see cref="GemmKernels.MultiplyGathered"/>.</summary>
/// <param name="rows">Where they begin: whole tiles of pointers, those of rows that do not matter to anything readable.</param>
/// <param name="start">Floats from there to the first segment.</param>
/// <param name="run">Floats of a segment.</param>
/// <param name="pitch">Floats from one segment to the next.</param>
/// <param name="segments">Number of segments.</param>
internal readonly unsafe struct GatheredRows(float** rows, nint start, int run, nint pitch, int segments) : ILeftOperand
{
    private readonly float** _rows = rows;
    private readonly nint _start = start;
    private readonly int _run = run;
    private readonly nint _pitch = pitch;
    private readonly int _segments = segments;

    public int PrefetchedPerTile => _segments * Split.Most(_run, RowTiles.BlockColumns) * GemmKernels.PrefetchedPerBlock;

    public void Multiply<TSimd, TVector, TStore>(int row, int rows, float* panel, in TStore store, byte* prefetch)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        int tileRows = SimdTier.TileRows;
        (int whole, int rest) = Math.DivRem(rows, tileRows);
        float** sources = _rows + row;
        if (whole > 0)
            Gemm.MultiplyGathered<TSimd, TVector, TStore>(whole, tileRows, sources, _start, _run, _pitch, _segments, panel, in store, 0, prefetch);
        if (rest > 0)
        {
            int done = whole * tileRows;
            Gemm.MultiplyGathered<TSimd, TVector, TStore>(
                1, rest, sources + done, _start, _run, _pitch, _segments, panel, in store, done, prefetch + (whole * PrefetchedPerTile));
        }
    }
}
