namespace KernelAD.Interop.Tests;

/// <summary>What an engine does with a driver, in small: every member of <see cref="ICudaDriver"/> once at least.</summary>
internal static unsafe class DeviceWork
{
    public const string Ptx = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry add(.param .u64 data, .param .u32 count, .param .f32 delta) { ret; }\n";

    /// <summary>Loads the driver and works on its second device.</summary>
    /// <returns>What the device computed from 1, 2, 3: each plus 10.5, and twice plus 1.</returns>
    public static float[] Run(string library)
    {
        CudaDriver driver = CudaDriver.Load([library]);
        using CudaContext context = driver.RetainPrimaryContext(1);
        using CudaModule module = driver.LoadModule(context, "test", Ptx);
        CudaFunction add = driver.GetFunction(module, "add");
        Assert.That(driver.FunctionInfo(add), Is.EqualTo(new CudaFunctionInfo(Registers: 128, StaticSharedMemory: 4096, LocalMemory: 24, MaxThreadsPerBlock: 1024)));
        driver.AllowDynamicSharedMemory(add, 100_000);

        using CudaStream copies = driver.CreateStream(context);
        using CudaStream compute = driver.CreateStream(context);
        using CudaEvent copied = driver.CreateEvent(context, timing: false);
        using CudaEvent start = driver.CreateEvent(context, timing: true);
        using CudaEvent end = driver.CreateEvent(context, timing: true);
        using PinnedMemory staging = driver.AllocatePinned(context, 12);
        using DeviceMemory arena = driver.AllocateDevice(context, 512);
        Assert.That(driver.MemoryInfo(), Is.EqualTo(new CudaMemoryInfo(Free: 1L << 30, Total: 16L << 30)));

        ((float[])[1, 2, 3]).AsSpan().CopyTo(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(staging.Span));
        DeviceAddress input = arena.Address, work = arena.Address + 256;
        driver.Fill(work, 0xFF, 12, copies);
        driver.CopyToDevice(input, staging.Address, 12, copies);
        driver.Record(copied, copies);
        driver.Wait(compute, copied);

        driver.Record(start, compute);
        driver.CopyOnDevice(work, input, 12, compute);
        Add(driver, add, compute, work, 10.5f);

        driver.BeginCapture(compute);
        Add(driver, add, compute, work, 1);
        using CudaGraph graph = driver.EndCapture(compute);
        using CudaGraphExecutable executable = driver.Instantiate(graph);
        driver.Launch(executable, compute);
        driver.Launch(executable, compute);

        driver.Record(end, compute);
        driver.CopyToHost(staging.Address, work, 12, compute);
        driver.Synchronize(compute);
        driver.Synchronize(end);
        Assert.That(driver.ElapsedMilliseconds(start, end), Is.EqualTo(1.5f));
        return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(staging.Span).ToArray();
    }

    public static void Add(ICudaDriver driver, CudaFunction add, CudaStream stream, DeviceAddress data, float delta)
    {
        int count = 3;
        driver.Launch(add, new LaunchSize(1, 2, 3), new LaunchSize(4, 5, 6), 100_000, stream, [(nint)(&data), (nint)(&count), (nint)(&delta)]);
    }
}
