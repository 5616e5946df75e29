using System.Runtime.CompilerServices;

namespace KernelAD.Interop.Tests;

/// <summary>Who frees what, when, and on which thread.</summary>
[TestFixture]
internal sealed class HandleTests
{
    private Stub _stub = null!;
    private CudaDriver _driver = null!;

    [SetUp]
    public void Load()
    {
        _stub = new Stub();
        _driver = CudaDriver.Load([StubLibrary.File]);
    }

    [TearDown]
    public void Everything_is_freed() => _stub?.AssertClean("after the test");

    [Test]
    public void A_second_disposal_does_nothing()
    {
        foreach (CudaHandle handle in AllKinds(_driver))
        {
            handle.Dispose();
            int calls = _stub.Calls.Length;
            handle.Dispose();
            Assert.That(_stub.Calls, Has.Length.EqualTo(calls), handle.GetType().Name);
        }
    }

    [Test]
    public void What_is_disposed_cannot_be_used_and_the_driver_is_not_asked()
    {
        CudaHandle[] handles = AllKinds(_driver);
        CudaContext context = handles.OfType<CudaContext>().Single();
        CudaModule module = handles.OfType<CudaModule>().Single();
        CudaStream stream = handles.OfType<CudaStream>().Single();
        CudaEvent mark = handles.OfType<CudaEvent>().Single();
        CudaGraph graph = handles.OfType<CudaGraph>().Single();
        CudaGraphExecutable executable = handles.OfType<CudaGraphExecutable>().Single();
        DeviceMemory memory = handles.OfType<DeviceMemory>().Single();
        PinnedMemory pinned = handles.OfType<PinnedMemory>().Single();
        CudaFunction function = _driver.GetFunction(module, "add");
        using CudaContext other = _driver.RetainPrimaryContext(1);
        using CudaStream live = _driver.CreateStream(other);
        using CudaEvent liveMark = _driver.CreateEvent(other, timing: true);
        DeviceAddress address = memory.Address;
        foreach (CudaHandle handle in handles)
        {
            handle.Dispose();
            Assert.That(handle.IsDisposed);
        }

        int calls = _stub.Calls.Length;
        Action[] uses =
        [
            () => _driver.MakeCurrent(context),
            () => _driver.AllocateDevice(context, 1),
            () => _driver.AllocatePinned(context, 1),
            () => _driver.CreateStream(context),
            () => _driver.CreateEvent(context, timing: false),
            () => _driver.LoadModule(context, "test", DeviceWork.Ptx),
            () => _driver.GetFunction(module, "add"),
            () => _driver.FunctionInfo(function),
            () => _driver.AllowDynamicSharedMemory(function, 1),
            () => _driver.Launch(function, new LaunchSize(1), new LaunchSize(1), 0, live, default),
            () => _driver.CopyToDevice(address, 1, 1, stream),
            () => _driver.CopyToHost(1, address, 1, stream),
            () => _driver.CopyOnDevice(address, address, 1, stream),
            () => _driver.Fill(address, 0, 1, stream),
            () => _driver.Synchronize(stream),
            () => _driver.BeginCapture(stream),
            () => _driver.EndCapture(stream),
            () => _driver.Wait(stream, liveMark),
            () => _driver.Wait(live, mark),
            () => _driver.Record(mark, live),
            () => _driver.Record(liveMark, stream),
            () => _driver.Synchronize(mark),
            () => _driver.ElapsedMilliseconds(mark, liveMark),
            () => _driver.ElapsedMilliseconds(liveMark, mark),
            () => _driver.Instantiate(graph),
            () => _driver.Launch(executable, live),
            () => _ = memory.Address,
            () => _ = pinned.Address,
            () => _ = pinned.Span.Length,
        ];
        for (int i = 0; i < uses.Length; i++)
        {
            Action use = uses[i];
            Assert.That(() => use(), Throws.TypeOf<ObjectDisposedException>(), $"use {i}");
        }

        Assert.That(_stub.Calls, Has.Length.EqualTo(calls));
    }

    [Test]
    public void A_context_disposed_first_waits_for_what_lives_in_it()
    {
        CudaHandle[] handles = AllKinds(_driver);
        CudaContext context = handles.OfType<CudaContext>().Single();
        CudaStream stream = handles.OfType<CudaStream>().Single();
        context.Dispose();
        Assert.That(_stub.Calls, Has.None.EqualTo("cuDevicePrimaryCtxRelease_v2"));
        Assert.That(() => _driver.CreateStream(context), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => _driver.Synchronize(stream), Throws.Nothing, "what was made before still works");

        foreach (CudaHandle handle in handles)
        {
            handle.Dispose();
        }

        Assert.That(_stub.Calls[^2..], Has.Some.EqualTo("cuDevicePrimaryCtxRelease_v2"));
        Assert.That(_stub.Live, Is.Zero);
    }

    [Test]
    public void References_to_one_primary_context_are_counted()
    {
        using CudaContext first = _driver.RetainPrimaryContext(0);
        using (CudaContext second = _driver.RetainPrimaryContext(0))
        {
            Assert.That(second.DangerousGetHandle(), Is.EqualTo(first.DangerousGetHandle()));
        }

        using DeviceMemory memory = _driver.AllocateDevice(first, 16);
        Assert.That(memory.Length, Is.EqualTo(16));
    }

    [Test]
    public void Freeing_restores_the_threads_own_context()
    {
        using CudaContext first = _driver.RetainPrimaryContext(0);
        DeviceMemory memory = _driver.AllocateDevice(first, 16);
        CudaStream stream = _driver.CreateStream(first);
        using CudaContext second = _driver.RetainPrimaryContext(1);
        Assert.That(_stub.CurrentDevice, Is.EqualTo(1));
        memory.Dispose();
        stream.Dispose();
        Assert.That(_stub.CurrentDevice, Is.EqualTo(1));
    }

    [Test]
    public void Freeing_works_on_a_thread_that_never_saw_the_context()
    {
        CudaHandle[] handles = AllKinds(_driver);
        int current = 0;
        Thread thread = new(() =>
        {
            foreach (CudaHandle handle in handles)
            {
                handle.Dispose();
            }

            current = _stub.CurrentDevice;
        });
        thread.Start();
        thread.Join();
        Assert.That(current, Is.EqualTo(-1), "the thread is left as it was");
        Assert.That(_stub.Live, Is.Zero);
    }

    [Test]
    public void What_nobody_disposed_is_finalised_with_the_context_last()
    {
        Abandon();
        for (int i = 0; i < 10 && _stub.Live > 0; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        _stub.AssertClean("after finalisation");
        string[] freeing = [.. _stub.Calls.Where(c => c.Contains("Destroy", StringComparison.Ordinal) || c.Contains("Release", StringComparison.Ordinal))];
        Assert.That(freeing[^1], Is.EqualTo("cuDevicePrimaryCtxRelease_v2"));

        [MethodImpl(MethodImplOptions.NoInlining)]
        void Abandon() => Assert.That(AllKinds(_driver), Has.Length.EqualTo(8));
    }

    [Test]
    public void A_handle_in_use_is_freed_when_the_use_ends()
    {
        using CudaContext context = _driver.RetainPrimaryContext(0);
        DeviceMemory memory = _driver.AllocateDevice(context, 16);
        bool held = false;
        memory.DangerousAddRef(ref held);
        memory.Dispose();
        Assert.That(_stub.Calls, Has.None.EqualTo("cuMemFree_v2"));
        memory.DangerousRelease();
        Assert.That(_stub.Calls, Has.One.EqualTo("cuMemFree_v2"));
    }

    /// <summary>One living handle of each kind, the context first.</summary>
    private static CudaHandle[] AllKinds(CudaDriver driver)
    {
        CudaContext context = driver.RetainPrimaryContext(0);
        CudaStream stream = driver.CreateStream(context);
        driver.BeginCapture(stream);
        CudaGraph graph = driver.EndCapture(stream);
        return
        [
            context, stream, graph, driver.Instantiate(graph), driver.CreateEvent(context, timing: true), driver.AllocateDevice(context, 64),
            driver.AllocatePinned(context, 64), driver.LoadModule(context, "test", DeviceWork.Ptx),
        ];
    }
}
