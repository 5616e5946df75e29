namespace KernelAD.Interop;

/// <summary>What a device is.</summary>
/// <param name="Ordinal">The device's number, from 0.</param>
/// <param name="Name">The product's name.</param>
/// <param name="ComputeMajor">Major number of the compute capability.</param>
/// <param name="ComputeMinor">Minor number of the compute capability.</param>
/// <param name="Multiprocessors">How many streaming multiprocessors it has.</param>
/// <param name="TotalMemory">Its memory in bytes.</param>
/// <param name="MaxSharedMemoryPerBlock">The most shared memory a block may have after opting in, in bytes.</param>
/// <param name="Registers">How many 32-bit registers a multiprocessor has; 65536 on every architecture from sm_75 to sm_90.</param>
public sealed record CudaDevice(
    int Ordinal, string Name, int ComputeMajor, int ComputeMinor, int Multiprocessors, long TotalMemory, int MaxSharedMemoryPerBlock, int Registers = 65536)
{
    /// <summary>The compute capability as PTX targets name it, e.g. <c>sm_87</c>.</summary>
    public string Architecture => $"sm_{ComputeMajor}{ComputeMinor}";
}
