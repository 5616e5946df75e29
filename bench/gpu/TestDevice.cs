using KernelAD.Emulator;
using KernelAD.GpuChecks;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// The device that the kernels are tested on: the one of the command line. Stands in the place of the class of that name in tests/Kernels.Tests.
/// </summary>
internal static class TestDevice
{
    private static Device? _device;

    /// <summary>The device's number.</summary>
    public static int Ordinal => Used.Ordinal;

    private static Device Used => _device ?? throw new InvalidOperationException("no device was chosen");

    /// <summary>Chooses the device.</summary>
    public static void Use(Device device) => _device = device;

    /// <summary>The driver. Ends the test as skipped where the device is older than the kernels.</summary>
    /// <param name="architecture">The architecture whose kernels are tested; a newer device runs them too.</param>
    /// <param name="checks">What an emulator checks besides memory accesses.</param>
    public static ICudaDriver Driver(string architecture, EmulatorChecks checks)
    {
        if (KernelText.Number(architecture) > KernelText.Number(Used.Architecture))
        {
            Assert.Ignore($"kernels for {architecture} do not run on {Used.Architecture}");
        }

        return Used.Driver(checks);
    }
}
