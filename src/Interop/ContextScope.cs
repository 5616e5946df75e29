namespace KernelAD.Interop;

/// <summary>Makes a context current while an object is freed, on whatever thread that happens, and restores the thread's own context. Never throws.</summary>
internal readonly unsafe ref struct ContextScope : IDisposable
{
    private readonly LibCuda _cuda;
    private readonly bool _pushed;

    public ContextScope(LibCuda cuda, nint context)
    {
        _cuda = cuda;
        _pushed = cuda.cuCtxPushCurrent_v2(context) == CudaResult.Success;
    }

    public void Dispose()
    {
        nint popped;
        if (_pushed)
        {
            _ = _cuda.cuCtxPopCurrent_v2(&popped);
        }
    }
}
