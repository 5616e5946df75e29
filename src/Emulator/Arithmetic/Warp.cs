namespace KernelAD.Emulator;

/// <summary>
/// What the arithmetic agrees on with the executor. A register of a warp is a row: the values of its 32 lanes one after another, 64 bits each for a 64-bit
/// type and 32 bits for all others; narrower values lie in the low bits, the bits above are ignored when read and extend the value when written. Functions
/// compute all lanes, active or not; a destination may be one of the sources.
/// </summary>
internal static class Warp
{
    /// <summary>How many lanes a warp has.</summary>
    public const int Lanes = 32;
}
