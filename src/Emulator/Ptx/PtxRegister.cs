namespace KernelAD.Emulator;

/// <summary>A declared register that is used.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Index">Its number among the entry's registers that are used; no two are the same object with one number.</param>
internal sealed record PtxRegister(string Name, PtxType Type, int Index);
