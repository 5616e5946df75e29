using System.Globalization;
using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>A fault of a kernel, and where it was found.</summary>
/// <param name="Kind">What kind of fault.</param>
/// <param name="Kernel">The entry's name.</param>
/// <param name="Line">The instruction's line in the PTX, from 1.</param>
/// <param name="Source">The line it was compiled from as <c>file:line</c>; null where the PTX does not say.</param>
/// <param name="Block">The block's index.</param>
/// <param name="Thread">The thread's index in its block; of a warp's fault, the first thread concerned.</param>
/// <param name="Address">The address accessed, in the address space that the message names; null if the fault is not about an address.</param>
/// <param name="Message">What happened, in one sentence.</param>
public sealed record Finding(
    FindingKind Kind, string Kernel, int Line, string? Source, LaunchSize Block, LaunchSize Thread, ulong? Address, string Message)
{
    /// <summary>One sentence with everything.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Kind} in kernel '{Kernel}', PTX line {Line}{(Source is null ? "" : $" ({Source})")}, ")
        + string.Create(CultureInfo.InvariantCulture, $"block ({Block.X},{Block.Y},{Block.Z}), thread ({Thread.X},{Thread.Y},{Thread.Z}): {Message}");
}
