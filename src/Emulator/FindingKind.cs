namespace KernelAD.Emulator;

/// <summary>What kind of fault a kernel has.</summary>
public enum FindingKind
{
    /// <summary>An access outside every live allocation, or outside the block's shared or the thread's local memory.</summary>
    OutOfBounds,

    /// <summary>An access to memory that has been freed.</summary>
    UseAfterFree,

    /// <summary>An address that is not a multiple of the size of the access.</summary>
    Misaligned,

    /// <summary>An address of another address space than the instruction's.</summary>
    WrongAddressSpace,

    /// <summary>A store into constant memory or a parameter.</summary>
    ReadOnly,

    /// <summary>A read of bytes that nothing has written.</summary>
    Uninitialised,

    /// <summary>Two threads that share bytes, one of them writing, with no barrier between them.</summary>
    Race,

    /// <summary>A barrier that a part of a warp reaches, or that other threads have left the kernel without reaching.</summary>
    DivergentBarrier,

    /// <summary>A warp-wide instruction whose member mask or active threads are not what it demands.</summary>
    IncompleteWarp,

    /// <summary>Every thread of a block that still runs waits at a barrier that cannot complete.</summary>
    Deadlock,

    /// <summary>A <c>trap</c> was executed.</summary>
    Trap,

    /// <summary>A warp executed more instructions than <see cref="EmulatorOptions.WatchdogInstructions"/> allows.</summary>
    Watchdog,
}
