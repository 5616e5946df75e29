namespace KernelAD.Emulator;

/// <summary>Where shared and local memory lie among generic addresses: far below <see cref="GlobalMemory.FirstAddress"/>.</summary>
internal static class AddressSpaces
{
    /// <summary>The generic address of shared memory's first byte.</summary>
    public const ulong Shared = 0x0100_0000_0000;

    /// <summary>The generic address of local memory's first byte.</summary>
    public const ulong Local = 0x0200_0000_0000;

    /// <summary>How many addresses each of the two has.</summary>
    public const ulong Window = 1UL << 24;

    /// <summary>The space of a generic address.</summary>
    /// <param name="address">The address.</param>
    public static PtxSpace Of(ulong address) =>
        address - Shared < Window ? PtxSpace.Shared : address - Local < Window ? PtxSpace.Local : PtxSpace.Global;

    /// <summary>What is to be added to a space's address to make it generic.</summary>
    /// <param name="space">The space.</param>
    public static ulong Base(PtxSpace space) => space switch { PtxSpace.Shared => Shared, PtxSpace.Local => Local, _ => 0 };

    /// <summary>A space's name for messages.</summary>
    /// <param name="space">The space.</param>
    public static string Name(PtxSpace space) => space switch
    {
        PtxSpace.Shared => "shared",
        PtxSpace.Local => "local",
        PtxSpace.Constant => "constant",
        PtxSpace.Parameter => "parameter",
        _ => "global",
    };
}
