namespace KernelAD.Interop;

/// <summary>Recorded device work, ready to be launched any number of times.</summary>
public sealed class CudaGraphExecutable : CudaHandle
{
    /// <summary>Takes ownership of an instantiated graph.</summary>
    /// <param name="driver">The driver that made it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">The driver's handle.</param>
    public CudaGraphExecutable(ICudaDriver driver, CudaContext context, nint handle)
        : base(driver, context, handle)
    {
    }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.DestroyGraphExecutable(context, handle);
}
