namespace KernelAD.Interop;

/// <summary>Recorded device work, to be instantiated.</summary>
public sealed class CudaGraph : CudaHandle
{
    /// <summary>Takes ownership of a graph.</summary>
    /// <param name="driver">The driver that made it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">The driver's handle.</param>
    public CudaGraph(ICudaDriver driver, CudaContext context, nint handle)
        : base(driver, context, handle)
    {
    }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.DestroyGraph(context, handle);
}
