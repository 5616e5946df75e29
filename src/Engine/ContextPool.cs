using KernelAD.Backends;
using KernelAD.Preprocessing;

namespace KernelAD;

/// <summary>All the memory that one running call needs.</summary>
internal sealed class CallMemory(IRunContext context) : IDisposable
{
    /// <summary>The plan's memory.</summary>
    public IRunContext Context { get; } = context;

    /// <summary>The preprocessor's.</summary>
    public PreprocessingScratch Scratch { get; } = new();

    public void Dispose() => Context.Dispose();
}

/// <summary>
/// The call memories of one plan: created when first needed, reused afterwards, at most <c>limit</c> of them; further callers wait. Renting and returning
/// allocate nothing. Disposal waits for the calls that run.
/// </summary>
internal sealed class ContextPool : IDisposable
{
    private readonly IExecutable _executable;
    private readonly Stack<CallMemory> _idle = [];
    private readonly object _gate = new();
    private readonly SemaphoreSlim _free;
    private int _created;
    private bool _disposed;

    public ContextPool(IExecutable executable, int limit)
    {
        _executable = executable;
        _free = new SemaphoreSlim(limit, limit);
    }

    public IExecutable Executable => _executable;

    public CallMemory Rent(CancellationToken cancellation)
    {
        // The token is registered with, which may allocate, only where there is a wait to cancel.
        if (!_free.Wait(0, CancellationToken.None))
        {
            _free.Wait(cancellation);
        }

        try
        {
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, typeof(AnomalyDetector));
                if (_idle.TryPop(out CallMemory? memory))
                {
                    return memory;
                }

                CallMemory created = new(_executable.CreateContext());
                _created++;
                return created;
            }
        }
        catch
        {
            _free.Release();
            throw;
        }
    }

    public void Return(CallMemory memory)
    {
        lock (_gate)
        {
            _idle.Push(memory);
            Monitor.PulseAll(_gate);
        }

        _free.Release();
    }

    public void Dispose()
    {
        // The semaphore stays: callers that wait for it have to wake up and be told.
        lock (_gate)
        {
            _disposed = true;
            while (_idle.Count < _created)
            {
                Monitor.Wait(_gate);
            }

            _created = 0;
            while (_idle.TryPop(out CallMemory? memory))
            {
                memory.Dispose();
            }
        }
    }
}
