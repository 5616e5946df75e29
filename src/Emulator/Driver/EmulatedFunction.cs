namespace KernelAD.Emulator;

/// <summary>A kernel and what the driver was told about it.</summary>
/// <param name="kernel">The kernel.</param>
internal sealed class EmulatedFunction(PtxKernel kernel)
{
    /// <summary>The kernel.</summary>
    public PtxKernel Kernel { get; } = kernel;

    /// <summary>The most dynamic shared memory that a launch may ask for, in bytes.</summary>
    public int MaxDynamicSharedMemory { get; set; } = EmulatedTarget.DefaultSharedMemoryPerBlock - kernel.StaticSharedBytes;
}
