namespace KernelAD.Emulator;

/// <summary>What a row of the register file holds.</summary>
internal enum RegisterClass : byte
{
    /// <summary>A value of at most 32 bits for each lane.</summary>
    Row32,

    /// <summary>A 64-bit value for each lane.</summary>
    Row64,

    /// <summary>A bit for each lane.</summary>
    Predicate,
}
