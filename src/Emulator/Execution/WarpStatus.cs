namespace KernelAD.Emulator;

/// <summary>What a warp is doing.</summary>
internal enum WarpStatus
{
    /// <summary>It can go on.</summary>
    Ready,

    /// <summary>It waits at a barrier.</summary>
    Waiting,

    /// <summary>All its threads have left the kernel.</summary>
    Finished,
}
