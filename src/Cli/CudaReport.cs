using System.Globalization;
using System.Text.Json;
using KernelAD.Backends.Cuda;
using KernelAD.Interop;

namespace KernelAD.Cli;

/// <summary>What the NVIDIA driver says of itself and its devices, or why there is none and what to do.</summary>
/// <param name="Driver">The newest CUDA version that the driver supports; null if it cannot be used.</param>
/// <param name="Fault">Why it cannot be used and what to do; null if it can.</param>
/// <param name="Devices">Its devices; empty if it cannot be used.</param>
internal sealed record CudaReport(Version? Driver, string? Fault, IReadOnlyList<CudaDevice> Devices)
{
    /// <summary>Which devices can run the kernels, or why none can.</summary>
    public string Usable
    {
        get
        {
            if (Fault is not null)
            {
                return "not available: see cuda driver";
            }

            List<string> usable = [], refused = [];
            foreach (CudaDevice device in Devices)
            {
                try
                {
                    usable.Add($"cuda:{device.Ordinal} with kernels for {KernelLibrary.Embedded.TargetFor(device)}");
                }
                catch (DeviceNotAvailableException e)
                {
                    refused.Add(e.Message);
                }
            }

            return usable.Count > 0 ? $"available: {string.Join(", ", usable)}" : $"not available: {string.Join("; ", refused)}";
        }
    }

    /// <summary>One fact for the driver and one for each device.</summary>
    public IEnumerable<(string Key, string Value)> Facts =>
    [
        ("cuda driver", Fault ?? $"supports CUDA {Driver} ({CudaDriver.MinimumVersion} is the least)"),
        .. Devices.Select(d => ($"cuda device {d.Ordinal}", Describe(d))),
    ];

    /// <summary>Loads the driver to find out.</summary>
    public static CudaReport Make()
    {
        try
        {
            CudaDriver driver = CudaDriver.Load();
            return new CudaReport(driver.Version, null, driver.Devices);
        }
        catch (CudaException e)
        {
            return new CudaReport(null, e.Message, []);
        }
    }

    /// <summary>Writes the object <c>cuda</c>.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("cuda");
        writer.WriteString("driver", Driver?.ToString());
        writer.WriteString("least_driver", CudaDriver.MinimumVersion.ToString());
        writer.WriteString("fault", Fault);
        writer.WriteStartArray("devices");
        foreach (CudaDevice device in Devices)
        {
            writer.WriteStartObject();
            writer.WriteNumber("ordinal", device.Ordinal);
            writer.WriteString("name", device.Name);
            writer.WriteString("compute_capability", string.Create(CultureInfo.InvariantCulture, $"{device.ComputeMajor}.{device.ComputeMinor}"));
            writer.WriteNumber("multiprocessors", device.Multiprocessors);
            writer.WriteNumber("memory_bytes", device.TotalMemory);
            writer.WriteNumber("shared_memory_per_block_bytes", device.MaxSharedMemoryPerBlock);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static string Describe(CudaDevice device) => string.Create(
        CultureInfo.InvariantCulture,
        $"{device.Name}, compute capability {device.ComputeMajor}.{device.ComputeMinor}, {device.Multiprocessors} multiprocessors, {ByteSize.Format(device.TotalMemory)}");
}
