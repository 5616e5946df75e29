namespace KernelAD.Emulator;

/// <summary>A register before a place in the register file is found for it.</summary>
/// <param name="Class">What it holds.</param>
/// <param name="Source">Where its value comes from.</param>
/// <param name="Value">The constant's bits, the <see cref="SpecialRegister"/>, or the parameter's offset in bytes (bits 0–31), size (32–39) and sign
/// (40).</param>
internal readonly record struct VirtualRegister(RegisterClass Class, ValueSource Source, ulong Value);
