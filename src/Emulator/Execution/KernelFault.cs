namespace KernelAD.Emulator;

/// <summary>Stops a launch at a fault; the finding is made from it where block and warp are known.</summary>
/// <param name="kind">What kind of fault.</param>
/// <param name="lane">The first lane concerned.</param>
/// <param name="address">The address accessed; null if the fault is not about an address.</param>
/// <param name="message">What happened, in one sentence.</param>
internal sealed class KernelFault(FindingKind kind, int lane, ulong? address, string message) : Exception(message)
{
    /// <summary>What kind of fault.</summary>
    public FindingKind Kind { get; } = kind;

    /// <summary>The first lane concerned.</summary>
    public int Lane { get; } = lane;

    /// <summary>The address accessed; null if the fault is not about an address.</summary>
    public ulong? Address { get; } = address;
}
