namespace KernelAD.Interop;

/// <summary>A block of a device's memory.</summary>
public sealed class DeviceMemory : CudaHandle
{
    /// <summary>Takes ownership of a block.</summary>
    /// <param name="driver">The driver that allocated it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">Its address on the device.</param>
    /// <param name="length">Its length in bytes.</param>
    public DeviceMemory(ICudaDriver driver, CudaContext context, nint handle, long length)
        : base(driver, context, handle) => Length = length;

    /// <summary>Length in bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte's address.</summary>
    /// <exception cref="ObjectDisposedException">The memory is freed.</exception>
    public DeviceAddress Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            return new DeviceAddress((ulong)handle);
        }
    }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.FreeDevice(context, new DeviceAddress((ulong)handle));
}
