using System.Runtime.CompilerServices;

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
