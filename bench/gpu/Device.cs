using System.Globalization;
using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.GpuChecks;

/// <summary>What is measured: a GPU, or an emulated one. <see cref="MeasuredOn"/> goes into every file that is written.</summary>
internal sealed class Device
{
    private readonly CudaDriver? _driver;

    private Device(CudaDriver? driver, int ordinal, string architecture, CudaDevice description)
    {
        _driver = driver;
        Ordinal = ordinal;
        Architecture = architecture;
        Description = description;
    }

    /// <summary>Whether there is no GPU behind it.</summary>
    public bool IsEmulated => _driver is null;

    /// <summary>The device's number.</summary>
    public int Ordinal { get; }

    /// <summary>Its architecture, e.g. <c>sm_80</c>.</summary>
    public string Architecture { get; }

    /// <summary>What the driver says of it.</summary>
    public CudaDevice Description { get; }

    /// <summary>What a table's heading says.</summary>
    public string MeasuredOn => IsEmulated
        ? $"EMULATOR {Architecture} (no GPU)"
        : $"GPU {Description.Name}, {Architecture}, {Description.Multiprocessors} multiprocessors, driver for CUDA {_driver!.Version}";

    /// <summary>Finds a device by its name on the command line.</summary>
    /// <param name="name"><c>cuda</c>, <c>cuda:N</c>, <c>emulated</c> or <c>emulated:sm_XX</c>.</param>
    /// <exception cref="ArgumentException">The name is none of these, or the architecture cannot be emulated.</exception>
    /// <exception cref="CudaNotAvailableException">There is no such GPU.</exception>
    public static Device Open(string name)
    {
        string[] parts = name.Split(':');
        switch (parts)
        {
            case ["emulated"] or ["emulated", _]:
                string architecture = parts.Length > 1 ? parts[1] : "sm_80";
                return new Device(null, 0, architecture, new EmulatedDriver(new EmulatorOptions { Architecture = architecture }).Devices[0]);
            case ["cuda"] or ["cuda", _]:
                int ordinal = 0;
                if (parts.Length > 1 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ordinal))
                {
                    break;
                }

                CudaDriver driver = CudaDriver.Load();
                CudaDevice device = ordinal < driver.Devices.Count
                    ? driver.Devices[ordinal]
                    : throw new CudaNotAvailableException($"There is no CUDA device {ordinal}: the driver has {driver.Devices.Count}, numbered from 0.");
                return new Device(driver, ordinal, device.Architecture, device);
        }

        throw new ArgumentException($"\"{name}\" is not one of cuda, cuda:N, emulated, emulated:sm_XX");
    }

    /// <summary>The driver; on the emulator a new one, so that nothing of an earlier use is left.</summary>
    /// <param name="checks">What an emulator checks besides memory accesses.</param>
    public ICudaDriver Driver(EmulatorChecks checks) =>
        _driver is not null ? _driver : new EmulatedDriver(new EmulatorOptions { Architecture = Architecture, Checks = checks, Count = true });

    /// <summary>The emulator's model of the device: of its architecture, or of the newest one below that can be emulated.</summary>
    public EmulatedDriver Model()
    {
        string[] known = ["sm_90", "sm_89", "sm_87", "sm_86", "sm_80", "sm_75"];
        int number = (10 * Description.ComputeMajor) + Description.ComputeMinor;
        string model = known.FirstOrDefault(k => int.Parse(k.AsSpan("sm_".Length), CultureInfo.InvariantCulture) <= number) ?? known[^1];
        return new EmulatedDriver(new EmulatorOptions { Architecture = model });
    }
}
