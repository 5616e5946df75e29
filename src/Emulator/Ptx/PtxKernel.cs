namespace KernelAD.Emulator;

/// <summary>A kernel, ready to run.</summary>
/// <param name="Name">The entry's name.</param>
/// <param name="Target">The device that it was prepared for.</param>
/// <param name="Program">What is executed.</param>
internal sealed record PtxKernel(string Name, EmulatedTarget Target, KernelProgram Program)
{
    /// <summary>The parameters in their order.</summary>
    public required IReadOnlyList<PtxParameter> Parameters { get; init; }

    /// <summary>How many bytes the parameters take.</summary>
    public int ParameterBytes => Parameters.Count == 0 ? 0 : Parameters[^1].Offset + Parameters[^1].Size;

    /// <summary>Shared memory of a block that the kernel declares, in bytes.</summary>
    public required int StaticSharedBytes { get; init; }

    /// <summary>Local memory of a thread, in bytes.</summary>
    public required int LocalBytes { get; init; }

    /// <summary>The most threads of a block, by <c>.maxntid</c> or <c>.reqntid</c> or else the architecture.</summary>
    public required int MaxThreads { get; init; }

    /// <summary>The only extent that a block may have, by <c>.reqntid</c>; null if any will do.</summary>
    public required Interop.LaunchSize? RequiredBlock { get; init; }

    /// <summary>32-bit registers that are live at a time at most: less than NVIDIA's assembler takes, which orders instructions for speed.</summary>
    public required int EstimatedRegisters { get; init; }
}
