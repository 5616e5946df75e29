using System.Globalization;
using KernelAD.Backends.Cpu;
using KernelAD.Backends.Cuda;
using KernelAD.Interop;
using KernelAD.Weights;

namespace KernelAD.Backends;

/// <summary>Which device a detector runs on: what its options say, or what "auto" finds.</summary>
/// <param name="Driver">The CUDA driver; null: the CPU.</param>
/// <param name="Ordinal">The CUDA device's ordinal.</param>
/// <param name="Reason">Why "auto" chose it; null if it was asked for.</param>
internal sealed record DeviceChoice(ICudaDriver? Driver, int Ordinal, string? Reason)
{
    private static readonly Lock Loading = new();
    private static CudaDriver? _system;

    /// <summary>Chooses.</summary>
    /// <exception cref="DeviceNotAvailableException">The device or the precision asked for is not available.</exception>
    /// <exception cref="CudaException">A CUDA device was asked for and the driver is not there or refuses.</exception>
    public static DeviceChoice Of(DetectorOptions options)
    {
        DeviceChoice choice = options.Device switch
        {
            "cpu" => new DeviceChoice(null, 0, null),
            "auto" => Automatic(options.Driver),
            _ => Cuda(options.Device, options.Driver),
        };
        choice.CheckPrecision(options.Precision);
        return choice;
    }

    /// <summary>Makes the backend. It takes the file over, whatever happens.</summary>
    public IBackend CreateBackend(ModelFile file, DetectorOptions options, int threads) => Driver is null
        ? new CpuBackend(CpuWeights.Of(file), threads, options.MaxMemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
        : new CudaBackend(CudaWeights.Of(file, Driver, Ordinal, KernelLibrary.Embedded), options.Precision, options.MaxMemoryBytes);

    private static DeviceChoice Automatic(ICudaDriver? given)
    {
        try
        {
            ICudaDriver driver = given ?? SystemDriver();
            List<string> refusals = [];
            foreach (CudaDevice device in driver.Devices)
            {
                try
                {
                    string target = KernelLibrary.Embedded.TargetFor(device);
                    return new DeviceChoice(driver, device.Ordinal, $"a CUDA device that runs kernels for {target} is there");
                }
                catch (DeviceNotAvailableException e)
                {
                    refusals.Add(e.Message);
                }
            }

            return new DeviceChoice(null, 0, string.Join("; ", refusals));
        }
        catch (CudaException e)
        {
            return new DeviceChoice(null, 0, e.Message);
        }
    }

    private static DeviceChoice Cuda(string name, ICudaDriver? given)
    {
        string[] parts = name.Split(':');
        int ordinal = 0;
        bool cuda = parts is ["cuda"] || (parts is ["cuda", string number] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ordinal));
        if (!cuda && !(given is not null && parts[0] == "emulated"))
        {
            throw new DeviceNotAvailableException($"device \"{name}\" is not available: there are \"auto\", \"cpu\", \"cuda\" and \"cuda:N\"");
        }

        ICudaDriver driver = given ?? SystemDriver();
        return ordinal < driver.Devices.Count
            ? new DeviceChoice(driver, ordinal, null)
            : throw new DeviceNotAvailableException($"device \"{name}\" is not available: the driver has {driver.Devices.Count} CUDA devices, numbered from 0");
    }

    /// <summary>
    /// NVIDIA's driver, loaded once: detectors on one device share weights, which the driver's identity tells. After a failure it is tried again.
    /// </summary>
    private static CudaDriver SystemDriver()
    {
        lock (Loading)
        {
            return _system ??= CudaDriver.Load();
        }
    }

    private void CheckPrecision(Precision precision)
    {
        if (Driver is null && precision != Precision.Fp32)
        {
            string why = Reason is null ? "" : $"; \"auto\" chose it because: {Reason}";
            throw new DeviceNotAvailableException($"precision {precision} is not available on the CPU, which computes in fp32{why}");
        }

        if (Driver?.Devices[Ordinal] is CudaDevice { ComputeMajor: < 8 } device && precision == Precision.Tf32)
        {
            throw new DeviceNotAvailableException(
                $"precision tf32 needs a GPU of architecture sm_80 or newer; CUDA device {device.Ordinal}, {device.Name}, is {device.Architecture}: use fp16 or fp32");
        }
    }
}
