using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// A device to run kernels on (<see cref="TestDevice"/> says which). Each array is an allocation of its own, so that the emulator finds the first byte
/// read or written beside it; results start as NaN. All of the emulator's checks are on unless a test asks for less.
/// </summary>
internal sealed unsafe class DeviceBench : IDisposable
{
    private readonly ICudaDriver _driver;
    private readonly string _architecture;
    private readonly CudaContext _context;
    private readonly CudaStream _stream;
    private readonly Dictionary<string, (CudaModule Module, CudaFunction Function)> _kernels = [];
    private readonly List<DeviceMemory> _memory = [];

    /// <param name="architecture">sm_75 … sm_90.</param>
    /// <param name="checks">What is checked besides memory accesses.</param>
    public DeviceBench(string architecture = "sm_80", EmulatorChecks checks = EmulatorChecks.All)
    {
        _driver = TestDevice.Driver(architecture, checks);
        _architecture = architecture;
        _context = _driver.RetainPrimaryContext(TestDevice.Ordinal);
        _stream = _driver.CreateStream(_context);
    }

    /// <summary>How many blocks of a size cover a number of items.</summary>
    public static int Blocks(int items, int size) => (items + size - 1) / size;

    /// <summary>Places values on the device in a storage type; rounded to it where it is narrower.</summary>
    public DeviceArray Place(ReadOnlySpan<float> values, StorageType type = StorageType.Float)
    {
        byte[] bytes = new byte[values.Length * DeviceArray.ElementBytes(type)];
        for (int i = 0; i < values.Length; i++)
        {
            if (type == StorageType.Half)
            {
                MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())[i] = (Half)values[i];
            }
            else
            {
                MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[i] = type == StorageType.Tf32 ? Rounding.ToTf32(values[i]) : values[i];
            }
        }

        return Place(bytes, type);
    }

    /// <summary>Places 32-bit integers on the device.</summary>
    public DeviceArray Place(ReadOnlySpan<int> values) => Place(MemoryMarshal.AsBytes(values), StorageType.Float);

    /// <summary>Makes room for a result, full of NaN.</summary>
    public DeviceArray Poisoned(int count, StorageType type = StorageType.Float)
    {
        DeviceArray array = new(Allocate(count * DeviceArray.ElementBytes(type)), count, type);
        _driver.Fill(array.Memory.Address, 0xFF, array.Memory.Length, _stream);
        return array;
    }

    /// <summary>Makes room for a result that nobody has written yet: reading it is a fault.</summary>
    public DeviceArray Unwritten(int count, StorageType type = StorageType.Float) => new(Allocate(count * DeviceArray.ElementBytes(type)), count, type);

    /// <summary>Loads a kernel from another text than the one that ships; before it runs.</summary>
    /// <param name="kernel">The entry's name.</param>
    /// <param name="ptx">The text.</param>
    /// <returns>The module and the entry.</returns>
    public (CudaModule Module, CudaFunction Function) Load(string kernel, string ptx)
    {
        CudaModule module = _driver.LoadModule(_context, kernel, ptx);
        (CudaModule Module, CudaFunction Function) loaded = (module, _driver.GetFunction(module, kernel));
        _kernels.Add(kernel, loaded);
        return loaded;
    }

    /// <summary>Runs a kernel and waits for it.</summary>
    /// <param name="kernel">The entry's name.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="arguments">Its argument structure.</param>
    /// <param name="sharedBytes">Dynamic shared memory where the definition leaves it to the launch.</param>
    public void Run<T>(string kernel, LaunchSize grid, T arguments, int? sharedBytes = null)
        where T : unmanaged
    {
        if (!_kernels.TryGetValue(kernel, out (CudaModule Module, CudaFunction Function) loaded))
        {
            loaded = Load(kernel, KernelText.Of(kernel, KernelText.Target(_architecture)));
        }

        int bytes = sharedBytes ?? KernelText.Definition(kernel).SharedBytes;
        if (bytes > 48 * 1024)
        {
            _driver.AllowDynamicSharedMemory(loaded.Function, bytes);
        }

        _driver.Launch(loaded.Function, grid, new LaunchSize(KernelText.Definition(kernel).Threads), bytes, _stream, [(nint)Unsafe.AsPointer(ref arguments)]);
        _driver.Synchronize(_stream);
    }

    /// <summary>Runs a kernel and tells what it did. Only the emulator can tell: elsewhere the test ends here, skipped.</summary>
    /// <param name="kernel">The entry's name.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="arguments">Its argument structure.</param>
    /// <param name="sharedBytes">Dynamic shared memory where the definition leaves it to the launch.</param>
    public LaunchCounters Count<T>(string kernel, LaunchSize grid, T arguments, int? sharedBytes = null)
        where T : unmanaged
    {
        Run(kernel, grid, arguments, sharedBytes);
        return Counters;
    }

    /// <summary>What the last kernel did. Only the emulator can tell: elsewhere a test that asks ends there, skipped.</summary>
    public LaunchCounters Counters
    {
        get
        {
            if (_driver is EmulatedDriver emulated)
            {
                return emulated.Launches[^1].Counters;
            }

            throw new IgnoreException("only the emulator counts");
        }
    }

    /// <summary>The values of an array, widened.</summary>
    public float[] Read(DeviceArray array)
    {
        byte[] bytes = new byte[array.Memory.Length];
        fixed (byte* to = bytes)
        {
            _driver.CopyToHost((nint)to, array.Memory.Address, bytes.Length, _stream);
            _driver.Synchronize(_stream);
        }

        return array.Type == StorageType.Half
            ? [.. MemoryMarshal.Cast<byte, Half>(bytes.AsSpan()).ToArray().Select(h => (float)h)]
            : MemoryMarshal.Cast<byte, float>(bytes.AsSpan()).ToArray();
    }

    public void Dispose()
    {
        foreach (DeviceMemory memory in _memory)
        {
            memory.Dispose();
        }

        foreach ((CudaModule module, _) in _kernels.Values)
        {
            module.Dispose();
        }

        _stream.Dispose();
        _context.Dispose();
    }

    private DeviceArray Place(ReadOnlySpan<byte> bytes, StorageType type)
    {
        DeviceArray array = new(Allocate(bytes.Length), bytes.Length / DeviceArray.ElementBytes(type), type);
        fixed (byte* from = bytes)
        {
            _driver.CopyToDevice(array.Memory.Address, (nint)from, bytes.Length, _stream);
            _driver.Synchronize(_stream);
        }

        return array;
    }

    private DeviceMemory Allocate(int bytes)
    {
        DeviceMemory memory = _driver.AllocateDevice(_context, bytes);
        _memory.Add(memory);
        return memory;
    }
}

/// <summary>Elements on the device.</summary>
/// <param name="Memory">Where they are.</param>
/// <param name="Count">How many.</param>
/// <param name="Type">How they are stored.</param>
internal sealed record DeviceArray(DeviceMemory Memory, int Count, StorageType Type)
{
    /// <summary>The first element's address, as argument structures have it.</summary>
    public long Address => (long)Memory.Address.Value;

    /// <summary>The address of an element.</summary>
    public long At(long element) => Address + (element * ElementBytes(Type));

    /// <summary>Bytes of an element.</summary>
    public static int ElementBytes(StorageType type) => type == StorageType.Half ? 2 : 4;
}
