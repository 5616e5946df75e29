namespace KernelAD.Backends.Cpu;

/// <summary>
/// One operation of a CPU plan, with everything that does not change from run to run resolved beforehand. A step is cut into
/// <see cref="Parts"/> independent parts which the worker team runs in any order on any thread; an output element is always computed by exactly one
/// part and always in the same order of operations, hence bit-identical results for any number of threads.
/// </summary>
internal abstract class CpuStep
{
    /// <summary>Number of independent parts, fixed at construction (it never depends on the number of threads).</summary>
    public abstract int Parts { get; }

    /// <summary>Bytes of private scratch memory that one running part needs.</summary>
    public virtual int ScratchBytes => 0;

    /// <summary>Runs one part.</summary>
    /// <param name="run">Where the buffers of this run are.</param>
    /// <param name="part">0 … <see cref="Parts"/> − 1.</param>
    /// <param name="scratch">This thread's scratch memory, 64-byte aligned, <see cref="ScratchBytes"/> long, contents undefined.</param>
    public abstract unsafe void Run(in RunContext run, int part, byte* scratch);
}

/// <summary>What differs from one run of a plan to the next: the arena, and which slice of a sliced region is being computed.</summary>
internal readonly unsafe struct RunContext
{
    public RunContext(byte* arena, int slice)
    {
        Arena = arena;
        Slice = slice;
    }

    /// <summary>Start of this run's arena, 64-byte aligned.</summary>
    public byte* Arena { get; }

    /// <summary>Index of the slice being computed; 0 outside a sliced region.</summary>
    public int Slice { get; }
}

/// <summary>
/// Where a matrix lives: at an offset in the arena, or at a fixed address (weights and constants). It is read as rows of
/// <see cref="RowStride"/> floats. A buffer that a sliced region reads or writes in part moves on by a fixed number of floats per slice.
/// </summary>
internal readonly unsafe struct BufferRef
{
    private readonly nint _offset;
    private readonly bool _absolute;
    private readonly nint _sliceStride;

    private BufferRef(nint offset, bool absolute, long rowStride, nint sliceStride)
    {
        _offset = offset;
        _absolute = absolute;
        RowStride = rowStride;
        _sliceStride = sliceStride;
    }

    /// <summary>Distance in floats from one row to the next.</summary>
    public long RowStride { get; }

    /// <summary>A buffer in the arena.</summary>
    public static BufferRef InArena(long byteOffset, long rowStride, long sliceStrideFloats = 0) =>
        new((nint)byteOffset, absolute: false, rowStride, (nint)(sliceStrideFloats * sizeof(float)));

    /// <summary>A buffer at a fixed address that outlives the plan.</summary>
    public static BufferRef At(float* address, long rowStride) => new((nint)address, absolute: true, rowStride, 0);

    /// <summary>The same buffer starting some floats later, for instance at a column.</summary>
    public BufferRef Shift(long floats) => new(_offset + ((nint)floats * sizeof(float)), _absolute, RowStride, _sliceStride);

    /// <summary>Address of the first element in this run.</summary>
    public float* Resolve(in RunContext run) =>
        (float*)((_absolute ? 0 : (nint)run.Arena) + _offset + (run.Slice * _sliceStride));
}
