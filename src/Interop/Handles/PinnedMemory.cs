namespace KernelAD.Interop;

/// <summary>A block of page-locked host memory: copies from and to it overlap with other work.</summary>
public sealed class PinnedMemory : CudaHandle
{
    /// <summary>Takes ownership of a block.</summary>
    /// <param name="driver">The driver that allocated it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">Its address.</param>
    /// <param name="length">Its length in bytes.</param>
    public PinnedMemory(ICudaDriver driver, CudaContext context, nint handle, int length)
        : base(driver, context, handle) => Length = length;

    /// <summary>Length in bytes.</summary>
    public int Length { get; }

    /// <summary>The first byte's address.</summary>
    /// <exception cref="ObjectDisposedException">The memory is freed.</exception>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            return handle;
        }
    }

    /// <summary>The bytes; must not be used after disposal.</summary>
    /// <exception cref="ObjectDisposedException">The memory is freed.</exception>
    public unsafe Span<byte> Span => new((void*)Address, Length);

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.FreePinned(context, handle);
}
