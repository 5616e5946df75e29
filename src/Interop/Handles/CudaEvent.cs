namespace KernelAD.Interop;

/// <summary>A mark in a stream's work, to wait for or to take the time at.</summary>
public sealed class CudaEvent : CudaHandle
{
    /// <summary>Takes ownership of an event.</summary>
    /// <param name="driver">The driver that made it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">The driver's handle.</param>
    public CudaEvent(ICudaDriver driver, CudaContext context, nint handle)
        : base(driver, context, handle)
    {
    }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.DestroyEvent(context, handle);
}
