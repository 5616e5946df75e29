using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>Constants of the copies of one operand of attention into shared memory.</summary>
/// <param name="width">Elements of a row of the tile, a multiple of 32.</param>
/// <param name="elementBytes">Bytes of an element, 2 or 4.</param>
/// <param name="threads">Threads of the block.</param>
internal readonly struct HeadShape(int width, int elementBytes, int threads)
{
    /// <summary>Bytes of an element.</summary>
    public int ElementBytes => elementBytes;

    /// <summary>Bytes of a row.</summary>
    public int Bytes => width * elementBytes;

    /// <summary>
    /// Distance of rows in shared memory: an odd multiple of 16 bytes, so that equal columns of 8 rows lie in different banks, for ldmatrix as for vector loads.
    /// </summary>
    public uint Pitch => (uint)((width * elementBytes) + 16);

    /// <summary>Threads side by side along a row, 16 bytes each.</summary>
    public int Across => width * elementBytes / 16;

    /// <summary>Rows that the block copies at once.</summary>
    public int RowsAtOnce => threads / (width * elementBytes / 16);
}

/// <summary>
/// A thread's share in copying tiles of consecutive rows of one head into shared memory, in 16-byte pieces. Beyond the last row and the head's width it writes
/// zeros and reads nothing, so sums over either end are right whatever lies behind.
/// </summary>
internal struct HeadRows
{
    private long _source;
    private long _step;
    private uint _target;
    private int _row;
    private int _bytesLeft;

    /// <summary>Begins.</summary>
    /// <param name="shape">Constants.</param>
    /// <param name="head">Address of the head's slice of row 0.</param>
    /// <param name="firstRow">First row of the first tile.</param>
    /// <param name="stride">Distance of rows in elements.</param>
    /// <param name="width">Width of the head.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(HeadShape shape, long head, int firstRow, int stride, int width)
    {
        int thread = Threads.Index, piece = (thread & (shape.Across - 1)) * 16;
        // Eight lanes write 128 bytes at once. Where they share two rows, these are four apart: at an odd multiple of 16 bytes that is half of the banks.
        _row = shape.Across == 4 ? ((thread >> 5) * 8) + ((thread >> 3) & 3) + (thread & 4) : thread / shape.Across;
        _source = head + ((long)(firstRow + _row) * stride * shape.ElementBytes) + piece;
        _step = (long)shape.RowsAtOnce * stride * shape.ElementBytes;
        _target = ((uint)_row * shape.Pitch) + (uint)piece;
        _bytesLeft = (width * shape.ElementBytes) - piece;
    }

    /// <summary>Copies a tile and goes on to the next one.</summary>
    /// <param name="copy">Kind of copy.</param>
    /// <param name="shape">Constants.</param>
    /// <param name="tile">Address in shared memory.</param>
    /// <param name="rows">Rows of a tile, a multiple of the rows copied at once.</param>
    /// <param name="rowsLeft">Rows from the tile's first one on that exist.</param>
    /// <param name="vectors">Whether whole pieces may be read at once.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load<TCopy>(TCopy copy, HeadShape shape, uint tile, int rows, int rowsLeft, bool vectors)
        where TCopy : struct, ICopy
    {
        uint target = tile + _target;
        if (vectors)
        {
            int existing = _bytesLeft > 0 ? rowsLeft - _row : 0;
            for (int row = 0; row < rows; row += shape.RowsAtOnce)
            {
                copy.Copy16(target + ((uint)row * shape.Pitch), _source, row < existing ? 16u : 0u);
                _source += _step;
            }
        }
        else
        {
            for (int row = 0; row < rows; row += shape.RowsAtOnce)
            {
                CopyElements(copy, shape, target + ((uint)row * shape.Pitch), _source, row < rowsLeft - _row ? _bytesLeft : 0);
                _source += _step;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyElements<TCopy>(TCopy copy, HeadShape shape, uint target, long source, int bytesLeft)
        where TCopy : struct, ICopy
    {
        if (shape.ElementBytes == 4)
        {
            for (int i = 0; i < 16; i += 4)
            {
                copy.Copy4(target + (uint)i, source + i, bytesLeft > i ? 4u : 0u);
            }
        }
        else
        {
            for (int i = 0; i < 16; i += 4)
            {
                Shared.Store(target + (uint)i, Global.HalvesOrZero(source + i, bytesLeft - i));
            }
        }
    }
}
