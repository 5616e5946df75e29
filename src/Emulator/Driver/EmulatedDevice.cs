using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>
/// The device behind <see cref="EmulatedDriver"/>: its memory, its streams, and what came of their work. Work is done when something waits for it and not
/// before. Not thread-safe.
/// </summary>
/// <param name="options">How kernels are run.</param>
/// <param name="memory">The device's memory.</param>
internal sealed unsafe class EmulatedDevice(EmulatorOptions options, GlobalMemory memory)
{
    private readonly List<EmulatedStream> _streams = [];

    /// <summary>How kernels are run.</summary>
    public EmulatorOptions Options { get; } = options;

    /// <summary>The device's memory.</summary>
    public GlobalMemory Memory { get; } = memory;

    /// <summary>What was wrong with kernels.</summary>
    public List<Finding> Findings { get; } = [];

    /// <summary>Kernels that were run, if counting is on.</summary>
    public List<LaunchRecord> Launches { get; } = [];

    /// <summary>Why the device can no longer be used; null if it can.</summary>
    public DeviceFault? Fault { get; private set; }

    /// <summary>Adds a stream.</summary>
    public void Add(EmulatedStream stream) => _streams.Add(stream);

    /// <summary>Lets go of a destroyed stream, after which its work is still to be done, as late as any.</summary>
    public void Remove(EmulatedStream stream)
    {
        if (stream.Work.Count == 0)
        {
            _streams.Remove(stream);
        }
    }

    /// <summary>Does all of a stream's work.</summary>
    public void Drain(EmulatedStream stream)
    {
        while (stream.Work.TryDequeue(out StreamWork? work))
        {
            Execute(work);
        }
    }

    /// <summary>Does a stream's work up to a place.</summary>
    public void Drain(Completion place)
    {
        while (!place.IsReached && place.Stream.Work.TryDequeue(out StreamWork? work))
        {
            Execute(work);
        }
    }

    /// <summary>Does all streams' work.</summary>
    public void DrainAll()
    {
        foreach (EmulatedStream stream in _streams)
        {
            Drain(stream);
        }
    }

    /// <summary>Where a range lies in the host's memory.</summary>
    /// <exception cref="DeviceFault">It is not allocated, or no longer.</exception>
    public byte* Resolve(ulong address, long length, string purpose)
    {
        byte* host = Memory.Resolve(address, length);
        if (host is null)
        {
            string state = Memory.WasFreed(address) ? "freed" : "not allocated";
            throw new DeviceFault(CudaResult.IllegalAddress, $"A {purpose} of {length} bytes at 0x{address:x} reaches memory that is {state}.");
        }

        return host;
    }

    /// <summary>Keeps a record of a kernel that was run.</summary>
    public void Note(LaunchRecord launch)
    {
        if (Options.Count)
        {
            Launches.Add(launch);
        }
    }

    /// <summary>Frees all memory and drops all work.</summary>
    public void Reset()
    {
        _streams.Clear();
        Memory.Dispose();
    }

    private void Execute(StreamWork work)
    {
        try
        {
            work.Execute(this);
        }
        catch (EmulatorFaultException e)
        {
            Findings.AddRange(e.Findings);
            Lose(new DeviceFault(e.ResultCode, e.Message));
        }
        catch (DeviceFault e)
        {
            Lose(e);
        }
    }

    private void Lose(DeviceFault fault)
    {
        Fault = fault;
        foreach (EmulatedStream stream in _streams)
        {
            stream.Work.Clear();
        }
    }
}
