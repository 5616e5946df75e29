namespace KernelAD.Interop;

/// <summary>Keeps a handle from being freed during a call; the constructor throws <see cref="ObjectDisposedException"/> if it already is.</summary>
internal readonly ref struct HandleLease : IDisposable
{
    private readonly CudaHandle _handle;

    public HandleLease(CudaHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        ObjectDisposedException.ThrowIf(handle.IsDisposed, handle);
        bool held = false;
        handle.DangerousAddRef(ref held);
        _handle = handle;
    }

    public nint Value => _handle.DangerousGetHandle();

    public void Dispose() => _handle.DangerousRelease();
}
