using System.Diagnostics;
using System.Runtime.InteropServices;
using KernelAD.Interop;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// The memory for one run at a time: the arena on the device, pinned memory for input and results, streams. The plan's launches are captured into one
/// graph when
/// the context is made; a run copies the input, replays the graph and copies the results, each on a stream of its own, joined by events, and waits once, at
/// its end.
/// </summary>
internal sealed class CudaRunContext : IRunContext
{
    private readonly CudaSession _session;
    private readonly Stack<IDisposable> _owned = [];
    private readonly DeviceMemory _arena;
    private readonly PinnedMemory _input;
    private readonly PinnedMemory _results;
    private readonly CudaStream _upload;
    private readonly CudaStream _compute;
    private readonly CudaStream _download;
    private readonly CudaEvent _uploaded;
    private readonly CudaEvent _computed;
    private readonly CudaGraphExecutable _graph;
    private readonly PlannedLaunch[] _launches;
    private readonly DeviceAddress _inputTarget;
    private readonly Dictionary<string, (int Offset, int Bytes, DeviceAddress Source)> _resultPlaces = new(StringComparer.Ordinal);
    private CudaEvent[]? _marks;

    /// <summary>Makes the memory and captures the graph. The device's context must be current.</summary>
    /// <exception cref="CudaException">The driver refused; nothing is left behind.</exception>
    public CudaRunContext(CudaPlan plan)
    {
        _session = plan.Session;
        ICudaDriver driver = _session.Driver;
        CudaContext context = _session.Context;
        try
        {
            _arena = Own(driver.AllocateDevice(context, Math.Max(plan.ActivationBytes, 1)));
            DeviceRun run = new(_arena.Address, 0);
            _inputTarget = Address(plan.Input.Value.Resolve(run));
            _input = Own(driver.AllocatePinned(context, checked((int)(plan.Input.Shape.Count * sizeof(float)))));
            _results = Own(driver.AllocatePinned(context, Place(plan.Values, run)));
            _upload = Own(driver.CreateStream(context));
            _compute = Own(driver.CreateStream(context));
            _download = Own(driver.CreateStream(context));
            _uploaded = Own(driver.CreateEvent(context, timing: false));
            _computed = Own(driver.CreateEvent(context, timing: false));
            _launches = [.. plan.Launches(_arena.Address)];
            // Modules are loaded before the capture: the driver allocates for them, which a capture must not meet.
            foreach (PlannedLaunch planned in _launches)
            {
                _session.Function(planned.Launch);
            }

            _graph = Own(Capture(driver));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Span<float> Input => MemoryMarshal.Cast<byte, float>(_input.Span);

    public void Run(Span<long> ticks, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        _session.Enter();
        ICudaDriver driver = _session.Driver;
        try
        {
            driver.CopyToDevice(_inputTarget, _input.Address, _input.Length, _upload);
            driver.Record(_uploaded, _upload);
            driver.Wait(_compute, _uploaded);
            if (ticks.IsEmpty)
            {
                driver.Launch(_graph, _compute);
            }
            else
            {
                LaunchTimed(driver);
            }

            driver.Record(_computed, _compute);
            driver.Wait(_download, _computed);
            foreach ((_, (int offset, int bytes, DeviceAddress source)) in _resultPlaces)
            {
                driver.CopyToHost(_results.Address + offset, source, bytes, _download);
            }

            driver.Synchronize(_download);
            if (!ticks.IsEmpty)
            {
                ReadTimes(driver, ticks);
            }
        }
        catch (CudaException e)
        {
            _session.NoteFailure(e);
            Settle();
            throw;
        }
    }

    public ReadOnlySpan<float> Result(string name)
    {
        (int offset, int bytes, _) = _resultPlaces[name];
        return MemoryMarshal.Cast<byte, float>(_results.Span.Slice(offset, bytes));
    }

    public void Dispose()
    {
        while (_owned.TryPop(out IDisposable? owned))
        {
            owned.Dispose();
        }
    }

    private static DeviceAddress Address(long address) => new((ulong)address);

    private T Own<T>(T handle)
        where T : IDisposable
    {
        _owned.Push(handle);
        return handle;
    }

    /// <summary>Lays the results out in pinned memory.</summary>
    private int Place(IReadOnlyDictionary<string, (DeviceValue Value, Shape Shape)> results, DeviceRun run)
    {
        const int Alignment = 64;
        long length = 0;
        foreach ((string name, (DeviceValue value, Shape shape)) in results)
        {
            long bytes = shape.Count * sizeof(float);
            if (length + bytes > int.MaxValue - Alignment)
            {
                throw new TensorException("the results of one run take more than 2 GB; ask for fewer intermediates, or run fewer pictures at a time");
            }

            _resultPlaces.Add(name, ((int)length, (int)bytes, Address(value.Resolve(run))));
            length += (bytes + Alignment - 1) / Alignment * Alignment;
        }

        return (int)Math.Max(length, 1);
    }

    private CudaGraphExecutable Capture(ICudaDriver driver)
    {
        driver.BeginCapture(_compute);
        try
        {
            foreach (PlannedLaunch planned in _launches)
            {
                Launch(driver, planned.Launch);
            }
        }
        catch
        {
            // The stream must leave the capture before it is destroyed; the first error is the one to report.
            try
            {
                driver.EndCapture(_compute).Dispose();
            }
            catch (CudaException)
            {
            }

            throw;
        }

        using CudaGraph graph = driver.EndCapture(_compute);
        return driver.Instantiate(graph);
    }

    private unsafe void Launch(ICudaDriver driver, KernelLaunch launch)
    {
        fixed (byte* arguments = launch.Arguments)
        {
            driver.Launch(_session.Function(launch), launch.Grid, launch.Block, launch.SharedBytes, _compute, [(nint)arguments]);
        }
    }

    /// <summary>Launches one by one with an event after each, so that every step's time can be told.</summary>
    private void LaunchTimed(ICudaDriver driver)
    {
        if (_marks is null)
        {
            CudaEvent[] marks = new CudaEvent[_launches.Length + 1];
            for (int i = 0; i < marks.Length; i++)
            {
                marks[i] = Own(driver.CreateEvent(_session.Context, timing: true));
            }

            _marks = marks;
        }

        driver.Record(_marks[0], _compute);
        for (int i = 0; i < _launches.Length; i++)
        {
            Launch(driver, _launches[i].Launch);
            driver.Record(_marks[i + 1], _compute);
        }
    }

    private void ReadTimes(ICudaDriver driver, Span<long> ticks)
    {
        ticks.Clear();
        for (int i = 0; i < _launches.Length; i++)
        {
            double milliseconds = driver.ElapsedMilliseconds(_marks![i], _marks[i + 1]);
            ticks[_launches[i].Step] += (long)(milliseconds / 1000 * Stopwatch.Frequency);
        }
    }

    /// <summary>
    /// After a failure: waits for what was begun, so that the next run finds idle streams. The failure is what gets reported, whatever happens here.
    /// </summary>
    private void Settle()
    {
        foreach (CudaStream stream in (ReadOnlySpan<CudaStream>)[_upload, _compute, _download])
        {
            try
            {
                _session.Driver.Synchronize(stream);
            }
            catch (CudaException e)
            {
                _session.NoteFailure(e);
            }
        }
    }
}
