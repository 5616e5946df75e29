namespace KernelAD.Evaluation.Metrics;

/// <summary>A list that grows by chunks of one size, so that it is never copied while it grows and never takes much more memory than it holds.</summary>
internal sealed class KeyList<T>
    where T : unmanaged
{
    private const int ChunkLength = 1 << 18;

    private readonly List<T[]> _chunks = [];
    private int _used = ChunkLength;

    /// <summary>Number of elements.</summary>
    public long Count => ((long)_chunks.Count * ChunkLength) - (ChunkLength - _used);

    /// <summary>Memory for the next elements, at least one; <see cref="Advance"/> makes them part of the list.</summary>
    public Span<T> Room()
    {
        if (_used == ChunkLength)
        {
            _chunks.Add(GC.AllocateUninitializedArray<T>(ChunkLength));
            _used = 0;
        }

        return _chunks[^1].AsSpan(_used);
    }

    /// <summary>Takes the first elements of <see cref="Room"/> into the list.</summary>
    public void Advance(int count) => _used += count;

    /// <summary>Adds an element.</summary>
    public void Add(T value)
    {
        Room()[0] = value;
        Advance(1);
    }

    /// <summary>Moves all elements into one array; the list is empty afterwards.</summary>
    public T[] Drain()
    {
        T[] all = GC.AllocateUninitializedArray<T>(checked((int)Count));
        int length = all.Length;
        for (int i = 0; i < _chunks.Count; i++)
        {
            int start = i * ChunkLength;
            _chunks[i].AsSpan(0, Math.Min(ChunkLength, length - start)).CopyTo(all.AsSpan(start));
            _chunks[i] = [];
        }

        _chunks.Clear();
        _used = ChunkLength;
        return all;
    }
}
