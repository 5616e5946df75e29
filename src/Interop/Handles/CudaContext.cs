namespace KernelAD.Interop;

/// <summary>A reference to a device's primary context. The native release waits until everything made in the context is freed.</summary>
public sealed class CudaContext : CudaHandle
{
    /// <summary>Takes ownership of one reference.</summary>
    /// <param name="driver">The driver that retained it.</param>
    /// <param name="device">The device's ordinal.</param>
    /// <param name="handle">The driver's handle.</param>
    public CudaContext(ICudaDriver driver, int device, nint handle)
        : base(driver, context: null, handle) => Device = device;

    /// <summary>The device's ordinal.</summary>
    public int Device { get; }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.ReleasePrimaryContext(Device);
}
