using System.Runtime.InteropServices;

namespace KernelAD.Interop;

/// <summary>
/// A native object of a driver, freed once by <see cref="SafeHandle.Dispose()"/> or else by the finaliser. It keeps its context alive, so the order of disposal
/// does not matter.
/// </summary>
public abstract class CudaHandle : SafeHandle
{
    /// <summary>Takes ownership of a native object.</summary>
    /// <param name="driver">The driver that made it and will free it.</param>
    /// <param name="context">The context it lives in; null for a context itself.</param>
    /// <param name="handle">The driver's handle, never zero.</param>
    protected CudaHandle(ICudaDriver driver, CudaContext? context, nint handle)
        : base(0, ownsHandle: true)
    {
        ArgumentNullException.ThrowIfNull(driver);
        Driver = driver;
        Context = context;
        bool held = false;
        context?.DangerousAddRef(ref held);
        SetHandle(handle);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Whether it was disposed, and so may not be used; its native object can live on for a while, as long as something depends on it.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>The context it lives in; null for a context itself.</summary>
    public CudaContext? Context { get; }

    /// <summary>The driver that made it.</summary>
    protected ICudaDriver Driver { get; }

    /// <summary>Asks the driver to free the object.</summary>
    /// <param name="context">The native handle of the context it lives in; zero for a context itself.</param>
    /// <returns>Whether the driver reported success.</returns>
    protected abstract bool Destroy(nint context);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        IsDisposed = true;
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected sealed override bool ReleaseHandle()
    {
        bool freed = Destroy(Context?.DangerousGetHandle() ?? 0);
        Context?.DangerousRelease();
        return freed;
    }
}
