namespace KernelAD.Emulator;

/// <summary>A loaded module, and the handles of those of its kernels that were asked for.</summary>
/// <param name="Module">The module.</param>
internal sealed record EmulatedModule(PtxModule Module)
{
    /// <summary>The handles by the kernels' names.</summary>
    public Dictionary<string, nint> Functions { get; } = new(StringComparer.Ordinal);
}
