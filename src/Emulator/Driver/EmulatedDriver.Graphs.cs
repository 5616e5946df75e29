using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Captures and graphs. A capture is thread-local (<c>CU_STREAM_CAPTURE_MODE_THREAD_LOCAL</c>): only the thread that began it is hindered.</summary>
public partial class EmulatedDriver
{
    /// <inheritdoc/>
    public void BeginCapture(CudaStream stream)
    {
        const string Call = "cuStreamBeginCapture_v2";
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            if (queue.Capture is not null)
            {
                throw Failure(Call, DriverResult.IllegalState, "The stream is capturing already.");
            }

            CaptureSequence capture = new(queue);
            capture.Join(queue, []);
            _captures.Add(capture);
        }
    }

    /// <inheritdoc/>
    public CudaGraph EndCapture(CudaStream stream)
    {
        const string Call = "cuStreamEndCapture";
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            CaptureSequence capture = queue.Capture ?? throw Failure(Call, DriverResult.IllegalState, "The stream is not capturing.");
            if (capture.Origin != queue)
            {
                capture.Invalidate();
                throw Failure(Call, DriverResult.CaptureUnmatched, "The stream takes part in a capture that began in another one.");
            }

            if (capture.Thread != Environment.CurrentManagedThreadId)
            {
                throw Failure(Call, DriverResult.CaptureWrongThread, "A capture ends on the thread that it began on.");
            }

            bool hasUnjoinedWork = capture.HasUnjoinedWork;
            End(capture);
            ThrowIfInvalidated(capture, Call);
            return hasUnjoinedWork
                ? throw Failure(Call, DriverResult.CaptureUnjoined, "A stream that takes part has work for which the stream that began does not wait.")
                : new CudaGraph(this, stream.Context!, Add(new EmulatedGraph(capture.Nodes)));
        }
    }

    /// <inheritdoc/>
    public CudaGraphExecutable Instantiate(CudaGraph graph)
    {
        const string Call = "cuGraphInstantiate_v2";
        using HandleLease lease = new(graph);
        lock (_lock)
        {
            ThrowIfLost(Call);
            _current = this;
            EmulatedGraph recorded = Find<EmulatedGraph>(lease.Value, Call);
            return new CudaGraphExecutable(this, graph.Context!, Add(new EmulatedGraphExecutable(recorded)));
        }
    }

    /// <inheritdoc/>
    public void Launch(CudaGraphExecutable graph, CudaStream stream)
    {
        const string Call = "cuGraphLaunch";
        using HandleLease graphLease = new(graph);
        using HandleLease queueLease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(queueLease, Call);
            EmulatedGraphExecutable executable = Find<EmulatedGraphExecutable>(graphLease.Value, Call);
            StreamWork.Graph work = new(executable.Work);
            if (queue.Capture is not null)
            {
                Submit(queue, work, Call);
                return;
            }

            // Two launches of one executable graph never overlap, whatever their streams.
            if (executable.LatestLaunch is Completion latest)
            {
                queue.Work.Enqueue(new StreamWork.Wait(latest));
            }

            queue.Work.Enqueue(work);
            executable.LatestLaunch = Mark(queue);
        }
    }

    /// <inheritdoc/>
    public bool DestroyGraph(nint context, nint graph)
    {
        lock (_lock)
        {
            return context == _context && Remove<EmulatedGraph>(graph);
        }
    }

    /// <inheritdoc/>
    public bool DestroyGraphExecutable(nint context, nint graph)
    {
        lock (_lock)
        {
            return context == _context && Remove<EmulatedGraphExecutable>(graph);
        }
    }

    private static void ThrowIfInvalidated(CaptureSequence capture, string call)
    {
        if (capture.IsInvalidated)
        {
            throw Failure(call, DriverResult.CaptureInvalidated, "An earlier call of this capture failed.");
        }
    }

    private static void RefuseCaptured(EmulatedEvent mark, string call)
    {
        if (mark.Capture is CaptureSequence capture)
        {
            capture.Invalidate();
            throw Failure(call, DriverResult.CapturedEvent, "Record it outside the capture to wait for it.");
        }
    }

    private static void RefuseCapturing(EmulatedStream stream, string call)
    {
        if (stream.Capture is CaptureSequence capture)
        {
            capture.Invalidate();
            throw Failure(call, DriverResult.CaptureUnsupported, "The stream records its work and does nothing to wait for.");
        }
    }

    /// <summary>Lets a stream wait for an event that was recorded in a capture, by which it takes part in it.</summary>
    private static void JoinCapture(EmulatedStream stream, EmulatedEvent mark, string call)
    {
        CaptureSequence capture = mark.Capture!;
        if (capture.HasEnded)
        {
            throw Failure(call, DriverResult.CapturedEvent, "The capture has ended, so the event stands for nothing that is done.");
        }

        ThrowIfInvalidated(capture, call);
        if (stream.Capture is CaptureSequence other && other != capture)
        {
            capture.Invalidate();
            other.Invalidate();
            throw Failure(call, DriverResult.CaptureMerge, "Stream and event take part in different captures.");
        }

        capture.Join(stream, mark.Nodes);
    }

    /// <summary>Refuses a call that waits or allocates while its thread captures, and spoils the capture, as NVIDIA's driver does.</summary>
    private void RefuseWhileCapturing(string call)
    {
        if (InvalidateOwnCaptures())
        {
            throw Failure(call, DriverResult.CaptureUnsupported, "This thread has begun a capture that has not ended.");
        }
    }

    private bool InvalidateOwnCaptures()
    {
        bool any = false;
        foreach (CaptureSequence capture in _captures.Where(capture => capture.Thread == Environment.CurrentManagedThreadId))
        {
            capture.Invalidate();
            any = true;
        }

        return any;
    }

    private void End(CaptureSequence capture)
    {
        capture.End();
        _captures.Remove(capture);
    }
}
