using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Engine.Tests.Backends.Cuda;

/// <summary>
/// A driver that does no work: it hands out addresses, keeps account of what lives, checks the order of calls, and lets one of them fail.
/// </summary>
internal sealed unsafe class FakeCudaDriver : ICudaDriver
{
    private readonly HashSet<(string Kind, nint Handle)> _live = [];
    private readonly Lock _lock = new();
    private nint _next = 0x1000;
    private bool _current;
    private CudaStream? _capturing;

    public FakeCudaDriver(int major = 8, int minor = 0, int multiprocessors = 16, int devices = 1)
    {
        Devices = [.. Enumerable.Range(0, devices).Select(i =>
            new CudaDevice(i, "Fake GPU", major, minor, multiprocessors, 8L << 30, major == 7 ? 64 * 1024 : 163 * 1024))];
    }

    public Version Version { get; } = new(12, 4);

    public IReadOnlyList<CudaDevice> Devices { get; }

    /// <summary>Calls so far, those that destroy left out.</summary>
    public int Calls { get; private set; }

    /// <summary>The call that fails, counted from 1; 0: none.</summary>
    public int FailAt { get; set; }

    /// <summary>With what.</summary>
    public int FailCode { get; set; } = CudaResult.InvalidValue;

    /// <summary>Whether all calls fail after the one that did, as in a context that is lost.</summary>
    public bool Lost { get; private set; }

    /// <summary>Free memory that the device pretends to have.</summary>
    public long FreeMemory { get; set; } = 8L << 30;

    public int Live => _live.Count;

    public int LiveOf(string kind) => _live.Count(l => l.Kind == kind);

    public Dictionary<string, int> Counts { get; } = new(StringComparer.Ordinal)
    {
        // Present from the start: counting must not allocate.
        [nameof(Launch)] = 0,
        [nameof(Synchronize)] = 0,
        ["LaunchGraph"] = 0,
        [nameof(BeginCapture)] = 0,
        [nameof(LoadModule)] = 0,
        [nameof(AllocateDevice)] = 0,
    };

    /// <summary>Kernels launched or captured, in order.</summary>
    public List<string> Launched { get; } = [];

    public CudaContext RetainPrimaryContext(int device)
    {
        Call(nameof(RetainPrimaryContext), needsContext: false);
        _current = true;
        return new CudaContext(this, device, Create("context"));
    }

    public void MakeCurrent(CudaContext context)
    {
        Call(nameof(MakeCurrent), needsContext: false);
        _current = true;
    }

    public CudaMemoryInfo MemoryInfo()
    {
        Call(nameof(MemoryInfo));
        return new CudaMemoryInfo(FreeMemory, 8L << 30);
    }

    public DeviceMemory AllocateDevice(CudaContext context, long length)
    {
        Call(nameof(AllocateDevice));
        if (length > FreeMemory)
        {
            throw new CudaOutOfMemoryException(new CudaError("cuMemAlloc_v2", CudaResult.OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"), requested: length);
        }

        lock (_lock)
        {
            nint address = _next = (_next + 255) / 256 * 256;
            _next += (nint)length;
            _live.Add(("memory", address));
            return new DeviceMemory(this, context, address, length);
        }
    }

    public PinnedMemory AllocatePinned(CudaContext context, int length)
    {
        Call(nameof(AllocatePinned));
        nint address = (nint)NativeMemory.AlignedAlloc((nuint)length, 64);
        new Span<byte>((void*)address, length).Fill(0xFF);
        lock (_lock)
        {
            _live.Add(("pinned", address));
        }

        return new PinnedMemory(this, context, address, length);
    }

    public void CopyToDevice(DeviceAddress destination, nint source, long length, CudaStream stream) => Call(nameof(CopyToDevice));

    public void CopyToHost(nint destination, DeviceAddress source, long length, CudaStream stream)
    {
        Call(nameof(CopyToHost));
        new Span<byte>((void*)destination, (int)length).Clear();
    }

    public void CopyOnDevice(DeviceAddress destination, DeviceAddress source, long length, CudaStream stream) => Call(nameof(CopyOnDevice));

    public void Fill(DeviceAddress destination, byte value, long length, CudaStream stream) => Call(nameof(Fill));

    public CudaStream CreateStream(CudaContext context)
    {
        Call(nameof(CreateStream));
        return new CudaStream(this, context, Create("stream"));
    }

    public void Synchronize(CudaStream stream)
    {
        Call(nameof(Synchronize));
        Require(_capturing is null, "a capture must not be synchronised");
    }

    public void Wait(CudaStream stream, CudaEvent awaited) => Call(nameof(Wait));

    public CudaEvent CreateEvent(CudaContext context, bool timing)
    {
        Call(nameof(CreateEvent));
        return new CudaEvent(this, context, Create("event"));
    }

    public void Record(CudaEvent mark, CudaStream stream) => Call(nameof(Record));

    public void Synchronize(CudaEvent mark) => Call(nameof(Synchronize));

    public float ElapsedMilliseconds(CudaEvent start, CudaEvent end)
    {
        Call(nameof(ElapsedMilliseconds));
        return 1;
    }

    public CudaModule LoadModule(CudaContext context, string name, string ptx)
    {
        Call(nameof(LoadModule));
        Require(_capturing is null, "modules are loaded before a capture");
        Assert.That(ptx, Does.Contain($".entry {name}"));
        return new CudaModule(this, context, Create("module"), name, "");
    }

    public CudaFunction GetFunction(CudaModule module, string entry)
    {
        Call(nameof(GetFunction));
        return new CudaFunction(module, Create("function"), entry);
    }

    public CudaFunctionInfo FunctionInfo(CudaFunction function)
    {
        Call(nameof(FunctionInfo));
        return new CudaFunctionInfo(32, 0, 0, 1024);
    }

    public void AllowDynamicSharedMemory(CudaFunction function, int length)
    {
        Call(nameof(AllowDynamicSharedMemory));
        Assert.That(length, Is.LessThanOrEqualTo(Devices[0].MaxSharedMemoryPerBlock));
    }

    public void Launch(CudaFunction function, LaunchSize grid, LaunchSize block, int sharedMemory, CudaStream stream, ReadOnlySpan<nint> parameters)
    {
        Call(nameof(Launch));
        Launched.Add(function.Name);
    }

    public void BeginCapture(CudaStream stream)
    {
        Call(nameof(BeginCapture));
        _capturing = stream;
    }

    public CudaGraph EndCapture(CudaStream stream)
    {
        _capturing = null;
        Call(nameof(EndCapture));
        return new CudaGraph(this, stream.Context!, Create("graph"));
    }

    public CudaGraphExecutable Instantiate(CudaGraph graph)
    {
        Call(nameof(Instantiate));
        return new CudaGraphExecutable(this, graph.Context!, Create("executable"));
    }

    public void Launch(CudaGraphExecutable graph, CudaStream stream) => Call("LaunchGraph");

    public bool ReleasePrimaryContext(int device) => Remove("context", null);

    public bool FreeDevice(nint context, DeviceAddress address) => Remove("memory", (nint)address.Value);

    public bool FreePinned(nint context, nint address)
    {
        bool known = Remove("pinned", address);
        NativeMemory.AlignedFree((void*)address);
        return known;
    }

    public bool DestroyStream(nint context, nint stream) => Remove("stream", stream);

    public bool DestroyEvent(nint context, nint mark) => Remove("event", mark);

    public bool UnloadModule(nint context, nint module) => Remove("module", module);

    public bool DestroyGraph(nint context, nint graph) => Remove("graph", graph);

    public bool DestroyGraphExecutable(nint context, nint graph) => Remove("executable", graph);

    private void Call(string name, bool needsContext = true)
    {
        Calls++;
        CollectionsMarshal.GetValueRefOrAddDefault(Counts, name, out _)++;
        Require(!needsContext || _current, "the context is not current");
        if (Calls == FailAt || Lost)
        {
            Lost |= CudaResult.LosesContext(FailCode);
            CudaError error = new(name, FailCode, $"CODE_{FailCode}", "made up");
            throw FailCode == CudaResult.OutOfMemory ? new CudaOutOfMemoryException(error) : new CudaException(error);
        }
    }

    /// <summary>An assertion that allocates nothing as long as it holds.</summary>
    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            Assert.Fail(what);
        }
    }

    private nint Create(string kind)
    {
        lock (_lock)
        {
            nint handle = _next++;
            if (kind != "function")
            {
                _live.Add((kind, handle));
            }

            return handle;
        }
    }

    private bool Remove(string kind, nint? handle)
    {
        lock (_lock)
        {
            return handle is nint known ? _live.Remove((kind, known)) : _live.Remove(_live.First(l => l.Kind == kind));
        }
    }
}
