using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>What all blocks of a launch have in common.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="Grid">How many blocks.</param>
/// <param name="Size">How many threads a block.</param>
/// <param name="SharedBytes">Shared memory of a block, static and dynamic.</param>
/// <param name="DynamicSharedBytes">The dynamic part of it.</param>
/// <param name="Parameters">The parameters' bytes.</param>
/// <param name="Memory">The device's memory.</param>
/// <param name="Options">How it is run.</param>
internal sealed record Launch(
    PtxKernel Kernel,
    LaunchSize Grid,
    LaunchSize Size,
    int SharedBytes,
    int DynamicSharedBytes,
    byte[] Parameters,
    GlobalMemory Memory,
    EmulatorOptions Options)
{
    /// <summary>Threads of a block.</summary>
    public int Threads => Size.X * Size.Y * Size.Z;

    /// <summary>Blocks of the grid.</summary>
    public long Blocks => (long)Grid.X * Grid.Y * Grid.Z;

    /// <summary>Whether reads of bytes that nothing has written are looked for.</summary>
    public bool ChecksInitialisation { get; } = Options.Checks.HasFlag(EmulatorChecks.Initialisation);

    /// <summary>Whether races are looked for.</summary>
    public bool ChecksRaces { get; } = Options.Checks.HasFlag(EmulatorChecks.Races);

    /// <summary>Whether barriers and warp-wide instructions are checked.</summary>
    public bool ChecksSynchronisation { get; } = Options.Checks.HasFlag(EmulatorChecks.Synchronisation);

    /// <summary>Whether memory transactions are counted.</summary>
    public bool Counts { get; } = Options.Count;

    /// <summary>Whether each access is looked at for more than its bounds.</summary>
    public bool WatchesAccesses => ChecksInitialisation || ChecksRaces;

    /// <summary>Finds races between blocks; null where they are not looked for.</summary>
    public GlobalRaces? Races { get; init; }
}
