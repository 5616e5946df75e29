namespace KernelAD.Backends.Cpu;

/// <summary>
/// Looks rows up: out[n·A + a, b, :] = table[n, index[a, b], :], with one index list (A, B) for all images n. A sliced step: a run
/// computes <c>count</c> of the N·A leading rows, from run.Slice · count on (fewer in the last slice), and the destination starts at the
/// first of them.
/// </summary>
internal sealed unsafe class GatherStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _table;
    private readonly int[] _indices;
    private readonly int _lists;
    private readonly int _perList;
    private readonly int _tableRows;
    private readonly int _width;
    private readonly long _total;
    private readonly int _count;
    private readonly Partition _partition;

    /// <param name="destination">(count·B, D), moving on with the slice.</param>
    /// <param name="table">(N·R, D).</param>
    /// <param name="indices">(A, B), each in 0 … R − 1; copied.</param>
    /// <param name="perList">B.</param>
    /// <param name="images">N.</param>
    /// <param name="tableRows">R.</param>
    /// <param name="width">D.</param>
    /// <param name="count">Leading rows of one slice; N·A when the step is not sliced.</param>
    public GatherStep(
        BufferRef destination, BufferRef table, ReadOnlySpan<int> indices, int perList, int images, int tableRows, int width, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(perList);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfNotEqual(indices.Length % perList, 0, nameof(indices));
        foreach (int index in indices)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index, nameof(indices));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, tableRows, nameof(indices));
        }

        _destination = destination;
        _table = table;
        _indices = indices.ToArray();
        _perList = perList;
        _lists = indices.Length / perList;
        _tableRows = tableRows;
        _width = width;
        _total = (long)images * _lists;
        _count = count;
        _partition = new Partition((long)count * perList, width);
    }

    public override int Parts => _partition.Parts;

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        float* destination = _destination.Resolve(run);
        float* table = _table.Resolve(run);
        long firstRow = (long)run.Slice * _count * _perList;
        long end = Math.Min(_partition.End(part), (_total * _perList) - firstRow);
        for (long row = _partition.Start(part); row < end; row++)
        {
            (long image, long entry) = Math.DivRem(firstRow + row, _indices.Length);
            float* source = table + (((image * _tableRows) + _indices[entry]) * _table.RowStride);
            new Span<float>(source, _width).CopyTo(new Span<float>(destination + (row * _destination.RowStride), _width));
        }
    }
}
