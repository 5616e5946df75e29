namespace KernelAD.Interop;

/// <summary>The extent of a grid in blocks, or of a block in threads.</summary>
/// <param name="X">Along x, the fastest index.</param>
/// <param name="Y">Along y.</param>
/// <param name="Z">Along z.</param>
public readonly record struct LaunchSize(int X, int Y = 1, int Z = 1);
