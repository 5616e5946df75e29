using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Streams and events.</summary>
public partial class EmulatedDriver
{
    /// <inheritdoc/>
    public CudaStream CreateStream(CudaContext context)
    {
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, "cuStreamCreate");
            EmulatedStream stream = new();
            _device.Add(stream);
            return new CudaStream(this, context, Add(stream));
        }
    }

    /// <inheritdoc/>
    public void Synchronize(CudaStream stream)
    {
        const string Call = "cuStreamSynchronize";
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            RefuseWhileCapturing(Call);
            RefuseCapturing(queue, Call);
            _device.Drain(queue);
            ThrowIfLost(Call);
        }
    }

    /// <inheritdoc/>
    public void Wait(CudaStream stream, CudaEvent awaited)
    {
        const string Call = "cuStreamWaitEvent";
        using HandleLease queueLease = new(stream);
        using HandleLease markLease = new(awaited);
        lock (_lock)
        {
            EmulatedStream queue = Begin(queueLease, Call);
            EmulatedEvent mark = Find<EmulatedEvent>(markLease.Value, Call);
            if (mark.Capture is not null)
            {
                JoinCapture(queue, mark, Call);
            }
            else if (mark.Recorded is Completion place)
            {
                if (queue.Capture is CaptureSequence capture)
                {
                    capture.Invalidate();
                    throw Failure(Call, DriverResult.CaptureIsolation, "The event was recorded in a stream that does not take part in the capture.");
                }

                queue.Work.Enqueue(new StreamWork.Wait(place));
            }
        }
    }

    /// <inheritdoc/>
    public CudaEvent CreateEvent(CudaContext context, bool timing)
    {
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, "cuEventCreate");
            return new CudaEvent(this, context, Add(new EmulatedEvent(timing)));
        }
    }

    /// <inheritdoc/>
    public void Record(CudaEvent mark, CudaStream stream)
    {
        const string Call = "cuEventRecord";
        using HandleLease markLease = new(mark);
        using HandleLease queueLease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(queueLease, Call);
            EmulatedEvent recorded = Find<EmulatedEvent>(markLease.Value, Call);
            if (queue.Capture is CaptureSequence capture)
            {
                ThrowIfInvalidated(capture, Call);
                recorded.Record(capture, queue.Frontier);
            }
            else
            {
                recorded.Record(Mark(queue));
            }
        }
    }

    /// <inheritdoc/>
    public void Synchronize(CudaEvent mark)
    {
        const string Call = "cuEventSynchronize";
        using HandleLease lease = new(mark);
        lock (_lock)
        {
            Enter(Call);
            EmulatedEvent awaited = Find<EmulatedEvent>(lease.Value, Call);
            RefuseCaptured(awaited, Call);
            RefuseWhileCapturing(Call);
            if (awaited.Recorded is Completion place)
            {
                _device.Drain(place);
                ThrowIfLost(Call);
            }
        }
    }

    /// <summary>Milliseconds of the host's time between two reached events; says nothing about a GPU.</summary>
    /// <inheritdoc/>
    public float ElapsedMilliseconds(CudaEvent start, CudaEvent end)
    {
        const string Call = "cuEventElapsedTime";
        using HandleLease startLease = new(start);
        using HandleLease endLease = new(end);
        lock (_lock)
        {
            Enter(Call);
            return (float)Completion.Between(Reached(startLease.Value), Reached(endLease.Value)).TotalMilliseconds;
        }

        Completion Reached(nint handle)
        {
            EmulatedEvent mark = Find<EmulatedEvent>(handle, Call);
            RefuseCaptured(mark, Call);
            return mark.Recorded is not Completion place || !mark.TakesTime
                ? throw Failure(Call, DriverResult.InvalidHandle, "The event was never recorded, or does not take the time.")
                : place.IsReached ? place : throw Failure(Call, DriverResult.NotReady, "The event is not reached: synchronise with it first.");
        }
    }

    /// <summary>Destroys a stream. Its work is still done, as late as any.</summary>
    /// <inheritdoc/>
    public bool DestroyStream(nint context, nint stream)
    {
        lock (_lock)
        {
            if (context != _context || !_objects.TryGetValue(stream, out object? found) || found is not EmulatedStream queue)
            {
                return false;
            }

            // A capture cannot end without the stream it began in.
            if (queue.Capture is CaptureSequence capture)
            {
                capture.Invalidate();
                if (capture.Origin == queue)
                {
                    End(capture);
                }
            }

            _device.Remove(queue);
            return _objects.Remove(stream);
        }
    }

    /// <inheritdoc/>
    public bool DestroyEvent(nint context, nint mark)
    {
        lock (_lock)
        {
            return context == _context && Remove<EmulatedEvent>(mark);
        }
    }

    /// <summary>Begins a call that is about a stream.</summary>
    private EmulatedStream Begin(in HandleLease stream, string call)
    {
        Enter(call);
        return Find<EmulatedStream>(stream.Value, call);
    }

    /// <summary>Gives work to a stream, or to the capture that it is part of.</summary>
    private static void Submit(EmulatedStream stream, StreamWork work, string call)
    {
        if (stream.Capture is CaptureSequence capture)
        {
            ThrowIfInvalidated(capture, call);
            capture.Add(stream, work);
        }
        else
        {
            stream.Work.Enqueue(work);
        }
    }

    private static Completion Mark(EmulatedStream stream)
    {
        Completion place = new(stream);
        stream.Work.Enqueue(new StreamWork.Record(place));
        return place;
    }
}
