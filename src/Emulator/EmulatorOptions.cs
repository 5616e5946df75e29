namespace KernelAD.Emulator;

/// <summary>The device to emulate and how to run it.</summary>
public sealed record EmulatorOptions
{
    /// <summary>The architecture as PTX targets name it: <c>sm_75</c>, <c>sm_80</c>, <c>sm_86</c>, <c>sm_87</c>, <c>sm_89</c> or <c>sm_90</c>.</summary>
    public string Architecture { get; init; } = "sm_80";

    /// <summary>
    /// How many multiprocessors the device says that it has; 0 takes as many as a well-known device of the architecture has. Results do not depend on it.
    /// </summary>
    public int Multiprocessors { get => field > 0 ? field : EmulatedTarget.Find(Architecture).Multiprocessors; init; }

    /// <summary>The device's memory in bytes. Only what is allocated takes memory of the host.</summary>
    public long MemoryBytes { get; init; } = 8L << 30;

    /// <summary>How many threads run a launch's blocks; 0 takes one for each processor. Results and counters do not depend on it.</summary>
    public int Threads { get; init; }

    /// <summary>What is checked besides memory accesses.</summary>
    public EmulatorChecks Checks { get; init; }

    /// <summary>Whether memory transactions are counted too. Executed instructions always are.</summary>
    public bool Count { get; init; }

    /// <summary>
    /// How many instructions a warp may execute in a launch, at least: a warp that goes round its loops for longer is taken for hung and reported.
    /// </summary>
    public long WatchdogInstructions { get; init; } = 1L << 31;
}
