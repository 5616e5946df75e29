namespace KernelAD.Interop;

/// <summary>Compiled kernels on a device.</summary>
public sealed class CudaModule : CudaHandle
{
    /// <summary>Takes ownership of a module.</summary>
    /// <param name="driver">The driver that loaded it.</param>
    /// <param name="context">The context it lives in.</param>
    /// <param name="handle">The driver's handle.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="log">What the driver's compiler said about it.</param>
    public CudaModule(ICudaDriver driver, CudaContext context, nint handle, string name, string log)
        : base(driver, context, handle)
    {
        Name = name;
        Log = log;
    }

    /// <summary>Its name, for messages.</summary>
    public string Name { get; }

    /// <summary>What the driver's compiler said about it; empty if nothing.</summary>
    public string Log { get; }

    /// <inheritdoc/>
    protected override bool Destroy(nint context) => Driver.UnloadModule(context, handle);
}
