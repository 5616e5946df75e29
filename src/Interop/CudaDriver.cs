using System.Text;

namespace KernelAD.Interop;

/// <summary>NVIDIA's driver.</summary>
public sealed unsafe class CudaDriver : ICudaDriver
{
    // Values of cuda.h.
    private const int MultiprocessorCount = 16;
    private const int ComputeCapabilityMajor = 75;
    private const int ComputeCapabilityMinor = 76;
    private const int MaxRegistersPerMultiprocessor = 82;
    private const int MaxSharedMemoryPerBlockOptin = 97;
    private const int JitInfoLogBuffer = 3;
    private const int JitInfoLogBufferSize = 4;
    private const int JitErrorLogBuffer = 5;
    private const int JitErrorLogBufferSize = 6;
    private const int FunctionMaxThreadsPerBlock = 0;
    private const int FunctionSharedMemory = 1;
    private const int FunctionLocalMemory = 3;
    private const int FunctionRegisters = 4;
    private const int FunctionMaxDynamicSharedMemory = 8;
    private const uint StreamNonBlocking = 1;
    private const uint EventDisableTiming = 2;
    private const int CaptureThreadLocal = 1;

    private const int LogBytes = 16 * 1024;
    private const int NameBytes = 256;

    private readonly LibCuda _cuda;
    private readonly int[] _natives;

    private CudaDriver(LibCuda cuda)
    {
        _cuda = cuda;
        int code = cuda.cuInit(0);
        if (code != CudaResult.Success)
        {
            throw cuda.Unavailable(nameof(cuda.cuInit), code);
        }

        int count;
        Check(cuda.cuDeviceGetCount(&count), nameof(cuda.cuDeviceGetCount));
        if (count < 1)
        {
            throw new CudaNotAvailableException(
                "The NVIDIA driver has no device: check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES does not hide it.");
        }

        _natives = new int[count];
        for (int i = 0; i < count; i++)
        {
            int native;
            Check(cuda.cuDeviceGet(&native, i), nameof(cuda.cuDeviceGet));
            _natives[i] = native;
        }

        Devices = [.. _natives.Select((native, ordinal) => Describe(ordinal, native))];
    }

    /// <summary>The least CUDA version that a driver has to support: the first that compiles PTX ISA 7.0 and knows sm_80.</summary>
    public static Version MinimumVersion { get; } = new(11, 0);

    /// <inheritdoc/>
    public Version Version => _cuda.Version;

    /// <inheritdoc/>
    public IReadOnlyList<CudaDevice> Devices { get; }

    /// <summary>
    /// Loads and starts the driver: the library that the environment variable KERNELAD_LIBCUDA names, or else the system's.
    /// </summary>
    /// <exception cref="CudaNotAvailableException">There is no driver, no device, or the driver is too old.</exception>
    public static CudaDriver Load() => Load(CudaLibrary.Candidates);

    /// <summary>Like <see cref="Load()"/>, with other places to look in.</summary>
    internal static CudaDriver Load(IReadOnlyList<string> candidates) => new(CudaLibrary.Open(candidates));

    /// <inheritdoc/>
    public CudaContext RetainPrimaryContext(int device)
    {
        if (device < 0 || device >= Devices.Count)
        {
            throw new CudaNotAvailableException($"There is no CUDA device {device}: the driver has {Devices.Count}, numbered from 0.");
        }

        nint context;
        Check(_cuda.cuDevicePrimaryCtxRetain(&context, _natives[device]), nameof(_cuda.cuDevicePrimaryCtxRetain));
        CudaContext owner = new(this, device, context);
        try
        {
            MakeCurrent(owner);
            return owner;
        }
        catch
        {
            owner.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void MakeCurrent(CudaContext context)
    {
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
    }

    /// <inheritdoc/>
    public CudaMemoryInfo MemoryInfo()
    {
        nuint free, total;
        Check(_cuda.cuMemGetInfo_v2(&free, &total), nameof(_cuda.cuMemGetInfo_v2));
        return new CudaMemoryInfo((long)free, (long)total);
    }

    /// <inheritdoc/>
    public DeviceMemory AllocateDevice(CudaContext context, long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
        ulong address;
        int code = _cuda.cuMemAlloc_v2(&address, (nuint)length);
        if (code != CudaResult.Success)
        {
            throw AllocationFailure(code, nameof(_cuda.cuMemAlloc_v2), context.Device, length);
        }

        return new DeviceMemory(this, context, (nint)address, length);
    }

    /// <inheritdoc/>
    public PinnedMemory AllocatePinned(CudaContext context, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
        nint address;
        int code = _cuda.cuMemHostAlloc(&address, (nuint)length, 0);
        if (code != CudaResult.Success)
        {
            string advice = $"{length} bytes of pinned host memory were asked for.";
            throw code == CudaResult.OutOfMemory
                ? new CudaOutOfMemoryException(_cuda.Error(nameof(_cuda.cuMemHostAlloc), code), advice, length)
                : Failure(code, nameof(_cuda.cuMemHostAlloc), advice);
        }

        return new PinnedMemory(this, context, address, length);
    }

    /// <inheritdoc/>
    public void CopyToDevice(DeviceAddress destination, nint source, long length, CudaStream stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        Check(_cuda.cuMemcpyHtoDAsync_v2(destination.Value, source, (nuint)length, lease.Value), nameof(_cuda.cuMemcpyHtoDAsync_v2));
    }

    /// <inheritdoc/>
    public void CopyToHost(nint destination, DeviceAddress source, long length, CudaStream stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        Check(_cuda.cuMemcpyDtoHAsync_v2(destination, source.Value, (nuint)length, lease.Value), nameof(_cuda.cuMemcpyDtoHAsync_v2));
    }

    /// <inheritdoc/>
    public void CopyOnDevice(DeviceAddress destination, DeviceAddress source, long length, CudaStream stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        Check(_cuda.cuMemcpyDtoDAsync_v2(destination.Value, source.Value, (nuint)length, lease.Value), nameof(_cuda.cuMemcpyDtoDAsync_v2));
    }

    /// <inheritdoc/>
    public void Fill(DeviceAddress destination, byte value, long length, CudaStream stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        Check(_cuda.cuMemsetD8Async(destination.Value, value, (nuint)length, lease.Value), nameof(_cuda.cuMemsetD8Async));
    }

    /// <inheritdoc/>
    public CudaStream CreateStream(CudaContext context)
    {
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
        nint stream;
        Check(_cuda.cuStreamCreate(&stream, StreamNonBlocking), nameof(_cuda.cuStreamCreate));
        return new CudaStream(this, context, stream);
    }

    /// <inheritdoc/>
    public void Synchronize(CudaStream stream)
    {
        using HandleLease lease = new(stream);
        Check(_cuda.cuStreamSynchronize(lease.Value), nameof(_cuda.cuStreamSynchronize));
    }

    /// <inheritdoc/>
    public void Wait(CudaStream stream, CudaEvent awaited)
    {
        using HandleLease queue = new(stream);
        using HandleLease mark = new(awaited);
        Check(_cuda.cuStreamWaitEvent(queue.Value, mark.Value, 0), nameof(_cuda.cuStreamWaitEvent));
    }

    /// <inheritdoc/>
    public CudaEvent CreateEvent(CudaContext context, bool timing)
    {
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
        nint mark;
        Check(_cuda.cuEventCreate(&mark, timing ? 0 : EventDisableTiming), nameof(_cuda.cuEventCreate));
        return new CudaEvent(this, context, mark);
    }

    /// <inheritdoc/>
    public void Record(CudaEvent mark, CudaStream stream)
    {
        using HandleLease recorded = new(mark);
        using HandleLease queue = new(stream);
        Check(_cuda.cuEventRecord(recorded.Value, queue.Value), nameof(_cuda.cuEventRecord));
    }

    /// <inheritdoc/>
    public void Synchronize(CudaEvent mark)
    {
        using HandleLease lease = new(mark);
        Check(_cuda.cuEventSynchronize(lease.Value), nameof(_cuda.cuEventSynchronize));
    }

    /// <inheritdoc/>
    public float ElapsedMilliseconds(CudaEvent start, CudaEvent end)
    {
        using HandleLease from = new(start);
        using HandleLease to = new(end);
        float milliseconds;
        Check(_cuda.cuEventElapsedTime(&milliseconds, from.Value, to.Value), nameof(_cuda.cuEventElapsedTime));
        return milliseconds;
    }

    /// <inheritdoc/>
    public CudaModule LoadModule(CudaContext context, string name, string ptx)
    {
        ArgumentNullException.ThrowIfNull(ptx);
        using HandleLease lease = new(context);
        MakeCurrent(lease.Value);
        byte[] image = ZeroTerminated(ptx);
        byte[] infoLog = new byte[LogBytes];
        byte[] errorLog = new byte[LogBytes];
        nint module;
        int code;
        fixed (byte* text = image, info = infoLog, error = errorLog)
        {
            // The driver takes sizes by value in the place of a pointer.
            int* options = stackalloc int[] { JitInfoLogBuffer, JitInfoLogBufferSize, JitErrorLogBuffer, JitErrorLogBufferSize };
            nint* values = stackalloc nint[] { (nint)info, LogBytes, (nint)error, LogBytes };
            code = _cuda.cuModuleLoadDataEx(&module, text, 4, options, values);
        }

        string log = Text(infoLog);
        if (code is not (CudaResult.Success or CudaResult.OutOfMemory))
        {
            string errors = Text(errorLog);
            throw new CudaModuleException(name, _cuda.Error(nameof(_cuda.cuModuleLoadDataEx), code), errors.Length > 0 ? errors : log, $"{Name(context.Device)} with a driver for CUDA {Version}");
        }

        Check(code, nameof(_cuda.cuModuleLoadDataEx), $"It was module '{name}'.");
        return new CudaModule(this, context, module, name, log);
    }

    /// <inheritdoc/>
    public CudaFunction GetFunction(CudaModule module, string entry)
    {
        using HandleLease lease = new(module);
        nint function;
        fixed (byte* text = ZeroTerminated(entry))
        {
            Check(_cuda.cuModuleGetFunction(&function, lease.Value, text), nameof(_cuda.cuModuleGetFunction), $"It was '{entry}' in module '{module.Name}'.");
        }

        return new CudaFunction(module, function, entry);
    }

    /// <inheritdoc/>
    public CudaFunctionInfo FunctionInfo(CudaFunction function)
    {
        using HandleLease lease = new(function.Module);
        return new CudaFunctionInfo(
            FunctionAttribute(function, FunctionRegisters), FunctionAttribute(function, FunctionSharedMemory), FunctionAttribute(function, FunctionLocalMemory),
            FunctionAttribute(function, FunctionMaxThreadsPerBlock));
    }

    /// <inheritdoc/>
    public void AllowDynamicSharedMemory(CudaFunction function, int length)
    {
        using HandleLease lease = new(function.Module);
        Check(
            _cuda.cuFuncSetAttribute(function.Handle, FunctionMaxDynamicSharedMemory, length), nameof(_cuda.cuFuncSetAttribute),
            $"{length} bytes of shared memory were asked for by kernel '{function.Name}'.");
    }

    /// <inheritdoc/>
    public void Launch(CudaFunction function, LaunchSize grid, LaunchSize block, int sharedMemory, CudaStream stream, ReadOnlySpan<nint> parameters)
    {
        using HandleLease module = new(function.Module);
        using HandleLease queue = new(stream);
        int code;
        fixed (nint* addresses = parameters)
        {
            code = _cuda.cuLaunchKernel(
                function.Handle, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y, (uint)block.Z, (uint)sharedMemory, queue.Value, addresses, null);
        }

        // A message is only made for a failure: launches are many.
        if (code != CudaResult.Success)
        {
            throw Failure(code, nameof(_cuda.cuLaunchKernel), $"It was kernel '{function.Name}', grid {grid}, block {block}, {sharedMemory} bytes of shared memory.");
        }
    }

    /// <inheritdoc/>
    public void BeginCapture(CudaStream stream)
    {
        using HandleLease lease = new(stream);
        Check(_cuda.cuStreamBeginCapture_v2(lease.Value, CaptureThreadLocal), nameof(_cuda.cuStreamBeginCapture_v2));
    }

    /// <inheritdoc/>
    public CudaGraph EndCapture(CudaStream stream)
    {
        using HandleLease lease = new(stream);
        nint graph;
        Check(_cuda.cuStreamEndCapture(lease.Value, &graph), nameof(_cuda.cuStreamEndCapture));
        return new CudaGraph(this, stream.Context!, graph);
    }

    /// <inheritdoc/>
    public CudaGraphExecutable Instantiate(CudaGraph graph)
    {
        using HandleLease lease = new(graph);
        MakeCurrent(graph.Context!.DangerousGetHandle());
        nint executable;
        Check(_cuda.cuGraphInstantiate_v2(&executable, lease.Value, null, null, 0), nameof(_cuda.cuGraphInstantiate_v2));
        return new CudaGraphExecutable(this, graph.Context!, executable);
    }

    /// <inheritdoc/>
    public void Launch(CudaGraphExecutable graph, CudaStream stream)
    {
        using HandleLease recorded = new(graph);
        using HandleLease queue = new(stream);
        Check(_cuda.cuGraphLaunch(recorded.Value, queue.Value), nameof(_cuda.cuGraphLaunch));
    }

    /// <inheritdoc/>
    public bool ReleasePrimaryContext(int device) => _cuda.cuDevicePrimaryCtxRelease_v2(_natives[device]) == CudaResult.Success;

    /// <inheritdoc/>
    public bool FreeDevice(nint context, DeviceAddress address)
    {
        using ContextScope scope = new(_cuda, context);
        return _cuda.cuMemFree_v2(address.Value) == CudaResult.Success;
    }

    /// <inheritdoc/>
    public bool FreePinned(nint context, nint address) => Destroy(context, _cuda.cuMemFreeHost, address);

    /// <inheritdoc/>
    public bool DestroyStream(nint context, nint stream) => Destroy(context, _cuda.cuStreamDestroy_v2, stream);

    /// <inheritdoc/>
    public bool DestroyEvent(nint context, nint mark) => Destroy(context, _cuda.cuEventDestroy_v2, mark);

    /// <inheritdoc/>
    public bool UnloadModule(nint context, nint module) => Destroy(context, _cuda.cuModuleUnload, module);

    /// <inheritdoc/>
    public bool DestroyGraph(nint context, nint graph) => Destroy(context, _cuda.cuGraphDestroy, graph);

    /// <inheritdoc/>
    public bool DestroyGraphExecutable(nint context, nint graph) => Destroy(context, _cuda.cuGraphExecDestroy, graph);

    private static byte[] ZeroTerminated(string text) => Encoding.UTF8.GetBytes(text + '\0');

    private static string Text(ReadOnlySpan<byte> zeroTerminated)
    {
        int end = zeroTerminated.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? zeroTerminated : zeroTerminated[..end]).Trim();
    }

    private bool Destroy(nint context, delegate* unmanaged<nint, int> destroy, nint handle)
    {
        using ContextScope scope = new(_cuda, context);
        return destroy(handle) == CudaResult.Success;
    }

    private void MakeCurrent(nint context) => Check(_cuda.cuCtxSetCurrent(context), nameof(_cuda.cuCtxSetCurrent));

    private string Name(int device) => $"{Devices[device].Name} ({Devices[device].Architecture})";

    private CudaDevice Describe(int ordinal, int device)
    {
        byte* name = stackalloc byte[NameBytes];
        nuint memory;
        Check(_cuda.cuDeviceGetName(name, NameBytes, device), nameof(_cuda.cuDeviceGetName));
        Check(_cuda.cuDeviceTotalMem_v2(&memory, device), nameof(_cuda.cuDeviceTotalMem_v2));
        return new CudaDevice(
            ordinal, Text(new ReadOnlySpan<byte>(name, NameBytes)), Attribute(device, ComputeCapabilityMajor), Attribute(device, ComputeCapabilityMinor),
            Attribute(device, MultiprocessorCount), (long)memory, Attribute(device, MaxSharedMemoryPerBlockOptin),
            Attribute(device, MaxRegistersPerMultiprocessor));
    }

    private int Attribute(int device, int attribute)
    {
        int value;
        Check(_cuda.cuDeviceGetAttribute(&value, attribute, device), nameof(_cuda.cuDeviceGetAttribute));
        return value;
    }

    private int FunctionAttribute(CudaFunction function, int attribute)
    {
        int value;
        Check(_cuda.cuFuncGetAttribute(&value, attribute, function.Handle), nameof(_cuda.cuFuncGetAttribute), $"It was kernel '{function.Name}'.");
        return value;
    }

    private void Check(int code, string call, string? advice = null)
    {
        if (code != CudaResult.Success)
        {
            throw Failure(code, call, advice);
        }
    }

    private CudaException Failure(int code, string call, string? advice)
    {
        CudaError error = _cuda.Error(call, code);
        return code == CudaResult.OutOfMemory ? new CudaOutOfMemoryException(error, advice)
            : CudaResult.LosesContext(code) ? new CudaException(error, "An earlier kernel failed, which this call reports: the process has to be restarted to use the device.")
            : new CudaException(error, advice);
    }

    private CudaException AllocationFailure(int code, string call, int device, long length)
    {
        string advice = $"{length} bytes were asked for on device {device}, {Name(device)}.";
        if (code != CudaResult.OutOfMemory)
        {
            return Failure(code, call, advice);
        }

        nuint free, total;
        CudaMemoryInfo? memory = _cuda.cuMemGetInfo_v2(&free, &total) == CudaResult.Success ? new CudaMemoryInfo((long)free, (long)total) : null;
        string state = memory is CudaMemoryInfo found ? $" Of its {found.Total} bytes {found.Free} are free: use a smaller batch, or free memory that other processes hold." : "";
        return new CudaOutOfMemoryException(_cuda.Error(call, code), advice + state, length, memory);
    }
}
