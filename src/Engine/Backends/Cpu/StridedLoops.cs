namespace KernelAD.Backends.Cpu;

/// <summary>
/// A loop nest over operands that share their extents and differ in their strides (in floats; 0 repeats an element, which is
/// broadcasting). Dimensions of extent 1 are dropped and neighbours that every operand walks in one stride are merged, so that a dense
/// tensor of any rank becomes one run. The two innermost loops, "rows" and "columns", are cut into tiles, the units of work; the loops
/// outside enumerate planes.
/// </summary>
internal sealed class StridedLoops
{
    /// <summary>Highest rank accepted.</summary>
    public const int MaxRank = 8;

    private readonly long[] _extents;
    private readonly long[][] _strides;
    private readonly long _tileRows;
    private readonly long _tileColumns;
    private readonly long _tilesDown;
    private readonly long _tilesAcross;

    private StridedLoops(long[] extents, long[][] strides, long tileRows)
    {
        _extents = extents;
        _strides = strides;
        Rows = extents[^2];
        Columns = extents[^1];
        _tileColumns = Math.Clamp(Partition.Grain / Math.Clamp(tileRows, 1, Math.Max(Rows, 1)), 1, Math.Max(Columns, 1));
        _tileRows = tileRows > 0 ? tileRows : Math.Max(1, Partition.Grain / _tileColumns);
        _tilesDown = Split.Most(Rows, _tileRows);
        _tilesAcross = Split.Most(Columns, _tileColumns);
        long planes = 1;
        foreach (long extent in extents.AsSpan()[..^2])
            planes *= extent;

        Tiles = new Partition(planes * _tilesDown * _tilesAcross, Math.Min(_tileRows, Rows) * _tileColumns);
    }

    /// <summary>Tiles of all planes, cut into parts.</summary>
    public Partition Tiles { get; }

    /// <summary>Extent of the second innermost loop.</summary>
    public long Rows { get; }

    /// <summary>Extent of the innermost loop.</summary>
    public long Columns { get; }

    /// <summary>Makes the loops in the order given.</summary>
    /// <param name="extents">Extents, outermost first; at most <see cref="MaxRank"/>.</param>
    /// <param name="strides">One array of strides for each operand, as long as <paramref name="extents"/>.</param>
    public static StridedLoops Create(ReadOnlySpan<int> extents, params long[][] strides)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(extents.Length, MaxRank);
        List<long> merged = [];
        List<long>[] mergedStrides = [.. strides.Select(_ => new List<long>())];
        for (int d = 0; d < extents.Length; d++)
        {
            long extent = extents[d];
            if (extent == 1)
                continue;

            bool continues = merged.Count > 0;
            for (int o = 0; o < strides.Length && continues; o++)
                continues = mergedStrides[o][^1] == strides[o][d] * extent;

            if (continues)
                merged[^1] *= extent;
            else
                merged.Add(extent);

            for (int o = 0; o < strides.Length; o++)
            {
                if (continues)
                    mergedStrides[o][^1] = strides[o][d];
                else
                    mergedStrides[o].Add(strides[o][d]);
            }
        }

        while (merged.Count < 2)
        {
            merged.Insert(0, 1);
            foreach (List<long> operand in mergedStrides)
                operand.Insert(0, 1);
        }

        return new StridedLoops([.. merged], [.. mergedStrides.Select(s => s.ToArray())], tileRows: 0);
    }

    /// <summary>
    /// The same loops with a stride of 0 or 1 from column to column for every operand, as vector code wants it: where the innermost
    /// dimension is strided otherwise it becomes rows of one column.
    /// </summary>
    public StridedLoops WithVectorColumns() =>
        Array.TrueForAll(_strides, s => s[^1] is 0 or 1)
            ? this
            : new StridedLoops([.. _extents, 1], [.. _strides.Select(s => (long[])[.. s, 1])], tileRows: 0);

    /// <summary>
    /// The same loops with the dimension in which an operand is dense moved next to the innermost, in tiles of <paramref
    /// name="tileRows"/> rows; null when that operand is dense nowhere but innermost.
    /// </summary>
    public StridedLoops? WithDenseRows(int operand, int tileRows)
    {
        int last = _extents.Length - 1;
        int dense = Array.FindIndex(_strides[operand], 0, last, stride => stride == 1);
        if (dense < 0)
            return null;

        int[] order = [.. Enumerable.Range(0, last).Where(d => d != dense), dense, last];
        long[][] strides = [.. _strides.Select(s => order.Select(d => s[d]).ToArray())];
        return new StridedLoops([.. order.Select(d => _extents[d])], strides, tileRows);
    }

    /// <summary>Stride of an operand from row to row.</summary>
    public long RowStride(int operand) => _strides[operand][^2];

    /// <summary>Stride of an operand from column to column.</summary>
    public long ColumnStride(int operand) => _strides[operand][^1];

    /// <summary>Finds a tile: the offset of its first element for each operand, and how many rows and columns it has.</summary>
    public (long Rows, long Columns) Seek(long tile, Span<long> offsets)
    {
        (tile, long across) = Math.DivRem(tile, _tilesAcross);
        (tile, long down) = Math.DivRem(tile, _tilesDown);
        long row = down * _tileRows;
        long column = across * _tileColumns;
        for (int o = 0; o < offsets.Length; o++)
            offsets[o] = (row * RowStride(o)) + (column * ColumnStride(o));

        for (int d = _extents.Length - 3; d >= 0; d--)
        {
            (tile, long index) = Math.DivRem(tile, _extents[d]);
            for (int o = 0; o < offsets.Length; o++)
                offsets[o] += index * _strides[o][d];
        }

        return (Math.Min(_tileRows, Rows - row), Math.Min(_tileColumns, Columns - column));
    }

    /// <summary>
    /// Strides of a row-major tensor whose last dimension is dense and whose rows lie <paramref name="rowStride"/> floats apart.
    /// </summary>
    public static long[] RowMajor(ReadOnlySpan<int> extents, long rowStride)
    {
        long[] strides = new long[extents.Length];
        long stride = 1;
        for (int d = extents.Length - 1; d >= 0; d--)
        {
            strides[d] = stride;
            stride = d == extents.Length - 1 ? rowStride : stride * extents[d];
        }

        return strides;
    }
}
