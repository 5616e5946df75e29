namespace KernelAD.Emulator;

/// <summary>Lanes that wait for others of their warp: at <paramref name="Pc"/>, until those come to <paramref name="Join"/>.</summary>
/// <param name="Pc">Where they go on.</param>
/// <param name="Join">Where they meet the others.</param>
/// <param name="Mask">The lanes.</param>
internal readonly record struct FlowEntry(int Pc, int Join, uint Mask);
