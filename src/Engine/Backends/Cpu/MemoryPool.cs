namespace KernelAD.Backends.Cpu;

/// <summary>Memory that is taken bit by bit and given back all at once: a model's weights. Not thread-safe.</summary>
internal sealed unsafe class MemoryPool : IDisposable
{
    private const long ChunkBytes = 16L << 20;

    private readonly List<AlignedMemory> _chunks = [];
    private byte* _next;
    private long _left;

    /// <summary>Bytes handed out so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>Memory on a cache-line boundary, contents undefined.</summary>
    /// <exception cref="OutOfMemoryException">There is not enough memory.</exception>
    public byte* Take(long bytes)
    {
        bytes = (bytes + AlignedMemory.Alignment - 1) / AlignedMemory.Alignment * AlignedMemory.Alignment;
        if (bytes > _left)
        {
            AlignedMemory chunk = new(Math.Max(bytes, ChunkBytes));
            _chunks.Add(chunk);
            _next = chunk.Pointer;
            _left = chunk.Length;
        }

        byte* taken = _next;
        _next += bytes;
        _left -= bytes;
        Bytes += bytes;
        return taken;
    }

    public void Dispose() => _chunks.ForEach(c => c.Dispose());
}
