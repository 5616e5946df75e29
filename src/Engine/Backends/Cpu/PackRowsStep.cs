namespace KernelAD.Backends.Cpu;

/// <summary>Copies a row-major matrix [M, K] into <see cref="RowTiles"/>, for a producer that cannot write that layout itself.</summary>
internal sealed unsafe class PackRowsStep : CpuStep
{
    private const int PartBytes = 128 * 1024;

    private readonly int _m;
    private readonly int _k;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly int _tiles;

    /// <summary>Creates the step.</summary>
    /// <param name="m">Rows.</param>
    /// <param name="k">Columns.</param>
    /// <param name="x">[M, K] row-major.</param>
    /// <param name="y">[M, K] in row tiles; its row stride is not used.</param>
    public PackRowsStep(int m, int k, BufferRef x, BufferRef y)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(m);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(k);
        _m = m;
        _k = k;
        _x = x;
        _y = y;
        _tiles = Split.Most(m, SimdTier.TileRows);
        long tilesPerPart = Math.Max(1, PartBytes / (RowTiles.Size(1, k) * sizeof(float)));
        Parts = (int)Split.Most(_tiles, tilesPerPart);
    }

    /// <inheritdoc/>
    public override int Parts { get; }

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        float* x = _x.Resolve(run);
        float* y = _y.Resolve(run);
        (int firstTile, int endTile) = Split.Range(_tiles, Parts, part);
        int endRow = Math.Min(endTile * SimdTier.TileRows, _m);
        for (int row = firstTile * SimdTier.TileRows; row < endRow; row++)
            PackRow(x + (row * _x.RowStride), _k, y + RowTiles.BlockIndex(row, 0, _k));
    }

    /// <summary>Copies one row; <paramref name="target"/> is its first 16-column block.</summary>
    public static void PackRow(float* source, int k, float* target)
    {
        int blockStride = SimdTier.TileRows * RowTiles.BlockColumns;
        int column = 0;
        for (; column + RowTiles.BlockColumns <= k; column += RowTiles.BlockColumns, target += blockStride)
            new ReadOnlySpan<float>(source + column, RowTiles.BlockColumns).CopyTo(new Span<float>(target, RowTiles.BlockColumns));
        new ReadOnlySpan<float>(source + column, k - column).CopyTo(new Span<float>(target, k - column));
    }
}
