using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>Extents of a multi-head attention.</summary>
/// <param name="Batch">Independent sequences.</param>
/// <param name="Queries">Query tokens of a sequence.</param>
/// <param name="Keys">Key and value tokens of a sequence.</param>
/// <param name="Heads">Heads.</param>
/// <param name="KeyWidth">Width of a head of q and k.</param>
/// <param name="ValueWidth">Width of a head of v and of the output.</param>
internal readonly record struct AttentionShape(int Batch, int Queries, int Keys, int Heads, int KeyWidth, int ValueWidth);

/// <summary>
/// Multi-head attention, softmax(scale · q·kᵀ)·v per sequence and head. q is [Batch · Queries, Heads · KeyWidth], k [Batch · Keys, Heads · KeyWidth],
/// v [Batch · Keys, Heads · ValueWidth], each row-major with a row stride of its own (columns of one fused matrix, for instance); the output
/// [Batch · Queries, Heads · ValueWidth] is row-major or in <see cref="RowTiles"/>.
/// </summary>
/// <remarks>
/// Keys are taken in blocks of bounded size with the online softmax of Milakov and Gimelshein (2018): per query row the running maximum m and
/// the running sum l of exp(s − m), and an output that is rescaled when m grows. The scores of a tile of query rows lie in row tiles, where they
/// are the left operand of P·V. Logits are kept in units of log₂ e, so that the exponential is a power of two.
/// </remarks>
internal sealed unsafe class AttentionStep : CpuStep
{
    // Bounds on what a part holds in scratch memory, whatever the number of tokens.
    private const int MostKeys = 512;
    private const int MostQueries = 384;

    // Parts of a head pack its k and v each for themselves: no more than an even load takes, and none of fewer than four tiles.
    private const int PartsPerThread = 4;
    private const int FewestTiles = 4;

    // Beyond this, logits are too large for the exponential's way to round them; they are shifted first.
    private const float LargestMaximum = 1 << 20;

    private readonly AttentionShape _shape;
    private readonly float _scale;
    private readonly BufferRef _q;
    private readonly BufferRef _k;
    private readonly BufferRef _v;
    private readonly BufferRef _y;
    private readonly bool _yRowTiles;
    private readonly HiddenKeys? _mask;
    private readonly int _tiles;
    private readonly int _querySplits;
    private readonly int _rows;
    private readonly int _keyBlocks;
    private readonly bool _storesTiles;

    // Offsets into the scratch memory, in floats: operands of whole cache lines first, pointers last, at an even offset.
    private readonly int _kOffset;
    private readonly int _vOffset;
    private readonly int _scoresOffset;
    private readonly int _outputOffset;
    private readonly int _maximumOffset;
    private readonly int _sumOffset;
    private readonly int _targetsOffset;
    private readonly int _outputStride;

    /// <summary>Creates the step.</summary>
    /// <param name="shape">Extents.</param>
    /// <param name="scale">Factor of the logits, 1/√KeyWidth as a rule.</param>
    /// <param name="q">Queries.</param>
    /// <param name="k">Keys.</param>
    /// <param name="v">Values.</param>
    /// <param name="y">Output; in row tiles its row stride is not used.</param>
    /// <param name="yRowTiles">Whether the output is written in row tiles.</param>
    /// <param name="mask">Which keys a query does not see; null: it sees all.</param>
    /// <param name="threads">Threads that will share the work. The result does not depend on it.</param>
    public AttentionStep(
        AttentionShape shape,
        float scale,
        BufferRef q,
        BufferRef k,
        BufferRef v,
        BufferRef y,
        bool yRowTiles = false,
        NeighborMask? mask = null,
        int threads = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.Batch);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.Queries);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.Keys);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.Heads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.KeyWidth);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shape.ValueWidth);
        _shape = shape;
        _scale = scale;
        _q = q;
        _k = k;
        _v = v;
        _y = y;
        _yRowTiles = yRowTiles;

        _tiles = Split.Most(shape.Queries, SimdTier.TileRows);
        int parts = threads == 1 ? 1 : PartsPerThread * threads;
        int splits = Math.Min(Split.Most(parts, shape.Batch * shape.Heads), _tiles / FewestTiles);
        _querySplits = Math.Max(Split.Most(_tiles, MostQueries / SimdTier.TileRows), splits);
        _keyBlocks = Split.Most(shape.Keys, MostKeys);
        if (mask is not null)
            _mask = new HiddenKeys(mask, shape.Queries, [.. Enumerable.Range(0, _keyBlocks).Select(KeyRange)]);

        int columns = SimdTier.PanelColumns;
        _rows = Split.Most(_tiles, _querySplits) * SimdTier.TileRows;
        int keys = Split.Most(Split.Most(shape.Keys, _keyBlocks), RowTiles.BlockColumns * 2) * RowTiles.BlockColumns * 2;
        _outputStride = Split.Most(shape.ValueWidth, columns) * columns;
        _kOffset = (int)RowTiles.Size(_rows, shape.KeyWidth);
        _vOffset = _kOffset + (keys * shape.KeyWidth);
        _scoresOffset = _vOffset + (keys * _outputStride);
        _outputOffset = _scoresOffset + (SimdTier.TileRows * keys);
        _maximumOffset = _outputOffset + (_rows * _outputStride) + columns;
        _sumOffset = _maximumOffset + _rows;
        _targetsOffset = _sumOffset + _rows;
        ScratchBytes = (_targetsOffset * sizeof(float)) + (SimdTier.TileRows * sizeof(float*));

        // A panel of the output is stored in one piece where it lies in one: always in rows, in row tiles if it is made of whole blocks of them.
        _storesTiles = _keyBlocks == 1 && shape.ValueWidth % columns == 0 && (!yRowTiles || columns % RowTiles.BlockColumns == 0);
    }

    /// <inheritdoc/>
    public override int Parts => _shape.Batch * _shape.Heads * _querySplits;

    /// <inheritdoc/>
    public override int ScratchBytes { get; }

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            Run<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            Run<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    private void Run<TSimd, TVector>(in RunContext run, int part, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        (int sequence, int rest) = Math.DivRem(part, _shape.Heads * _querySplits);
        (int head, int split) = Math.DivRem(rest, _querySplits);
        (int firstTile, int endTile) = Split.Range(_tiles, _querySplits, split);
        int firstRow = firstTile * SimdTier.TileRows;
        int rows = Math.Min(endTile * SimdTier.TileRows, _shape.Queries) - firstRow;
        long queryRow = ((long)sequence * _shape.Queries) + firstRow;
        long keyRow = (long)sequence * _shape.Keys;
        float* q = _q.Resolve(run) + (queryRow * _q.RowStride) + (head * _shape.KeyWidth);
        float* k = _k.Resolve(run) + (keyRow * _k.RowStride) + (head * _shape.KeyWidth);
        float* v = _v.Resolve(run) + (keyRow * _v.RowStride) + (head * _shape.ValueWidth);

        float* y = _y.Resolve(run);
        int column = head * _shape.ValueWidth;
        PackQueries<TSimd, TVector>(q, rows, scratch);
        for (int block = 0; block < _keyBlocks; block++)
        {
            (int firstKey, int endKey) = Split.Range(_shape.Keys, _keyBlocks, block);
            int keys = endKey - firstKey;
            PackKeys(k + (firstKey * _k.RowStride), keys, scratch + _kOffset);
            PackValues<TSimd, TVector>(v + (firstKey * _v.RowStride), keys, scratch + _vOffset);
            for (int row = 0; row < rows; row += SimdTier.TileRows)
            {
                int tileRows = Math.Min(SimdTier.TileRows, rows - row), tile = firstTile + (row / SimdTier.TileRows);
                (int First, int End) all = (0, keys);
                ReadOnlySpan<(int First, int End)> visible = _mask is null ? new(in all) : _mask.Visible(block, tile);
                MultiplyKeys<TSimd, TVector>(row, tileRows, visible, scratch);
                _mask?.Hide<TSimd, TVector>(block, tile, scratch + _scoresOffset);
                TakeSoftmax<TSimd, TVector>(row, tileRows, keys, firstBlock: block == 0, scratch);
                if (_storesTiles && visible.Length == 1 && visible[0] == all)
                {
                    MultiplyAndStore<TSimd, TVector>(row, tileRows, keys, queryRow + row, column, y, scratch);
                    continue;
                }

                MultiplyValues<TSimd, TVector>(row, tileRows, keys, visible, firstBlock: block == 0, scratch);
                for (int r = row; r < row + tileRows && block == _keyBlocks - 1; r++)
                    StoreRow<TSimd, TVector>(r, queryRow + r, column, y, scratch);
            }
        }
    }

    private Range KeyRange(int block)
    {
        (int first, int end) = Split.Range(_shape.Keys, _keyBlocks, block);
        return first..end;
    }

    private void PackQueries<TSimd, TVector>(float* q, int rows, float* packed)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector scale = TSimd.Broadcast(_scale * 1.44269504f);
        long blockFloats = SimdTier.TileRows * RowTiles.BlockColumns;
        for (int row = 0; row < rows; row++, q += _q.RowStride)
        {
            float* block = packed + RowTiles.BlockIndex(row, 0, _shape.KeyWidth);
            for (int column = 0; column < _shape.KeyWidth; column += RowTiles.BlockColumns, block += blockFloats)
            {
                for (int lane = 0; lane < RowTiles.BlockColumns; lane += TSimd.Lanes)
                {
                    TVector value = SimdTail.Load<TSimd, TVector>(q + column + lane, Math.Max(_shape.KeyWidth - column - lane, 0));
                    TSimd.Store(TSimd.Multiply(value, scale), block + lane);
                }
            }
        }
    }

    private void PackKeys(float* k, int keys, float* panels)
    {
        int columns = SimdTier.PanelColumns;
        for (int key = 0; key < keys; key += columns, panels += _shape.KeyWidth * columns)
            PackedWeights.PackPanel(k + (key * _k.RowStride), _k.RowStride, Math.Min(columns, keys - key), _shape.KeyWidth, panels);
    }

    // V has the layout of a panel already but for its row stride; copying it costs little and spares the kernel a page per key.
    private void PackValues<TSimd, TVector>(float* v, int keys, float* panels)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int columns = SimdTier.PanelColumns;
        for (int column = 0; column < _outputStride; column += TSimd.Lanes)
        {
            int remaining = Math.Max(_shape.ValueWidth - column, 0);
            float* source = v + column;
            float* target = panels + ((long)(column / columns) * keys * columns) + (column % columns);
            for (int key = 0; key < keys; key++, source += _v.RowStride, target += columns)
                TSimd.Store(SimdTail.Load<TSimd, TVector>(source, remaining), target);
        }
    }

    /// <summary>Multiplies a tile of query rows by the keys that it sees of a block.</summary>
    private void MultiplyKeys<TSimd, TVector>(int row, int rows, ReadOnlySpan<(int First, int End)> visible, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int columns = SimdTier.PanelColumns;
        TiledRows queries = new(scratch + RowTiles.Size(row, _shape.KeyWidth), 0, _shape.KeyWidth);
        nint vectorStride = TSimd.Lanes < RowTiles.BlockColumns ? TSimd.Lanes : SimdTier.TileRows * RowTiles.BlockColumns;

        // Narrow vectors take several panels for a block of logits: they multiply every block's first panel, then every block's second one.
        int blockColumns = Math.Max(columns, RowTiles.BlockColumns), panelFloats = _shape.KeyWidth * columns;
        foreach ((int first, int end) in visible)
        {
            for (int column = 0; column < blockColumns; column += columns)
            {
                float* panels = scratch + _kOffset + ((first + column) * _shape.KeyWidth);
                ProductStore<TSimd, TVector> logits = new(scratch + _scoresOffset + column, RowTiles.BlockColumns, vectorStride);
                Gemm.MultiplyTiles<TSimd, TVector, TiledRows, ProductStore<TSimd, TVector>>(
                    in queries,
                    0,
                    Split.Most(end - first - column, blockColumns),
                    rows,
                    panels,
                    blockColumns / columns * panelFloats,
                    in logits,
                    first / RowTiles.BlockColumns * SimdTier.TileRows,
                    blockColumns / RowTiles.BlockColumns * SimdTier.TileRows,
                    (byte*)panels);
            }
        }
    }

    /// <summary>Replaces a tile's logits by powers, and keeps account of the rows' maxima and sums.</summary>
    private void TakeSoftmax<TSimd, TVector>(int row, int rows, int keys, bool firstBlock, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // Two loops: the exponentials of a row need not wait for anything of the row before.
        float* scores = scratch + _scoresOffset;
        float* maximum = scratch + _maximumOffset + row;
        float* sum = scratch + _sumOffset + row;
        for (int r = 0; r < rows; r++)
        {
            // A row that has seen no key yet begins with a finite maximum, from which the −∞ of hidden keys has a distance.
            float before = firstBlock ? float.MinValue : maximum[r];
            maximum[r] = Maximum<TSimd, TVector>(scores + (r * RowTiles.BlockColumns), keys, before);
            if (!firstBlock)
            {
                float shrink = MathF.Pow(2f, before - maximum[r]);
                sum[r] *= shrink;
                Scale<TSimd, TVector>(row + r, shrink, scratch);
            }
        }

        for (int r = 0; r < rows; r++)
        {
            float* logits = scores + (r * RowTiles.BlockColumns);
            float largest = maximum[r];
            if (Math.Abs(largest) > LargestMaximum)
            {
                Subtract<TSimd, TVector>(logits, keys, largest);
                largest = 0;
            }

            float added = Exponentiate<TSimd, TVector>(logits, keys, largest);
            sum[r] = firstBlock ? added : sum[r] + added;
        }
    }

    /// <summary>Multiplies a tile's powers by the values, divides by their sums, and stores what becomes of it.</summary>
    private void MultiplyAndStore<TSimd, TVector>(int row, int rows, int keys, long outputRow, int outputColumn, float* y, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int columns = SimdTier.PanelColumns;
        float* factors = scratch + _sumOffset + row;
        float** targets = (float**)(scratch + _targetsOffset);
        for (int r = 0; r < SimdTier.TileRows; r++)
        {
            // The kernel may store more rows than there are.
            if (r >= rows)
            {
                targets[r] = scratch + _outputOffset;
                continue;
            }

            factors[r] = 1 / factors[r];
            targets[r] = y + (_yRowTiles
                ? RowTiles.Index(outputRow + r, outputColumn, _shape.Heads * _shape.ValueWidth)
                : ((outputRow + r) * _y.RowStride) + outputColumn);
        }

        nint blockFloats = SimdTier.TileRows * RowTiles.BlockColumns;
        nint panelStride = _yRowTiles ? columns / RowTiles.BlockColumns * blockFloats : columns;
        nint vectorStride = _yRowTiles && TSimd.Lanes == RowTiles.BlockColumns ? blockFloats : TSimd.Lanes;
        TiledRows powers = new(scratch + _scoresOffset, 0, keys);
        ScaledStore<TSimd, TVector> result = new(factors, targets, panelStride, vectorStride);
        float* panels = scratch + _vOffset;
        Gemm.MultiplyTiles<TSimd, TVector, TiledRows, ScaledStore<TSimd, TVector>>(
            in powers, 0, _outputStride / columns, rows, panels, keys * columns, in result, 0, 1, (byte*)panels);
    }

    /// <summary>Adds a tile's powers times the values to the output in scratch memory.</summary>
    private void MultiplyValues<TSimd, TVector>(int row, int rows, int keys, ReadOnlySpan<(int First, int End)> visible, bool firstBlock, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int columns = SimdTier.PanelColumns;
        if (firstBlock)
        {
            for (int column = 0; column < _outputStride; column += columns)
                new Span<float>(scratch + OutputIndex(row, column), rows * columns).Clear();
        }

        SumStore<TSimd, TVector> sums = new(scratch + _outputOffset, columns, TSimd.Lanes);
        foreach ((int first, int end) in visible)
        {
            float* panels = scratch + _vOffset + (first * columns);
            TiledRows powers = new(scratch + _scoresOffset + RowTiles.Index(0, first, keys), 0, end - first);
            Gemm.MultiplyTiles<TSimd, TVector, TiledRows, SumStore<TSimd, TVector>>(
                in powers, 0, _outputStride / columns, rows, panels, keys * columns, in sums, row, _rows, (byte*)panels);
        }
    }

    /// <summary>Where an element of the output lies in scratch memory: a panel's rows follow each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int OutputIndex(int row, int column)
    {
        uint columns = (uint)SimdTier.PanelColumns, panel = (uint)column / columns, lane = (uint)column % columns;
        return _outputOffset + (((((int)panel * _rows) + row) * SimdTier.PanelColumns) + (int)lane);
    }

    /// <summary>The maximum of a row of logits and of those before it, rounded up. Lanes beyond the last key become −∞.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum<TSimd, TVector>(float* row, int keys, float before)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        nint pitch = SimdTier.TileRows * RowTiles.BlockColumns;
        float* end = LogitOf(row, Split.Most(keys, RowTiles.BlockColumns) * RowTiles.BlockColumns);

        // Lanes without a key must neither win the maximum nor add to the sum.
        int last = keys % RowTiles.BlockColumns;
        for (int lane = 0; last > 0 && lane < RowTiles.BlockColumns; lane += TSimd.Lanes)
        {
            float* logits = end - pitch + lane;
            TVector key = TSimd.LessThan(TSimd.Indices, TSimd.Broadcast(last - lane));
            TSimd.Store(TSimd.Select(key, TSimd.Load(logits), TSimd.Broadcast(float.NegativeInfinity)), logits);
        }

        TVector even = TSimd.Broadcast(before), odd = even;
        for (; row < end; row += pitch)
        {
            for (int lane = 0; lane < RowTiles.BlockColumns; lane += 2 * TSimd.Lanes)
            {
                even = TSimd.Max(even, TSimd.Load(row + lane));
                if (TSimd.Lanes < RowTiles.BlockColumns)
                    odd = TSimd.Max(odd, TSimd.Load(row + lane + TSimd.Lanes));
            }
        }

        return MathF.Ceiling(TSimd.ReduceMax(TSimd.Max(even, odd)));
    }

    /// <summary>Takes a number from a row of logits.</summary>
    private static void Subtract<TSimd, TVector>(float* row, int keys, float number)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector subtrahend = TSimd.Broadcast(number);
        for (int key = 0; key < Split.Most(keys, RowTiles.BlockColumns) * RowTiles.BlockColumns; key += TSimd.Lanes)
        {
            float* logits = LogitOf(row, key);
            TSimd.Store(TSimd.Subtract(TSimd.Load(logits), subtrahend), logits);
        }
    }

    /// <summary>Replaces a row of logits s (in units of log₂ e) by 2^(s − m) for a whole number m.</summary>
    /// <returns>Sum of the new values.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Exponentiate<TSimd, TVector>(float* row, int keys, float maximum)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        nint pitch = SimdTier.TileRows * RowTiles.BlockColumns;
        float* end = LogitOf(row, Split.Most(keys, RowTiles.BlockColumns) * RowTiles.BlockColumns);
        TVector lowest = TSimd.Broadcast(maximum - 125), rounding = TSimd.Broadcast(VectorMath.Rounding - maximum);
        TVector even = TSimd.Zero, odd = TSimd.Zero;
        for (; row < end; row += pitch)
        {
            for (int lane = 0; lane < RowTiles.BlockColumns; lane += 2 * TSimd.Lanes)
            {
                float* logits = row + lane;
                TVector power = VectorMath.Exp2OfDifference<TSimd, TVector>(TSimd.Load(logits), lowest, rounding);
                TSimd.Store(power, logits);
                even = TSimd.Add(even, power);
                if (TSimd.Lanes < RowTiles.BlockColumns)
                {
                    power = VectorMath.Exp2OfDifference<TSimd, TVector>(TSimd.Load(logits + TSimd.Lanes), lowest, rounding);
                    TSimd.Store(power, logits + TSimd.Lanes);
                    odd = TSimd.Add(odd, power);
                }
            }
        }

        return TSimd.ReduceAdd(TSimd.Add(even, odd));
    }

    /// <summary>Where a key's logit lies in a row of a row tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* LogitOf(float* row, int key) =>
        row + ((uint)key / RowTiles.BlockColumns * (uint)(SimdTier.TileRows * RowTiles.BlockColumns)) + ((uint)key % RowTiles.BlockColumns);

    private void Scale<TSimd, TVector>(int row, float factor, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector factors = TSimd.Broadcast(factor);
        for (int column = 0; column < _outputStride; column += TSimd.Lanes)
        {
            float* output = scratch + OutputIndex(row, column);
            TSimd.Store(TSimd.Multiply(TSimd.Load(output), factors), output);
        }
    }

    private void StoreRow<TSimd, TVector>(int row, long outputRow, int outputColumn, float* y, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector factor = TSimd.Broadcast(1f / scratch[_sumOffset + row]);
        if (!_yRowTiles)
        {
            float* target = y + (outputRow * _y.RowStride) + outputColumn;
            for (int column = 0; column < _shape.ValueWidth; column += TSimd.Lanes)
                SimdTail.Store<TSimd, TVector>(TSimd.Multiply(TSimd.Load(scratch + OutputIndex(row, column)), factor), target + column, _shape.ValueWidth - column);
            return;
        }

        // A head need not begin where a block of a row tile does, nor end where a panel of the output does.
        int inBlock = outputColumn % RowTiles.BlockColumns;
        float* block = y + RowTiles.BlockIndex(outputRow, outputColumn / RowTiles.BlockColumns, _shape.Heads * _shape.ValueWidth);
        int count;
        for (int column = 0; column < _shape.ValueWidth; column += count)
        {
            int inPanel = column % SimdTier.PanelColumns;
            count = Math.Min(Math.Min(TSimd.Lanes, _shape.ValueWidth - column), Math.Min(RowTiles.BlockColumns - inBlock, SimdTier.PanelColumns - inPanel));
            SimdTail.Store<TSimd, TVector>(TSimd.Multiply(TSimd.Load(scratch + OutputIndex(row, column)), factor), block + inBlock, count);
            inBlock += count;
            if (inBlock == RowTiles.BlockColumns)
            {
                inBlock = 0;
                block += SimdTier.TileRows * RowTiles.BlockColumns;
            }
        }
    }
}
