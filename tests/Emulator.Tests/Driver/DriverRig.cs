using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>An emulated driver with a context, a module of small kernels and a stream.</summary>
internal sealed unsafe class DriverRig : IDisposable
{
    /// <summary>
    /// Kernels on floats: <c>scale</c> and <c>shift</c> of <c>count</c> elements, which do not commute; <c>beyond</c>, <c>crooked</c> and <c>stop</c>, each
    /// with its fault; <c>shared</c> with 1 KB of static and any dynamic shared memory.
    /// </summary>
    public const string Ptx = """
        .version 6.5
        .target sm_75
        .address_size 64
        .extern .shared .align 16 .b8 dynamic[];

        .visible .entry scale(.param .u64 data, .param .u32 count, .param .f32 factor)
        {
            .reg .pred %p<2>;
            .reg .b32 %r<6>;
            .reg .b64 %rd<4>;
            .reg .f32 %f<4>;
            ld.param.u64 %rd1, [data];
            ld.param.u32 %r1, [count];
            ld.param.f32 %f1, [factor];
            mov.u32 %r2, %ctaid.x;
            mov.u32 %r3, %ntid.x;
            mov.u32 %r4, %tid.x;
            mad.lo.s32 %r5, %r2, %r3, %r4;
            setp.ge.u32 %p1, %r5, %r1;
            @%p1 bra DONE;
            mul.wide.u32 %rd2, %r5, 4;
            add.s64 %rd3, %rd1, %rd2;
            ld.global.f32 %f2, [%rd3];
            mul.rn.f32 %f3, %f2, %f1;
            st.global.f32 [%rd3], %f3;
        DONE:
            ret;
        }

        .visible .entry shift(.param .u64 data, .param .u32 count, .param .f32 delta)
        {
            .reg .pred %p<2>;
            .reg .b32 %r<6>;
            .reg .b64 %rd<4>;
            .reg .f32 %f<4>;
            ld.param.u64 %rd1, [data];
            ld.param.u32 %r1, [count];
            ld.param.f32 %f1, [delta];
            mov.u32 %r2, %ctaid.x;
            mov.u32 %r3, %ntid.x;
            mov.u32 %r4, %tid.x;
            mad.lo.s32 %r5, %r2, %r3, %r4;
            setp.ge.u32 %p1, %r5, %r1;
            @%p1 bra DONE;
            mul.wide.u32 %rd2, %r5, 4;
            add.s64 %rd3, %rd1, %rd2;
            ld.global.f32 %f2, [%rd3];
            add.rn.f32 %f3, %f2, %f1;
            st.global.f32 [%rd3], %f3;
        DONE:
            ret;
        }

        .visible .entry beyond(.param .u64 data)
        {
            .reg .b32 %r<2>;
            .reg .b64 %rd<2>;
            ld.param.u64 %rd1, [data];
            mov.u32 %r1, 1;
            st.global.u32 [%rd1+1048576], %r1;
            ret;
        }

        .visible .entry crooked(.param .u64 data)
        {
            .reg .b32 %r<2>;
            .reg .b64 %rd<2>;
            ld.param.u64 %rd1, [data];
            mov.u32 %r1, 1;
            st.global.u32 [%rd1+2], %r1;
            ret;
        }

        .visible .entry stop(.param .u64 data)
        {
            trap;
            ret;
        }

        .visible .entry shared(.param .u64 data)
        .maxntid 256, 1, 1
        {
            .reg .b32 %r<4>;
            .reg .b64 %rd<2>;
            .shared .align 4 .b8 tile[1024];
            ld.param.u64 %rd1, [data];
            mov.u32 %r1, tile;
            mov.u32 %r2, 7;
            st.shared.u32 [%r1], %r2;
            ld.shared.u32 %r3, [%r1];
            st.global.u32 [%rd1], %r3;
            ret;
        }
        """;

    private readonly CudaModule _module;

    public DriverRig(EmulatorOptions? options = null)
    {
        Driver = new EmulatedDriver(options ?? new EmulatorOptions { Threads = 1 });
        Context = Driver.RetainPrimaryContext(0);
        _module = Driver.LoadModule(Context, "test", Ptx);
        Stream = Driver.CreateStream(Context);
    }

    public EmulatedDriver Driver { get; }

    public CudaContext Context { get; }

    public CudaStream Stream { get; }

    public CudaFunction Function(string name) => Driver.GetFunction(_module, name);

    /// <summary>Device memory that holds floats; nothing waits for it to be copied.</summary>
    public DeviceMemory Upload(params float[] values)
    {
        DeviceMemory memory = Driver.AllocateDevice(Context, values.Length * sizeof(float));
        fixed (float* source = values)
        {
            Driver.CopyToDevice(memory.Address, (nint)source, memory.Length, Stream);
        }

        Driver.Synchronize(Stream);
        return memory;
    }

    /// <summary>What device memory holds after the work that the rig's stream has got.</summary>
    public float[] Download(DeviceMemory memory)
    {
        float[] values = new float[memory.Length / sizeof(float)];
        fixed (float* destination = values)
        {
            Driver.CopyToHost((nint)destination, memory.Address, memory.Length, Stream);
        }

        Driver.Synchronize(Stream);
        return values;
    }

    /// <summary>Pinned memory filled with NaN.</summary>
    public PinnedMemory Pin(int floats)
    {
        PinnedMemory memory = Driver.AllocatePinned(Context, floats * sizeof(float));
        Floats(memory).Fill(float.NaN);
        return memory;
    }

    public static Span<float> Floats(PinnedMemory memory) => MemoryMarshal.Cast<byte, float>(memory.Span);

    public void Scale(DeviceMemory data, float factor, CudaStream? stream = null) => Launch("scale", data, factor, stream ?? Stream);

    public void Shift(DeviceMemory data, float delta, CudaStream? stream = null) => Launch("shift", data, delta, stream ?? Stream);

    /// <summary>Launches a kernel that has no parameter but the data.</summary>
    public void Launch(string name, DeviceMemory data)
    {
        ulong address = data.Address.Value;
        Driver.Launch(Function(name), new LaunchSize(1), new LaunchSize(32), 0, Stream, [(nint)(&address)]);
    }

    public void Dispose()
    {
        Stream.Dispose();
        _module.Dispose();
        Context.Dispose();
    }

    private void Launch(string name, DeviceMemory data, float value, CudaStream stream)
    {
        ulong address = data.Address.Value;
        uint count = (uint)(data.Length / sizeof(float));
        ReadOnlySpan<nint> parameters = [(nint)(&address), (nint)(&count), (nint)(&value)];
        Driver.Launch(Function(name), new LaunchSize((int)(count + 31) / 32), new LaunchSize(32), 0, stream, parameters);

        // The driver has copied the values.
        (address, count, value) = (0, 0, float.NaN);
    }
}
