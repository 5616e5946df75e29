using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A strided copy: destination[Σ i·d] = source[Σ i·s] over up to eight dimensions. Permute, Slice, Concat (one copy for each input) and
/// broadcasting are all this step. The loops are reordered to write the destination in sequence; what is left is copied
/// row by row (both sides dense), by transposing 4 × 4 blocks (the source is dense along another dimension), or element by element.
/// The operands must not overlap.
/// </summary>
internal sealed unsafe class CopyStep : CpuStep
{
    private const int Destination = 0;
    private const int Source = 1;

    /// <summary>
    /// Rows of a transposed tile: with a cache line for each, what a line of the source holds is used while it is in the first-level cache.
    /// </summary>
    private const int TransposedRows = 16;

    /// <summary>Elements of a tile at least: where few columns are transposed (three channels, for instance), it has more rows.</summary>
    private const int TransposedElements = 1024;

    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly StridedLoops _loops;
    private readonly bool _transposed;

    /// <param name="destination">First element written.</param>
    /// <param name="source">First element read.</param>
    /// <param name="extents">Extents, at most eight.</param>
    /// <param name="destinationStrides">Distance in floats between neighbours of each dimension in the destination.</param>
    /// <param name="sourceStrides">The same in the source; 0 repeats.</param>
    public CopyStep(
        BufferRef destination,
        BufferRef source,
        ReadOnlySpan<int> extents,
        ReadOnlySpan<long> destinationStrides,
        ReadOnlySpan<long> sourceStrides)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destinationStrides.Length, extents.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sourceStrides.Length, extents.Length);
        _destination = destination;
        _source = source;

        long[] written = destinationStrides.ToArray();
        int[] order = [.. Enumerable.Range(0, extents.Length).OrderByDescending(d => written[d])];
        _loops = StridedLoops.Create(Pick(extents, order), Pick(destinationStrides, order), Pick(sourceStrides, order));
        if (_loops.ColumnStride(Destination) == 1 && _loops.ColumnStride(Source) > 1
            && _loops.WithDenseRows(Source, (int)Math.Max(TransposedRows, TransposedElements / _loops.Columns)) is StridedLoops transposed)
        {
            _loops = transposed;
            _transposed = true;
        }
    }

    public override int Parts => _loops.Tiles.Parts;

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        long toStride = _loops.RowStride(Destination);
        long fromStride = _loops.RowStride(Source);
        Span<long> offsets = stackalloc long[2];
        long end = _loops.Tiles.End(part);
        for (long tile = _loops.Tiles.Start(part); tile < end; tile++)
        {
            (long rows, long columns) = _loops.Seek(tile, offsets);
            float* to = destination + offsets[Destination];
            float* from = source + offsets[Source];
            if (_transposed)
            {
                CopyTransposed(to, toStride, from, _loops.ColumnStride(Source), rows, columns);
                continue;
            }

            for (long row = 0; row < rows; row++, to += toStride, from += fromStride)
                CopyRow(to, _loops.ColumnStride(Destination), from, _loops.ColumnStride(Source), columns);
        }
    }

    private static T[] Pick<T>(ReadOnlySpan<T> values, int[] order)
    {
        T[] picked = new T[order.Length];
        for (int i = 0; i < order.Length; i++)
            picked[i] = values[order[i]];

        return picked;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyRow(float* destination, long destinationStride, float* source, long sourceStride, long count)
    {
        if (destinationStride == 1 && sourceStride == 1)
        {
            long bytes = count * sizeof(float);
            Buffer.MemoryCopy(source, destination, bytes, bytes);
        }
        else if (destinationStride == 1 && sourceStride == 0)
        {
            new Span<float>(destination, (int)count).Fill(*source);
        }
        else
        {
            for (long i = 0; i < count; i++)
                destination[i * destinationStride] = source[i * sourceStride];
        }
    }

    /// <summary>destination[r, c] = source[c, r] for r &lt; rows, c &lt; columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyTransposed(float* destination, long destinationStride, float* source, long sourceStride, long rows, long columns)
    {
        const int Block = 4;
        long fullRows = rows - (rows % Block);
        long fullColumns = columns - (columns % Block);
        for (long c = 0; c < fullColumns; c += Block)
        {
            for (long r = 0; r < fullRows; r += Block)
                Transpose.Block4x4(source + (c * sourceStride) + r, sourceStride, destination + (r * destinationStride) + c, destinationStride);

            for (long r = fullRows; r < rows; r++)
                CopyRow(destination + (r * destinationStride) + c, 1, source + (c * sourceStride) + r, sourceStride, Block);
        }

        for (long c = fullColumns; c < columns; c++)
            CopyRow(destination + c, destinationStride, source + (c * sourceStride), 1, rows);
    }
}
