namespace KernelAD.Interop;

/// <summary>A queue of device work, done in order.</summary>
#pragma warning disable CA1711 // CUDA's own term for it; nobody takes it for a System.IO.Stream.
public sealed class CudaStream : CudaHandle
#pragma warning restore CA1711
{
    /// <summary>Takes ownership of a stream.</summary>
    /// <param name="driver">The driver that made it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">The driver's handle.</param>
    public CudaStream(ICudaDriver driver, CudaContext context, nint handle)
        : base(driver, context, handle)
    {
    }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.DestroyStream(context, handle);
}
