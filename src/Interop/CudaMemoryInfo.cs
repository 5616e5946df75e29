namespace KernelAD.Interop;

/// <summary>A device's memory at one moment, in bytes.</summary>
/// <param name="Free">What can still be allocated, by all processes together.</param>
/// <param name="Total">What the device has.</param>
public readonly record struct CudaMemoryInfo(long Free, long Total);
