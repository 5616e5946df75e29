namespace KernelAD.Emulator;

/// <summary>A kernel's parameter.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Offset">Its first byte's offset among the parameters.</param>
internal sealed record PtxParameter(string Name, int Size, int Offset);
