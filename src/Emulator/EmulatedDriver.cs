using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>
/// A CUDA driver without a GPU: one device, whose kernels are interpreted (<see cref="EmulatorOptions"/> says how). It fails as NVIDIA's driver does, with
/// its codes, and is stricter where that leaves mistakes to chance. Thread-safe; one thread at a time does the device's work.
/// </summary>
/// <remarks>
/// <para>
/// Work is done as late as CUDA's rules allow: when a stream or event is synchronised, a copy to pageable memory is asked for or memory is freed, and then
/// only what that has to wait for. Of a graph, what was recorded last is done first wherever its dependencies allow. This is on purpose: a missing
/// synchronisation, or a missing wait between streams, shows as wrong data every time instead of now and then. A copy from pinned memory reads it when it is
/// done; a copy from pageable memory has read it when the call returns.
/// </para>
/// <para>
/// A kernel's fault, and any other finding, is reported by the call that waits for the kernel and by every later one
/// (<see cref="CudaException.IsContextLost"/>), with the finding's text; see <see cref="Findings"/>.
/// </para>
/// </remarks>
public partial class EmulatedDriver : ICudaDriver
{
    private static long _lastHandle = 0x1000;

    [ThreadStatic]
    private static EmulatedDriver? _current;

    private readonly Lock _lock = new();
    private readonly EmulatedTarget _target;
    private readonly EmulatedDevice _device;
    private readonly Dictionary<nint, object> _objects = [];
    private readonly Dictionary<nint, long> _pinned = [];
    private readonly HashSet<CaptureSequence> _captures = [];
    private readonly nint _context = NewHandle();
    private int _references;
    private int _allocations;

    /// <summary>Starts a driver with one device.</summary>
    /// <param name="options">The device, and how kernels are run.</param>
    /// <exception cref="ArgumentException">The architecture cannot be emulated.</exception>
    public EmulatedDriver(EmulatorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _target = EmulatedTarget.Find(options.Architecture);
        _device = new(options, new GlobalMemory(options.MemoryBytes, options.Checks.HasFlag(EmulatorChecks.Initialisation)));
        string name = $"KernelAD emulator ({_target.Name}, {options.Multiprocessors} SMs)";
        Devices = [new(0, name, _target.Major, _target.Minor, options.Multiprocessors, options.MemoryBytes, _target.MaxSharedMemoryPerBlock)];
    }

    /// <summary>The architectures that can be emulated, for messages.</summary>
    public static string Architectures => EmulatedTarget.Names;

    /// <summary>The CUDA version whose driver takes PTX of every version that the emulator takes.</summary>
    public Version Version { get; } = new(13, 0);

    /// <inheritdoc/>
    public IReadOnlyList<CudaDevice> Devices { get; }

    /// <summary>What was wrong with the kernels that were run.</summary>
    public IReadOnlyList<Finding> Findings
    {
        get
        {
            lock (_lock)
            {
                return [.. _device.Findings];
            }
        }
    }

    /// <summary>The kernels that were run since <see cref="ClearLaunches"/>, in their order; kept only with <see cref="EmulatorOptions.Count"/>.</summary>
    public IReadOnlyList<LaunchRecord> Launches
    {
        get
        {
            lock (_lock)
            {
                return [.. _device.Launches];
            }
        }
    }

    /// <summary>How many objects are alive: references to the context, allocations, streams, events, modules and graphs.</summary>
    public int LiveObjects
    {
        get
        {
            lock (_lock)
            {
                return _references + _allocations + _pinned.Count + _objects.Values.Count(live => live is not EmulatedFunction);
            }
        }
    }

    /// <summary>Device memory that is allocated, in bytes.</summary>
    public long DeviceBytes
    {
        get
        {
            lock (_lock)
            {
                return _device.Memory.BytesInUse;
            }
        }
    }

    /// <summary>Pinned host memory that is allocated, in bytes.</summary>
    public long PinnedBytes
    {
        get
        {
            lock (_lock)
            {
                return _pinned.Values.Sum();
            }
        }
    }

    /// <summary>Forgets the kernels that were run so far.</summary>
    public void ClearLaunches()
    {
        lock (_lock)
        {
            _device.Launches.Clear();
        }
    }

    /// <inheritdoc/>
    public CudaContext RetainPrimaryContext(int device)
    {
        if (device != 0)
        {
            throw new CudaNotAvailableException($"There is no CUDA device {device}: the emulator has one, number 0.");
        }

        lock (_lock)
        {
            ThrowIfLost("cuDevicePrimaryCtxRetain");
            _references++;
            _current = this;
            return new CudaContext(this, device, _context);
        }
    }

    /// <inheritdoc/>
    public void MakeCurrent(CudaContext context)
    {
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, "cuCtxSetCurrent");
        }
    }

    /// <inheritdoc/>
    public bool ReleasePrimaryContext(int device)
    {
        lock (_lock)
        {
            if (device != 0 || _references == 0)
            {
                return false;
            }

            _references--;
            if (_references == 0)
            {
                Reset();
            }

            return true;
        }
    }

    private static nint NewHandle() => (nint)Interlocked.Add(ref _lastHandle, 0x10);

    private static CudaException Failure(string call, int code, string advice) => new(DriverResult.Error(call, code), advice);

    /// <summary>Begins a call that makes its context current.</summary>
    private void Enter(in HandleLease context, string call)
    {
        if (context.Value != _context)
        {
            throw Failure(call, DriverResult.InvalidContext, "The context belongs to another driver.");
        }

        ThrowIfLost(call);
        _current = this;
    }

    /// <summary>Begins a call that needs its context to be current.</summary>
    private void Enter(string call)
    {
        if (_current != this || _references == 0)
        {
            throw Failure(call, DriverResult.InvalidContext, "No living context is current on this thread: MakeCurrent comes first.");
        }

        ThrowIfLost(call);
    }

    private void ThrowIfLost(string call)
    {
        if (_device.Fault is DeviceFault fault)
        {
            throw Failure(call, fault.Code, $"Earlier work failed, which this call reports; restart the process to use the device. {fault.Message}");
        }
    }

    private nint Add(object made)
    {
        nint handle = NewHandle();
        _objects.Add(handle, made);
        return handle;
    }

    private T Find<T>(nint handle, string call)
        where T : class =>
        _objects.TryGetValue(handle, out object? found) && found is T wanted ? wanted
            : throw Failure(call, DriverResult.InvalidHandle, "It was made by another driver, or is destroyed.");

    private bool Remove<T>(nint handle)
        where T : class =>
        _objects.TryGetValue(handle, out object? found) && found is T && _objects.Remove(handle);

    private void Reset()
    {
        foreach (nint address in _pinned.Keys)
        {
            Free(address);
        }

        _pinned.Clear();
        _objects.Clear();
        _captures.Clear();
        _allocations = 0;
        _device.Reset();
    }
}
