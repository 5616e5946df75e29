namespace KernelAD.Emulator;

/// <summary>Where a register gets its value from.</summary>
internal enum ValueSource : byte
{
    /// <summary>From instructions.</summary>
    Computed,

    /// <summary>It is the same number in all lanes, known when the module is loaded.</summary>
    Constant,

    /// <summary>It is a piece of the launch's parameters.</summary>
    Parameter,

    /// <summary>It is a special register.</summary>
    Special,
}

/// <summary>Special registers that do not change while a block runs.</summary>
internal enum SpecialRegister : byte
{
    ThreadX,
    ThreadY,
    ThreadZ,
    BlockSizeX,
    BlockSizeY,
    BlockSizeZ,
    BlockX,
    BlockY,
    BlockZ,
    GridSizeX,
    GridSizeY,
    GridSizeZ,
    Lane,
    WarpIndex,
    WarpCount,
    LaneMaskEqual,
    LaneMaskLess,
    LaneMaskLessOrEqual,
    LaneMaskGreater,
    LaneMaskGreaterOrEqual,
    Multiprocessor,
    MultiprocessorCount,
    DynamicSharedBytes,
    TotalSharedBytes,
}
