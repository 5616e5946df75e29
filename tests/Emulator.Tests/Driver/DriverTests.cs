using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>Devices, modules, launches, memory, faults and threads of the emulated driver.</summary>
public sealed unsafe class DriverTests
{
    [TestCase("sm_75", 7, 5, 40, 64)]
    [TestCase("sm_80", 8, 0, 108, 163)]
    [TestCase("sm_86", 8, 6, 84, 99)]
    [TestCase("sm_87", 8, 7, 16, 163)]
    [TestCase("sm_89", 8, 9, 128, 99)]
    [TestCase("sm_90", 9, 0, 132, 227)]
    public void Devices_have_their_architectures_limits(string architecture, int major, int minor, int multiprocessors, int kilobytes)
    {
        EmulatedDriver driver = new(new EmulatorOptions { Architecture = architecture, MemoryBytes = 1 << 20 });
        Assert.That(driver.Devices, Has.Count.EqualTo(1));
        CudaDevice device = driver.Devices[0];
        string name = $"KernelAD emulator ({architecture}, {multiprocessors} SMs)";
        Assert.That(device, Is.EqualTo(new CudaDevice(0, name, major, minor, multiprocessors, 1 << 20, kilobytes << 10)));
        Assert.That(device.Architecture, Is.EqualTo(architecture));
        Assert.That(driver.Version, Is.GreaterThanOrEqualTo(CudaDriver.MinimumVersion));
    }

    [Test]
    public void Unknown_architectures_and_devices_are_refused()
    {
        Assert.That(() => new EmulatedDriver(new EmulatorOptions { Architecture = "sm_52" }), Throws.ArgumentException.With.Message.Contains("sm_80"));
        Assert.That(new EmulatedDriver(new EmulatorOptions { Multiprocessors = 3 }).Devices[0].Multiprocessors, Is.EqualTo(3));
        Assert.That(() => new EmulatedDriver(new EmulatorOptions()).RetainPrimaryContext(1), Throws.TypeOf<CudaNotAvailableException>());
    }

    [Test]
    public void A_module_that_the_device_cannot_run_is_refused_as_by_a_driver()
    {
        using DriverRig rig = new();
        AssertRefused(".version 7.8\n.target sm_90\n.address_size 64\n", CudaModuleFault.WrongArchitecture, CudaResult.NoBinaryForGpu, "line 2");
        AssertRefused(".version 99.0\n.target sm_80\n.address_size 64\n", CudaModuleFault.UnsupportedPtxVersion, CudaResult.UnsupportedPtxVersion, "line 1");
        AssertRefused(".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n  mul.f32 x;\n}", CudaModuleFault.InvalidPtx, CudaResult.InvalidPtx, "line 6");
        AssertRefused("", CudaModuleFault.InvalidPtx, CudaResult.InvalidPtx, "line 1");

        void AssertRefused(string ptx, CudaModuleFault fault, int code, string log)
        {
            CudaModuleException error = Assert.Throws<CudaModuleException>(() => rig.Driver.LoadModule(rig.Context, "bad", ptx))!;
            Assert.That((error.Fault, error.Error?.Code), Is.EqualTo((fault, code)));
            Assert.That(error.Log, Does.Contain(log));
            Assert.That(error.Message, Does.Contain("'bad'").And.Contain("sm_80"));
        }
    }

    [Test]
    public void Functions_are_found_by_name_and_described()
    {
        using DriverRig rig = new();
        CudaFunctionInfo shared = rig.Driver.FunctionInfo(rig.Function("shared"));
        Assert.That((shared.StaticSharedMemory, shared.LocalMemory, shared.MaxThreadsPerBlock), Is.EqualTo((1024, 0, 256)));
        CudaFunctionInfo scale = rig.Driver.FunctionInfo(rig.Function("scale"));
        Assert.That((scale.StaticSharedMemory, scale.MaxThreadsPerBlock), Is.EqualTo((0, 1024)));
        Assert.That(scale.Registers, Is.InRange(3, 20));
        CudaFunction first = rig.Function("scale"), again = rig.Function("scale");
        Assert.That(again, Is.EqualTo(first));
        Assert.That(Code(() => rig.Function("missing")), Is.EqualTo(CudaResult.NotFound));
    }

    [Test]
    public void Impossible_launches_are_refused_at_the_call()
    {
        using DriverRig rig = new();
        using DeviceMemory data = rig.Upload(1);
        CudaFunction shared = rig.Function("shared"), scale = rig.Function("scale");
        ulong address = data.Address.Value;
        nint pointer = (nint)(&address);
        LaunchSize one = new(1);
        AssertRefused(shared, new LaunchSize(0), one, 0, pointer);
        AssertRefused(shared, new LaunchSize(1, 65536), one, 0, pointer);
        AssertRefused(shared, one, new LaunchSize(257), 0, pointer);
        AssertRefused(shared, one, new LaunchSize(0), 0, pointer);
        AssertRefused(shared, one, new LaunchSize(1, 1, 65), 0, pointer);
        AssertRefused(scale, one, new LaunchSize(1025), 0, pointer, pointer, pointer);
        AssertRefused(shared, one, one, -1, pointer);
        AssertRefused(shared, one, one, (47 << 10) + 1, pointer);
        AssertRefused(shared, one, one, 0);
        AssertRefused(shared, one, one, 0, pointer, pointer);
        AssertRefused(scale, one, one, 0, pointer, 0, pointer);
        Launch(shared, one, one, 47 << 10, pointer);

        Assert.That(Code(() => rig.Driver.AllowDynamicSharedMemory(shared, (162 << 10) + 1)), Is.EqualTo(CudaResult.InvalidValue));
        rig.Driver.AllowDynamicSharedMemory(shared, 162 << 10);
        Launch(shared, one, one, 162 << 10, pointer);
        AssertRefused(shared, one, one, (162 << 10) + 1, pointer);
        rig.Driver.Synchronize(rig.Stream);
        Assert.That(BitConverter.SingleToInt32Bits(rig.Download(data)[0]), Is.EqualTo(7));

        void Launch(CudaFunction function, LaunchSize grid, LaunchSize block, int bytes, params nint[] parameters) =>
            rig.Driver.Launch(function, grid, block, bytes, rig.Stream, parameters);

        void AssertRefused(CudaFunction function, LaunchSize grid, LaunchSize block, int bytes, params nint[] parameters) =>
            Assert.That(Code(() => Launch(function, grid, block, bytes, parameters)), Is.EqualTo(CudaResult.InvalidValue));
    }

    [Test]
    public void Memory_runs_out_with_the_figures_in_the_error()
    {
        using DriverRig rig = new(new EmulatorOptions { MemoryBytes = 4096 });
        Assert.That(rig.Driver.MemoryInfo(), Is.EqualTo(new CudaMemoryInfo(4096, 4096)));
        using DeviceMemory first = rig.Driver.AllocateDevice(rig.Context, 3000);
        Assert.That(first.Address.Value % 256, Is.Zero);
        Assert.That(rig.Driver.MemoryInfo().Free, Is.EqualTo(1096));
        CudaOutOfMemoryException error = Assert.Throws<CudaOutOfMemoryException>(() => rig.Driver.AllocateDevice(rig.Context, 1097))!;
        Assert.That((error.Requested, error.Memory), Is.EqualTo((1097L, new CudaMemoryInfo(1096, 4096))));
        first.Dispose();
        rig.Driver.AllocateDevice(rig.Context, 4096).Dispose();
    }

    [Test]
    public void Copies_beyond_an_allocation_or_after_its_end_are_refused()
    {
        using DriverRig rig = new();
        using PinnedMemory host = rig.Pin(64);
        DeviceMemory data = rig.Driver.AllocateDevice(rig.Context, 16);
        DeviceAddress address = data.Address;
        AssertRefused(() => rig.Driver.CopyToDevice(address, host.Address, 17, rig.Stream));
        AssertRefused(() => rig.Driver.CopyToHost(host.Address, address + 8, 9, rig.Stream));
        AssertRefused(() => rig.Driver.Fill(address + (-1), 0, 1, rig.Stream));
        AssertRefused(() => rig.Driver.CopyOnDevice(address, address + 4, 8, rig.Stream));
        AssertRefused(() => rig.Driver.CopyToDevice(address, 0, 1, rig.Stream));
        data.Dispose();
        AssertRefused(() => rig.Driver.Fill(address, 0, 1, rig.Stream), "freed");
        Assert.That(() => data.Address, Throws.TypeOf<ObjectDisposedException>());

        void AssertRefused(Action call, string? text = null)
        {
            CudaException error = Assert.Throws<CudaException>(call)!;
            Assert.That(error.Error?.Code, Is.EqualTo(CudaResult.InvalidValue));
            Assert.That(error.Message, Does.Contain(text ?? ""));
        }
    }

    [TestCase("beyond", CudaResult.IllegalAddress, FindingKind.OutOfBounds)]
    [TestCase("crooked", CudaResult.MisalignedAddress, FindingKind.Misaligned)]
    [TestCase("stop", CudaResult.Assert, FindingKind.Trap)]
    public void A_kernels_fault_is_told_by_the_call_that_waits_and_by_all_later_ones(string kernel, int code, FindingKind kind)
    {
        DriverRig rig = new();
        DeviceMemory data = rig.Upload(1, 2);
        rig.Launch(kernel, data);
        rig.Scale(data, 2);
        CudaException error = Assert.Throws<CudaException>(() => rig.Driver.Synchronize(rig.Stream))!;
        Assert.That((error.Error?.Code, error.IsContextLost), Is.EqualTo(((int?)code, true)));
        Assert.That(error.Message, Does.Contain($"'{kernel}'").And.Contain("PTX line"));
        Assert.That(rig.Driver.Findings, Has.Count.EqualTo(1));
        Assert.That((rig.Driver.Findings[0].Kind, rig.Driver.Findings[0].Kernel), Is.EqualTo((kind, kernel)));

        Action[] later =
        [
            () => rig.Scale(data, 2), () => rig.Driver.Synchronize(rig.Stream), () => rig.Driver.AllocateDevice(rig.Context, 1), () => rig.Driver.MemoryInfo(),
            () => rig.Driver.CreateStream(rig.Context), () => rig.Driver.MakeCurrent(rig.Context), () => rig.Driver.RetainPrimaryContext(0),
            () => rig.Driver.BeginCapture(rig.Stream),
        ];
        foreach (Action call in later)
        {
            CudaException repeated = Assert.Throws<CudaException>(call)!;
            Assert.That((repeated.Error?.Code, repeated.IsContextLost), Is.EqualTo(((int?)code, true)));
            Assert.That(repeated.Message, Does.Contain(rig.Driver.Findings[0].ToString()));
        }

        data.Dispose();
        rig.Dispose();
        Assert.That(rig.Driver.LiveObjects, Is.Zero, "what is alive can still be freed");
    }

    [Test]
    public void A_fault_in_one_stream_is_told_in_another()
    {
        using DriverRig rig = new();
        using DeviceMemory data = rig.Upload(1);
        using CudaStream other = rig.Driver.CreateStream(rig.Context);
        using CudaEvent mark = rig.Driver.CreateEvent(rig.Context, timing: false);
        rig.Launch("stop", data);
        rig.Driver.Record(mark, rig.Stream);
        rig.Driver.Wait(other, mark);
        rig.Driver.Synchronize(rig.Driver.CreateStream(rig.Context));
        Assert.That(Code(() => rig.Driver.Synchronize(other)), Is.EqualTo(CudaResult.Assert));
    }

    [Test]
    public void Memory_that_nothing_has_written_is_found_where_it_is_looked_for()
    {
        using DriverRig rig = new(new EmulatorOptions { Checks = EmulatorChecks.Initialisation });
        using DeviceMemory source = rig.Driver.AllocateDevice(rig.Context, 8), data = rig.Upload(1, 2);
        rig.Scale(data, 2);
        rig.Driver.Fill(source.Address, 0, 4, rig.Stream);
        rig.Driver.CopyOnDevice(data.Address, source.Address, 8, rig.Stream);
        rig.Driver.Synchronize(rig.Stream);
        Assert.That(rig.Driver.Findings, Is.Empty);
        rig.Scale(data, 2);
        Assert.That(Code(() => rig.Driver.Synchronize(rig.Stream)), Is.EqualTo(CudaResult.LaunchFailed));
        Assert.That(rig.Driver.Findings[0].Kind, Is.EqualTo(FindingKind.Uninitialised));
        Assert.That(rig.Driver.Findings[0].Address, Is.EqualTo(data.Address.Value + 4), "the copied half that was never written");
    }

    [Test]
    public void Launches_are_kept_in_their_order_if_counting_is_on([Values] bool counts)
    {
        using DriverRig rig = new(new EmulatorOptions { Count = counts });
        using DeviceMemory data = rig.Upload(new float[100]);
        rig.Scale(data, 2);
        rig.Driver.BeginCapture(rig.Stream);
        rig.Launch("shared", data);
        using CudaGraph graph = rig.Driver.EndCapture(rig.Stream);
        using CudaGraphExecutable executable = rig.Driver.Instantiate(graph);
        rig.Driver.Launch(executable, rig.Stream);
        Assert.That(rig.Driver.Launches, Is.Empty, "nothing has run yet");
        rig.Driver.Synchronize(rig.Stream);
        IReadOnlyList<LaunchRecord> launches = rig.Driver.Launches;
        Assert.That(string.Join(", ", launches.Select(launch => launch.Kernel)), Is.EqualTo(counts ? "scale, shared" : ""));
        if (counts)
        {
            Assert.That((launches[0].Grid, launches[0].Block), Is.EqualTo((new LaunchSize(4), new LaunchSize(32))));
            Assert.That((launches[1].StaticSharedMemory, launches[1].DynamicSharedMemory), Is.EqualTo((1024, 0)));
            Assert.That(launches[0].Counters[CounterNames.GlobalLoadRequests], Is.EqualTo(4));
            Assert.That(launches[0].EmulationTime, Is.GreaterThan(TimeSpan.Zero));
        }

        rig.Driver.ClearLaunches();
        Assert.That(rig.Driver.Launches, Is.Empty);
    }

    [Test]
    public void Live_objects_are_counted_and_freed_once()
    {
        EmulatedDriver driver = new(new EmulatorOptions());
        CudaContext context = driver.RetainPrimaryContext(0), again = driver.RetainPrimaryContext(0);
        DeviceMemory memory = driver.AllocateDevice(context, 100);
        PinnedMemory pinned = driver.AllocatePinned(context, 50);
        CudaStream stream = driver.CreateStream(context);
        CudaEvent mark = driver.CreateEvent(context, timing: false);
        CudaModule module = driver.LoadModule(context, "test", DriverRig.Ptx);
        _ = driver.GetFunction(module, "scale");
        driver.BeginCapture(stream);
        CudaGraph graph = driver.EndCapture(stream);
        CudaGraphExecutable executable = driver.Instantiate(graph);
        Assert.That((driver.LiveObjects, driver.DeviceBytes, driver.PinnedBytes), Is.EqualTo((9, 100L, 50L)));

        nint native = context.DangerousGetHandle();
        DeviceAddress address = memory.Address;
        nint host = pinned.Address;
        foreach (CudaHandle handle in new CudaHandle[] { memory, pinned, stream, mark, module, graph, executable })
        {
            handle.Dispose();
        }

        Assert.That((driver.LiveObjects, driver.DeviceBytes, driver.PinnedBytes), Is.EqualTo((2, 0L, 0L)));
        Assert.That(driver.FreeDevice(native, address), Is.False, "freed twice");
        Assert.That(driver.FreePinned(native, host), Is.False);
        Assert.That(driver.DestroyStream(native, stream.DangerousGetHandle()), Is.False);
        Assert.That(driver.DestroyEvent(native, mark.DangerousGetHandle()), Is.False);
        Assert.That(driver.UnloadModule(native, module.DangerousGetHandle()), Is.False);
        Assert.That(driver.DestroyGraph(native, graph.DangerousGetHandle()), Is.False);
        Assert.That(driver.DestroyGraphExecutable(native, executable.DangerousGetHandle()), Is.False);
        context.Dispose();
        again.Dispose();
        Assert.That(driver.LiveObjects, Is.Zero);
        Assert.That(driver.ReleasePrimaryContext(0), Is.False);
    }

    [Test]
    public void Handles_are_of_their_driver_and_alive()
    {
        using DriverRig rig = new();
        using DriverRig stranger = new();
        rig.Driver.MakeCurrent(rig.Context);
        Assert.That(Code(() => rig.Driver.Synchronize(stranger.Stream)), Is.EqualTo(DriverResult.InvalidHandle));
        Assert.That(Code(() => rig.Driver.MakeCurrent(stranger.Context)), Is.EqualTo(DriverResult.InvalidContext));
        CudaStream stream = rig.Driver.CreateStream(rig.Context);
        stream.Dispose();
        Assert.That(() => rig.Driver.Synchronize(stream), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => rig.Driver.Synchronize((CudaStream)null!), Throws.ArgumentNullException);
    }

    [Test]
    public void A_context_has_to_be_current_on_the_calling_thread()
    {
        using DriverRig rig = new();
        int? before = null;
        Exception? after = null;
        Thread thread = new(() =>
        {
            before = Assert.Throws<CudaException>(() => rig.Driver.Synchronize(rig.Stream))!.Error?.Code;
            rig.Driver.MakeCurrent(rig.Context);
            try
            {
                rig.Driver.Synchronize(rig.Stream);
            }
            catch (CudaException e)
            {
                after = e;
            }
        });
        thread.Start();
        thread.Join();
        Assert.That(before, Is.EqualTo(DriverResult.InvalidContext));
        Assert.That(after, Is.Null);
    }

    [Test]
    public void Threads_work_side_by_side()
    {
        using DriverRig rig = new();
        float[] results = new float[4];
        Thread[] threads = [.. Enumerable.Range(0, results.Length).Select(i => new Thread(() => results[i] = Work(i)))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.That(results, Is.EqualTo(new float[] { 40, 41, 42, 43 }));
        Assert.That(rig.Driver.DeviceBytes, Is.Zero);

        float Work(int index)
        {
            rig.Driver.MakeCurrent(rig.Context);
            using CudaStream stream = rig.Driver.CreateStream(rig.Context);
            using PinnedMemory staging = rig.Pin(1);
            DriverRig.Floats(staging)[0] = index;
            using DeviceMemory data = rig.Driver.AllocateDevice(rig.Context, 4);
            rig.Driver.CopyToDevice(data.Address, staging.Address, 4, stream);
            for (int i = 0; i < 40; i++)
            {
                rig.Shift(data, 1, stream);
                if (i % 7 == index)
                {
                    rig.Driver.Synchronize(stream);
                }
            }

            rig.Driver.CopyToHost(staging.Address, data.Address, 4, stream);
            rig.Driver.Synchronize(stream);
            return DriverRig.Floats(staging)[0];
        }
    }

    private static int? Code(Action call) => Assert.Throws<CudaException>(call)!.Error?.Code;
}
