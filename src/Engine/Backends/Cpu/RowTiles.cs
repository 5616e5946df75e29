namespace KernelAD.Backends.Cpu;

/// <summary>
/// The layout in which matrices are handed to <c>Gemm</c> as its left operand, "row tiles":
/// <code>[rows / TileRows][columns / 16][TileRows][16]</code>
/// Sixteen consecutive columns of a row fill one cache line, and the lines of a tile's rows follow each other, so the micro-kernel walks one
/// stream with constant displacements whatever the matrix's width, and a producer (LayerNorm, attention, a GELU epilogue) writes it with whole-line
/// stores: no transposition, no separate packing pass. The last tile may be partly used, the last 16-column block too; what lies beyond the
/// matrix is never read as a column and may hold anything as a row (garbage rows give garbage rows that nobody stores).
/// </summary>
internal static class RowTiles
{
    /// <summary>Columns that lie side by side.</summary>
    public const int BlockColumns = 16;

    /// <summary>Rows of one tile: the height of the tallest micro-kernel of this machine's SIMD tier.</summary>
    public static int TileRows => SimdTier.TileRows;

    /// <summary>Floats that a matrix takes in this layout.</summary>
    public static long Size(long rows, long columns) =>
        Split.Most(rows, TileRows) * TileRows * Split.Most(columns, BlockColumns) * BlockColumns;

    /// <summary>Index of the first float of a 16-column block of a row.</summary>
    public static long BlockIndex(long row, long block, long columns)
    {
        long tile = row / TileRows;
        long blocks = Split.Most(columns, BlockColumns);
        return ((((tile * blocks) + block) * TileRows) + (row % TileRows)) * BlockColumns;
    }

    /// <summary>Index of one element.</summary>
    public static long Index(long row, long column, long columns) =>
        BlockIndex(row, column / BlockColumns, columns) + (column % BlockColumns);
}
