namespace KernelAD.Emulator;

/// <summary>How often an operation was executed, and what its memory accesses cost.</summary>
internal struct Tally
{
    /// <summary>Executions, one for each warp.</summary>
    public long Warps;

    /// <summary>Executions, one for each active lane.</summary>
    public long Threads;

    /// <summary>32-byte sectors of global memory.</summary>
    public long Sectors;

    /// <summary>Passes over shared memory.</summary>
    public long Wavefronts;

    /// <summary>Passes beyond those that conflict-free addresses would take.</summary>
    public long Conflicts;

    /// <summary>Bytes of global memory.</summary>
    public long Bytes;

    /// <summary>For a branch: how often lanes went different ways.</summary>
    public long Divergences;

    /// <summary>Adds another thread's tally.</summary>
    /// <param name="other">The other tally.</param>
    public void Add(in Tally other)
    {
        Warps += other.Warps;
        Threads += other.Threads;
        Sectors += other.Sectors;
        Wavefronts += other.Wavefronts;
        Conflicts += other.Conflicts;
        Bytes += other.Bytes;
        Divergences += other.Divergences;
    }
}
