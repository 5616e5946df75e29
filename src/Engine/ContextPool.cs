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
/// allocate nothing.
/// </summary>
internal sealed class ContextPool : IDisposable
{
    private readonly IExecutable _executable;
    private readonly CallMemory?[] _idle;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _free;
    private int _idleCount;

    public ContextPool(IExecutable executable, int limit)
    {
        _executable = executable;
        _idle = new CallMemory?[limit];
        _free = new SemaphoreSlim(limit, limit);
    }

    public IExecutable Executable => _executable;

    public CallMemory Rent(CancellationToken cancellation)
    {
        _free.Wait(cancellation);
        lock (_lock)
        {
            if (_idleCount > 0)
            {
                return _idle[--_idleCount]!;
            }
        }

        try
        {
            return new CallMemory(_executable.CreateContext());
        }
        catch
        {
            _free.Release();
            throw;
        }
    }

    public void Return(CallMemory memory)
    {
        lock (_lock)
        {
            _idle[_idleCount++] = memory;
        }

        _free.Release();
    }

    public void Dispose()
    {
        while (_idleCount > 0)
        {
            _idle[--_idleCount]!.Dispose();
        }

        _free.Dispose();
    }
}
