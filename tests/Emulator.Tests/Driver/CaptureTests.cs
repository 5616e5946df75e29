using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>Captures, graphs, and the ways in which a capture fails.</summary>
public sealed unsafe class CaptureTests
{
    private DriverRig _rig = null!;
    private DeviceMemory _data = null!;

    [SetUp]
    public void SetUp()
    {
        _rig = new DriverRig();
        _data = _rig.Upload(1, 2, 3);
    }

    [TearDown]
    public void TearDown()
    {
        _data.Dispose();
        _rig.Dispose();
        Assert.That(_rig.Driver.LiveObjects, Is.Zero, "everything is freed");
    }

    [Test]
    public void A_replay_does_what_was_recorded_each_time()
    {
        _rig.Driver.BeginCapture(_rig.Stream);
        _rig.Scale(_data, 2);
        _rig.Shift(_data, 1);
        using CudaGraph graph = _rig.Driver.EndCapture(_rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 1, 2, 3 }), "recording does nothing");

        using CudaGraphExecutable executable = _rig.Driver.Instantiate(graph);
        graph.Dispose();
        _rig.Driver.Launch(executable, _rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 3, 5, 7 }));
        _rig.Driver.Launch(executable, _rig.Stream);
        _rig.Driver.Launch(executable, _rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 15, 23, 31 }));
    }

    [Test]
    public void A_replayed_copy_reads_pinned_memory_at_the_replay()
    {
        using PinnedMemory staging = _rig.Pin(3);
        _rig.Driver.BeginCapture(_rig.Stream);
        _rig.Driver.CopyToDevice(_data.Address, staging.Address, _data.Length, _rig.Stream);
        using CudaGraph graph = _rig.Driver.EndCapture(_rig.Stream);
        using CudaGraphExecutable executable = _rig.Driver.Instantiate(graph);
        foreach (float value in new float[] { 4, 5 })
        {
            DriverRig.Floats(staging).Fill(value);
            _rig.Driver.Launch(executable, _rig.Stream);
            Assert.That(_rig.Download(_data), Is.All.EqualTo(value));
        }
    }

    [Test]
    public void A_fork_and_a_join_become_edges_of_the_graph([Values] bool waitsForTheKernel)
    {
        using CudaStream side = _rig.Driver.CreateStream(_rig.Context);
        using CudaEvent fork = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using CudaEvent join = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using PinnedMemory result = _rig.Pin(3);
        _rig.Driver.BeginCapture(_rig.Stream);
        if (!waitsForTheKernel)
        {
            _rig.Driver.Record(fork, _rig.Stream);
        }

        _rig.Scale(_data, 10);
        if (waitsForTheKernel)
        {
            _rig.Driver.Record(fork, _rig.Stream);
        }

        _rig.Driver.Wait(side, fork);
        _rig.Driver.CopyToHost(result.Address, _data.Address, _data.Length, side);
        _rig.Driver.Record(join, side);
        _rig.Driver.Wait(_rig.Stream, join);
        _rig.Shift(_data, 1);
        using CudaGraph graph = _rig.Driver.EndCapture(_rig.Stream);
        using CudaGraphExecutable executable = _rig.Driver.Instantiate(graph);
        _rig.Driver.Launch(executable, _rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 11, 21, 31 }));
        Assert.That(DriverRig.Floats(result).ToArray(), Is.EqualTo(waitsForTheKernel ? new float[] { 10, 20, 30 } : [1, 2, 3]), "what may be done late is");

        _rig.Scale(_data, 0, side);
        _rig.Driver.Synchronize(side);
        Assert.That(_rig.Download(_data), Is.All.Zero, "after the capture the side stream does its work again");
    }

    [Test]
    public void Launches_of_one_executable_do_not_overlap()
    {
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        using CudaGraphExecutable executable = Record(() => _rig.Shift(_data, 1));
        _rig.Driver.Launch(executable, _rig.Stream);
        _rig.Driver.Launch(executable, other);
        _rig.Driver.Synchronize(other);
        using PinnedMemory result = _rig.Pin(3);
        _rig.Driver.CopyToHost(result.Address, _data.Address, _data.Length, other);
        _rig.Driver.Synchronize(other);
        Assert.That(DriverRig.Floats(result).ToArray(), Is.EqualTo(new float[] { 3, 4, 5 }));
    }

    [Test]
    public void A_graph_can_be_part_of_another()
    {
        using CudaGraphExecutable inner = Record(() => _rig.Shift(_data, 1));
        using CudaGraphExecutable outer = Record(() =>
        {
            _rig.Scale(_data, 10);
            _rig.Driver.Launch(inner, _rig.Stream);
            _rig.Driver.Launch(inner, _rig.Stream);
        });
        _rig.Driver.Launch(outer, _rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 12, 22, 32 }));
    }

    [Test]
    public void An_empty_capture_is_an_empty_graph()
    {
        using CudaGraphExecutable executable = Record(() => { });
        _rig.Driver.Launch(executable, _rig.Stream);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 1, 2, 3 }));
    }

    [Test]
    public void Work_given_before_the_capture_is_still_done()
    {
        _rig.Scale(_data, 2);
        using CudaGraphExecutable executable = Record(() => _rig.Shift(_data, 1));
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 2, 4, 6 }));
    }

    [Test]
    public void Waiting_for_a_stream_that_captures_spoils_the_capture()
    {
        _rig.Driver.BeginCapture(_rig.Stream);
        AssertFails(DriverResult.CaptureUnsupported, () => _rig.Driver.Synchronize(_rig.Stream));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Scale(_data, 2));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
        _rig.Scale(_data, 2);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 2, 4, 6 }), "the stream is free again");
    }

    [Test]
    public void Allocating_and_loading_are_refused_on_the_thread_that_captures_only()
    {
        (string, Action)[] calls =
        [
            ("device", () => _rig.Driver.AllocateDevice(_rig.Context, 4)),
            ("pinned", () => _rig.Driver.AllocatePinned(_rig.Context, 4)),
            ("module", () => _rig.Driver.LoadModule(_rig.Context, "again", DriverRig.Ptx)),
        ];
        foreach ((string what, Action call) in calls)
        {
            _rig.Driver.BeginCapture(_rig.Stream);
            Thread other = new(() => _rig.Driver.AllocateDevice(_rig.Context, 4).Dispose());
            other.Start();
            other.Join();
            AssertFails(DriverResult.CaptureUnsupported, call, what);
            AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream), what);
        }
    }

    [Test]
    public void Only_pinned_memory_can_be_recorded()
    {
        float value = 1;
        nint pageable = (nint)(&value);
        _rig.Driver.BeginCapture(_rig.Stream);
        AssertFails(DriverResult.CaptureUnsupported, () => _rig.Driver.CopyToDevice(_data.Address, pageable, 4, _rig.Stream));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
    }

    [Test]
    public void An_event_of_a_capture_stands_for_nothing_that_is_done()
    {
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: true);
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        _rig.Driver.BeginCapture(_rig.Stream);
        _rig.Driver.Record(mark, _rig.Stream);
        AssertFails(DriverResult.CapturedEvent, () => _rig.Driver.Synchronize(mark));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
        AssertFails(DriverResult.CapturedEvent, () => _rig.Driver.Wait(other, mark));
        AssertFails(DriverResult.CapturedEvent, () => _rig.Driver.ElapsedMilliseconds(mark, mark));
        _rig.Driver.Record(mark, _rig.Stream);
        _rig.Driver.Synchronize(mark);
    }

    [Test]
    public void A_capture_cannot_wait_for_work_outside_it()
    {
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        _rig.Driver.Record(mark, other);
        _rig.Driver.BeginCapture(_rig.Stream);
        AssertFails(DriverResult.CaptureIsolation, () => _rig.Driver.Wait(_rig.Stream, mark));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
    }

    [Test]
    public void Captures_are_not_merged()
    {
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        _rig.Driver.BeginCapture(_rig.Stream);
        _rig.Driver.BeginCapture(other);
        _rig.Driver.Record(mark, other);
        AssertFails(DriverResult.CaptureMerge, () => _rig.Driver.Wait(_rig.Stream, mark));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(other));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
    }

    [Test]
    public void A_capture_ends_joined_in_its_stream_and_on_its_thread()
    {
        using CudaEvent fork = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using CudaStream side = _rig.Driver.CreateStream(_rig.Context);
        AssertFails(DriverResult.IllegalState, () => _rig.Driver.EndCapture(_rig.Stream));

        _rig.Driver.BeginCapture(_rig.Stream);
        AssertFails(DriverResult.IllegalState, () => _rig.Driver.BeginCapture(_rig.Stream));
        Thread other = new(() =>
        {
            _rig.Driver.MakeCurrent(_rig.Context);
            AssertFails(DriverResult.CaptureWrongThread, () => _rig.Driver.EndCapture(_rig.Stream));
        });
        other.Start();
        other.Join();
        _rig.Driver.Record(fork, _rig.Stream);
        _rig.Driver.Wait(side, fork);
        _rig.Scale(_data, 2, side);
        AssertFails(DriverResult.CaptureUnjoined, () => _rig.Driver.EndCapture(_rig.Stream));

        _rig.Driver.BeginCapture(_rig.Stream);
        _rig.Driver.Record(fork, _rig.Stream);
        _rig.Driver.Wait(side, fork);
        AssertFails(DriverResult.CaptureUnmatched, () => _rig.Driver.EndCapture(side));
        AssertFails(DriverResult.CaptureInvalidated, () => _rig.Driver.EndCapture(_rig.Stream));
    }

    [Test]
    public void A_stream_that_is_destroyed_takes_its_capture_with_it()
    {
        using CudaEvent fork = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        CudaStream origin = _rig.Driver.CreateStream(_rig.Context);
        _rig.Driver.BeginCapture(origin);
        _rig.Driver.Record(fork, origin);
        _rig.Driver.Wait(_rig.Stream, fork);
        origin.Dispose();
        _rig.Scale(_data, 3);
        Assert.That(_rig.Download(_data), Is.EqualTo(new float[] { 3, 6, 9 }));
    }

    [Test]
    public void A_graph_that_outlives_its_memory_loses_the_context()
    {
        DeviceMemory gone = _rig.Upload(1);
        using CudaGraphExecutable executable = Record(() => _rig.Driver.Fill(gone.Address, 0, 4, _rig.Stream));
        gone.Dispose();
        _rig.Driver.Launch(executable, _rig.Stream);
        CudaException error = Assert.Throws<CudaException>(() => _rig.Driver.Synchronize(_rig.Stream))!;
        Assert.That(error.Error?.Code, Is.EqualTo(CudaResult.IllegalAddress));
        Assert.That(error.Message, Does.Contain("freed"));
    }

    private CudaGraphExecutable Record(Action work)
    {
        _rig.Driver.BeginCapture(_rig.Stream);
        work();
        using CudaGraph graph = _rig.Driver.EndCapture(_rig.Stream);
        return _rig.Driver.Instantiate(graph);
    }

    private static void AssertFails(int code, Action call, string? what = null) =>
        Assert.That(Assert.Throws<CudaException>(call)!.Error?.Code, Is.EqualTo(code), what);
}
