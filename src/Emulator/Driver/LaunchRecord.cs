using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>A kernel that was run, for profiles.</summary>
/// <param name="Kernel">The entry's name.</param>
/// <param name="Grid">How many blocks.</param>
/// <param name="Block">How many threads a block.</param>
/// <param name="StaticSharedMemory">Shared memory of a block that the kernel declares, in bytes.</param>
/// <param name="DynamicSharedMemory">Shared memory of a block that the launch asked for, in bytes.</param>
/// <param name="Counters">What was counted.</param>
/// <param name="EmulationTime">How long the host took for it; says nothing about a GPU.</param>
public sealed record LaunchRecord(
    string Kernel, LaunchSize Grid, LaunchSize Block, int StaticSharedMemory, int DynamicSharedMemory, LaunchCounters Counters, TimeSpan EmulationTime);
