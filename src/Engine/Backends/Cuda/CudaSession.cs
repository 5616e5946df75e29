using KernelAD.Interop;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// A device in use: its primary context, and the kernels that have been needed so far. Modules are loaded one by one, since the driver compiles each for the
/// device. Thread-safe.
/// </summary>
internal sealed class CudaSession : IDisposable
{
    /// <summary>Dynamic shared memory that a kernel may have without asking.</summary>
    private const int OrdinarySharedBytes = 48 * 1024;

    private readonly KernelLibrary _library;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (CudaModule Module, CudaFunction Function, int SharedBytes)> _functions = new(StringComparer.Ordinal);
    private CudaException? _lost;

    /// <summary>Takes a device into use.</summary>
    /// <exception cref="DeviceNotAvailableException">It cannot run this build's kernels.</exception>
    /// <exception cref="CudaException">The driver refused.</exception>
    public CudaSession(ICudaDriver driver, int ordinal, KernelLibrary library)
    {
        _library = library;
        Driver = driver;
        Device = driver.Devices[ordinal];
        Target = library.TargetFor(Device);
        Context = driver.RetainPrimaryContext(ordinal);
    }

    /// <summary>The driver.</summary>
    public ICudaDriver Driver { get; }

    /// <summary>The device.</summary>
    public CudaDevice Device { get; }

    /// <summary>The PTX target that it runs.</summary>
    public string Target { get; }

    /// <summary>Its context.</summary>
    public CudaContext Context { get; }

    /// <summary>Whether the target has a kernel.</summary>
    public bool Has(string name) => _library.Kernels.TryGetValue(name, out KernelInfo? kernel) && kernel.Targets.Contains(Target);

    /// <summary>A kernel that the target has.</summary>
    public KernelInfo Kernel(string name)
    {
        KernelInfo kernel = _library[name];
        return kernel.Targets.Contains(Target) ? kernel : throw new DeviceNotAvailableException(
            $"kernel {name} is not there for {Target}, which CUDA device {Device.Ordinal}, {Device.Name}, runs: use another precision");
    }

    /// <summary>To be called by every entry point, on its thread: makes the context current.</summary>
    /// <exception cref="DeviceNotAvailableException">A kernel's fault has made the context useless.</exception>
    public void Enter()
    {
        if (_lost is CudaException cause)
        {
            throw new DeviceNotAvailableException(
                $"CUDA device {Device.Ordinal}, {Device.Name}, cannot be used any more by this process, since an earlier call failed: {cause.Message} Restart the process.",
                cause);
        }

        Driver.MakeCurrent(Context);
    }

    /// <summary>Notes whether a driver call's failure has made the context useless.</summary>
    public void NoteFailure(CudaException e)
    {
        if (e.IsContextLost)
        {
            Interlocked.CompareExchange(ref _lost, e, null);
        }
    }

    /// <summary>The function of a launch, loaded and allowed its shared memory.</summary>
    public CudaFunction Function(KernelLaunch launch)
    {
        string name = launch.Kernel.Name;
        lock (_lock)
        {
            if (!_functions.TryGetValue(name, out (CudaModule Module, CudaFunction Function, int SharedBytes) loaded))
            {
                CudaModule module = Driver.LoadModule(Context, name, _library.Ptx(name, Target));
                try
                {
                    loaded = (module, Driver.GetFunction(module, name), OrdinarySharedBytes);
                }
                catch
                {
                    module.Dispose();
                    throw;
                }

                _functions.Add(name, loaded);
            }

            if (launch.SharedBytes > loaded.SharedBytes)
            {
                if (launch.SharedBytes > Device.MaxSharedMemoryPerBlock)
                {
                    throw new DeviceNotAvailableException(
                        $"kernel {name} needs {launch.SharedBytes} bytes of shared memory; CUDA device {Device.Ordinal}, {Device.Name}, has {Device.MaxSharedMemoryPerBlock}");
                }

                Driver.AllowDynamicSharedMemory(loaded.Function, launch.SharedBytes);
                loaded.SharedBytes = launch.SharedBytes;
                _functions[name] = loaded;
            }

            return loaded.Function;
        }
    }

    /// <summary>Unloads the kernels and gives the context back.</summary>
    public void Dispose()
    {
        foreach ((CudaModule module, _, _) in _functions.Values)
        {
            module.Dispose();
        }

        Context.Dispose();
    }
}
