namespace KernelAD.Emulator;

/// <summary>What is checked while kernels run. Each check but <see cref="Memory"/> costs time: choose small shapes for them.</summary>
[Flags]
public enum EmulatorChecks
{
    /// <summary>Bounds, alignment and address space of every access; always on.</summary>
    Memory = 0,

    /// <summary>Reads of shared or global bytes that nothing has written.</summary>
    Initialisation = 1,

    /// <summary>Two threads that share bytes, one of them writing, with no barrier between them.</summary>
    Races = 2,

    /// <summary>Barriers and warp-wide instructions that not all threads reach.</summary>
    Synchronisation = 4,

    /// <summary>Every check.</summary>
    All = Initialisation | Races | Synchronisation,
}
