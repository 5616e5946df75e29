namespace KernelAD.Interop;

/// <summary>What the driver's compiler made of a kernel.</summary>
/// <param name="Registers">Registers of a thread.</param>
/// <param name="StaticSharedMemory">Bytes of shared memory that each block has without asking.</param>
/// <param name="LocalMemory">Bytes of local memory of a thread: spilled registers, or arrays indexed at run time.</param>
/// <param name="MaxThreadsPerBlock">The most threads that a block may have.</param>
public readonly record struct CudaFunctionInfo(int Registers, int StaticSharedMemory, int LocalMemory, int MaxThreadsPerBlock);
