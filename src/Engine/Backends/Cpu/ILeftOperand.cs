using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Rows of a matrix product's left operand, as a type so that the JIT makes their layout part of the kernel. A row lies in segments: element k of it is at index
/// <see cref="Start"/> + k / <see cref="Run"/> · <see cref="Pitch"/> + k mod Run.
/// </summary>
internal interface ILeftOperand
{
    /// <summary>Columns.</summary>
    int Columns { get; }

    /// <summary>Index of the first element.</summary>
    nint Start { get; }

    /// <summary>Elements of a segment; the last segment may be cut off.</summary>
    nint Run { get; }

    /// <summary>Floats from one segment to the next.</summary>
    nint Pitch { get; }

    /// <summary>Moves to a tile of <see cref="SimdTier.TileRows"/> rows.</summary>
    /// <param name="tile">Which one.</param>
    /// <param name="rows">How many of its rows are read.</param>
    void Seek(int tile, int rows);

    /// <summary>Fetches what the kernel will read of that tile, or of the next one, some hundred cycles later.</summary>
    /// <param name="index">Where the kernel is, the first of <see cref="RowTiles.BlockColumns"/> columns.</param>
    /// <param name="rows">How many rows are read.</param>
    void Fetch(nint index, int rows);

    /// <summary>An element of a row of that tile, at index + ahead.</summary>
    /// <param name="row">The row, a constant where this is called: it chooses a register.</param>
    /// <param name="index">Where the kernel is.</param>
    /// <param name="ahead">How far beyond, a constant, which becomes part of the address.</param>
    float At(int row, nint index, int ahead);
}

/// <summary>Rows in <see cref="RowTiles"/>, or some columns of them.</summary>
/// <param name="a">The first tile; of the columns the first, a block's first.</param>
/// <param name="tileFloats">Floats from one tile to the next.</param>
/// <param name="columns">Number of columns.</param>
internal unsafe struct TiledRows(float* a, nint tileFloats, int columns) : ILeftOperand
{
    // Blocks of columns between what is fetched and what is multiplied.
    private const int FetchedBlocks = 3;

    private readonly float* _a = a;
    private readonly nint _tileFloats = tileFloats;
    private readonly int _columns = columns;
    private float* _tile = a;

    public readonly int Columns => _columns;

    public readonly nint Start => 0;

    public readonly nint Run => RowTiles.BlockColumns;

    public readonly nint Pitch => RowTiles.TileRows * RowTiles.BlockColumns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int tile, int rows) => _tile = _a + (tile * _tileFloats);

    // Each of the kernel's loads goes along a line, then on to the line a tile's height further: no stride that the hardware follows. Where rows come from beyond the
    // first cache, waiting for them took up to 6 % of the time.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(nint index, int rows)
    {
        if (!Sse.IsSupported)
            return;

        float* next = _tile + index + (FetchedBlocks * RowTiles.TileRows * RowTiles.BlockColumns);
        Sse.Prefetch0(next);
        Sse.Prefetch0(next + RowTiles.BlockColumns);
        if (rows > 2)
        {
            Sse.Prefetch0(next + (2 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (3 * RowTiles.BlockColumns));
        }

        if (rows > 4)
        {
            Sse.Prefetch0(next + (4 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (5 * RowTiles.BlockColumns));
        }

        if (rows > 6)
        {
            Sse.Prefetch0(next + (6 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (7 * RowTiles.BlockColumns));
        }

        if (rows > 8)
        {
            Sse.Prefetch0(next + (8 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (9 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (10 * RowTiles.BlockColumns));
            Sse.Prefetch0(next + (11 * RowTiles.BlockColumns));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float At(int row, nint index, int ahead) => _tile[index + ((row * RowTiles.BlockColumns) + ahead)];
}

/// <summary>
/// Rows that lie anywhere. The windows of a convolution over a channels-last picture are such rows, a segment to a row of the kernel.
/// </summary>
/// <param name="rows">Where they begin: whole tiles of pointers, those of rows that do not matter to anything readable.</param>
/// <param name="start">Floats from there to the first segment.</param>
/// <param name="run">Floats of a segment.</param>
/// <param name="pitch">Floats from one segment to the next.</param>
/// <param name="segments">Number of segments.</param>
internal unsafe struct GatheredRows(float** rows, nint start, int run, nint pitch, int segments) : ILeftOperand
{
    private readonly float** _rows = rows;
    private readonly nint _start = start;
    private readonly int _run = run;
    private readonly nint _pitch = pitch;
    private readonly int _segments = segments;

    private float* _row0 = null;
    private float* _row1 = null;
    private float* _row2 = null;
    private float* _row3 = null;
    private float* _row4 = null;
    private float* _row5 = null;
    private float* _row6 = null;
    private float* _row7 = null;
    private float* _row8 = null;
    private float* _row9 = null;
    private float* _row10 = null;
    private float* _row11 = null;

    public readonly int Columns => _run * _segments;

    public readonly nint Start => _start;

    public readonly nint Run => _run;

    public readonly nint Pitch => _pitch;

    /// <summary>Makes the pointers a whole tile's: those that are missing become the last one again.</summary>
    /// <param name="rows">The pointers, with room for a whole number of tiles.</param>
    /// <param name="count">How many there are, at least one.</param>
    public static void FillLastTile(float** rows, int count)
    {
        float* last = rows[count - 1];
        for (; count % RowTiles.TileRows != 0; count++)
            rows[count] = last;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int tile, int rows)
    {
        float** source = _rows + (tile * RowTiles.TileRows);
        _row0 = source[0];
        _row1 = source[1];
        if (rows > 2)
        {
            _row2 = source[2];
            _row3 = source[3];
        }

        if (rows > 4)
        {
            _row4 = source[4];
            _row5 = source[5];
        }

        if (rows > 6)
        {
            _row6 = source[6];
            _row7 = source[7];
        }

        if (rows > 8)
        {
            _row8 = source[8];
            _row9 = source[9];
            _row10 = source[10];
            _row11 = source[11];
        }
    }

    // Each load of the kernel goes along a row, which the hardware follows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(nint index, int rows)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float At(int row, nint index, int ahead) => row switch
    {
        0 => _row0[index + ahead],
        1 => _row1[index + ahead],
        2 => _row2[index + ahead],
        3 => _row3[index + ahead],
        4 => _row4[index + ahead],
        5 => _row5[index + ahead],
        6 => _row6[index + ahead],
        7 => _row7[index + ahead],
        8 => _row8[index + ahead],
        9 => _row9[index + ahead],
        10 => _row10[index + ahead],
        _ => _row11[index + ahead],
    };
}
