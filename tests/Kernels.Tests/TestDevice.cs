using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// The device that the kernels are tested on: an emulated one, new for each test. Where the tests run on a GPU, another class stands in this one's place
/// (bench/gpu).
/// </summary>
internal static class TestDevice
{
    /// <summary>The device's number.</summary>
    public const int Ordinal = 0;

    /// <summary>The driver.</summary>
    /// <param name="architecture">The architecture whose kernels are tested.</param>
    /// <param name="checks">What an emulator checks besides memory accesses.</param>
    public static ICudaDriver Driver(string architecture, EmulatorChecks checks) =>
        new EmulatedDriver(new EmulatorOptions { Architecture = architecture, Checks = checks, Count = true });
}
