using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>Work is done as late as it may be, so that a missing synchronisation cannot go unnoticed.</summary>
public sealed unsafe class LazyStreamTests
{
    private DriverRig _rig = null!;

    [SetUp]
    public void SetUp() => _rig = new DriverRig();

    [TearDown]
    public void TearDown()
    {
        _rig.Dispose();
        Assert.That(_rig.Driver.LiveObjects, Is.Zero, "everything is freed");
    }

    [Test]
    public void Nothing_arrives_before_the_stream_is_synchronised()
    {
        using DeviceMemory data = _rig.Upload(1, 2, 3);
        using PinnedMemory result = _rig.Pin(3);
        _rig.Scale(data, 10);
        _rig.Driver.CopyToHost(result.Address, data.Address, data.Length, _rig.Stream);
        Assert.That(DriverRig.Floats(result).ToArray(), Is.All.NaN);
        _rig.Driver.Synchronize(_rig.Stream);
        Assert.That(DriverRig.Floats(result).ToArray(), Is.EqualTo(new float[] { 10, 20, 30 }));
    }

    [Test]
    public void Pinned_memory_is_read_when_the_copy_is_done()
    {
        using DeviceMemory data = _rig.Upload(0, 0);
        using PinnedMemory staging = _rig.Pin(2);
        DriverRig.Floats(staging).Fill(1);
        _rig.Driver.CopyToDevice(data.Address, staging.Address, data.Length, _rig.Stream);
        DriverRig.Floats(staging).Fill(2);
        Assert.That(_rig.Download(data), Is.EqualTo(new float[] { 2, 2 }), "staging was overwritten too early");
    }

    [Test]
    public void Pageable_memory_has_been_read_when_the_call_returns()
    {
        using DeviceMemory data = _rig.Upload(0, 0);
        float[] source = [1, 1];
        fixed (float* address = source)
        {
            _rig.Driver.CopyToDevice(data.Address, (nint)address, data.Length, _rig.Stream);
            Array.Fill(source, 2);
            Assert.That(_rig.Download(data), Is.EqualTo(new float[] { 1, 1 }));
        }
    }

    [Test]
    public void A_copy_to_pageable_memory_is_done_when_the_call_returns()
    {
        using DeviceMemory data = _rig.Upload(1, 2);
        _rig.Scale(data, 3);
        float[] result = [float.NaN, float.NaN];
        fixed (float* address = result)
        {
            _rig.Driver.CopyToHost((nint)address, data.Address, data.Length, _rig.Stream);
        }

        Assert.That(result, Is.EqualTo(new float[] { 3, 6 }));
    }

    [Test]
    public void Streams_do_not_wait_for_each_other([Values] bool waits)
    {
        using DeviceMemory data = _rig.Upload(1, 2);
        using PinnedMemory result = _rig.Pin(2);
        using CudaStream copies = _rig.Driver.CreateStream(_rig.Context);
        using CudaEvent computed = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        _rig.Scale(data, 5);
        _rig.Driver.Record(computed, _rig.Stream);
        if (waits)
        {
            _rig.Driver.Wait(copies, computed);
        }

        _rig.Driver.CopyToHost(result.Address, data.Address, data.Length, copies);
        _rig.Driver.Synchronize(copies);
        Assert.That(DriverRig.Floats(result).ToArray(), Is.EqualTo(waits ? new float[] { 5, 10 } : [1, 2]));
    }

    [Test]
    public void An_event_stands_for_its_latest_record_at_the_time_of_the_wait()
    {
        using DeviceMemory data = _rig.Upload(1);
        using PinnedMemory result = _rig.Pin(1);
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        _rig.Driver.Wait(other, mark);
        _rig.Scale(data, 2);
        _rig.Driver.Record(mark, _rig.Stream);
        _rig.Driver.Wait(other, mark);
        _rig.Scale(data, 3);
        _rig.Driver.Record(mark, _rig.Stream);
        _rig.Driver.CopyToHost(result.Address, data.Address, data.Length, other);
        _rig.Driver.Synchronize(other);
        Assert.That(DriverRig.Floats(result)[0], Is.EqualTo(2));
    }

    [Test]
    public void Two_streams_take_turns_by_events()
    {
        using DeviceMemory data = _rig.Upload(0);
        using CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        using CudaEvent here = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        using CudaEvent there = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        float expected = 0;
        for (int i = 0; i < 20; i++)
        {
            _rig.Shift(data, 1);
            _rig.Driver.Record(here, _rig.Stream);
            _rig.Driver.Wait(other, here);
            _rig.Scale(data, 2, other);
            _rig.Driver.Record(there, other);
            _rig.Driver.Wait(_rig.Stream, there);
            expected = (expected + 1) * 2;
        }

        Assert.That(_rig.Download(data)[0], Is.EqualTo(expected));
    }

    [Test]
    public void An_event_is_waited_for_no_further_than_its_record()
    {
        using DeviceMemory data = _rig.Upload(1);
        using PinnedMemory early = _rig.Pin(1);
        using PinnedMemory late = _rig.Pin(1);
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        _rig.Driver.CopyToHost(early.Address, data.Address, data.Length, _rig.Stream);
        _rig.Driver.Record(mark, _rig.Stream);
        _rig.Driver.CopyToHost(late.Address, data.Address, data.Length, _rig.Stream);
        _rig.Driver.Synchronize(mark);
        Assert.That((DriverRig.Floats(early)[0], DriverRig.Floats(late)[0]), Is.EqualTo((1f, float.NaN)));
    }

    [Test]
    public void Freeing_memory_waits_for_the_work_that_uses_it()
    {
        PinnedMemory staging = _rig.Pin(1);
        using PinnedMemory result = _rig.Pin(1);
        DeviceMemory data = _rig.Upload(1);
        DriverRig.Floats(staging)[0] = 7;
        _rig.Driver.CopyToDevice(data.Address, staging.Address, data.Length, _rig.Stream);
        staging.Dispose();
        _rig.Driver.CopyToHost(result.Address, data.Address, data.Length, _rig.Stream);
        data.Dispose();
        Assert.That(DriverRig.Floats(result)[0], Is.EqualTo(7));
    }

    [Test]
    public void The_work_of_a_destroyed_stream_is_still_done()
    {
        using DeviceMemory data = _rig.Upload(1);
        using CudaEvent mark = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        CudaStream other = _rig.Driver.CreateStream(_rig.Context);
        _rig.Scale(data, 4, other);
        _rig.Driver.Record(mark, other);
        other.Dispose();
        _rig.Driver.Wait(_rig.Stream, mark);
        Assert.That(_rig.Download(data)[0], Is.EqualTo(4));
    }

    [Test]
    public void Times_are_told_between_reached_events_only()
    {
        using DeviceMemory data = _rig.Upload(1);
        using CudaEvent start = _rig.Driver.CreateEvent(_rig.Context, timing: true);
        using CudaEvent end = _rig.Driver.CreateEvent(_rig.Context, timing: true);
        using CudaEvent untimed = _rig.Driver.CreateEvent(_rig.Context, timing: false);
        Assert.That(Code(() => _rig.Driver.ElapsedMilliseconds(start, end)), Is.EqualTo(DriverResult.InvalidHandle), "never recorded");
        _rig.Driver.Record(start, _rig.Stream);
        _rig.Scale(data, 2);
        _rig.Driver.Record(end, _rig.Stream);
        _rig.Driver.Record(untimed, _rig.Stream);
        Assert.That(Code(() => _rig.Driver.ElapsedMilliseconds(start, end)), Is.EqualTo(DriverResult.NotReady));
        _rig.Driver.Synchronize(_rig.Stream);
        Assert.That(_rig.Driver.ElapsedMilliseconds(start, end), Is.Positive);
        Assert.That(Code(() => _rig.Driver.ElapsedMilliseconds(start, untimed)), Is.EqualTo(DriverResult.InvalidHandle));
    }

    [Test]
    public void Fills_and_copies_work_within_a_block()
    {
        using DeviceMemory data = _rig.Upload(1, 2, 3, 4);
        _rig.Driver.CopyOnDevice(data.Address + 8, data.Address, 8, _rig.Stream);
        _rig.Driver.Fill(data.Address + 4, 0, 4, _rig.Stream);
        _rig.Driver.Fill(data.Address, 0xFF, 0, _rig.Stream);
        Assert.That(_rig.Download(data), Is.EqualTo(new float[] { 1, 0, 1, 2 }));
    }

    private static int? Code(Action action) => Assert.Throws<CudaException>(action)!.Error?.Code;
}
