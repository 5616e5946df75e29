namespace KernelAD.Emulator;

/// <summary>What an operation counts as.</summary>
internal enum OpClass : byte
{
    /// <summary>Integer, logic, comparison, selection, move.</summary>
    Alu,

    /// <summary>Integer multiplication, on the multiply-add pipe.</summary>
    IntegerMultiply,

    /// <summary>FP32 addition.</summary>
    Fadd,

    /// <summary>FP32 multiplication.</summary>
    Fmul,

    /// <summary>FP32 fused multiply-add.</summary>
    Ffma,

    /// <summary>A single FP16 or BF16 addition or multiplication.</summary>
    Half,

    /// <summary>A single FP16 or BF16 fused multiply-add.</summary>
    HalfFma,

    /// <summary>Two FP16 or BF16 additions or multiplications.</summary>
    Half2,

    /// <summary>Two FP16 or BF16 fused multiply-adds.</summary>
    Half2Fma,

    /// <summary>FP64 addition, multiplication and others.</summary>
    Double,

    /// <summary>FP64 fused multiply-add.</summary>
    DoubleFma,

    /// <summary>Special functions and conversions.</summary>
    Special,

    /// <summary>Matrix multiply-add; <see cref="Op.Immediate"/> holds its operations.</summary>
    Tensor,

    /// <summary>A load.</summary>
    Load,

    /// <summary>A store.</summary>
    Store,

    /// <summary>An atomic operation or reduction.</summary>
    Atomic,

    /// <summary>A matrix load from shared memory.</summary>
    MatrixLoad,

    /// <summary>An asynchronous copy.</summary>
    AsyncCopy,

    /// <summary>Commits and waits of asynchronous copies, fences.</summary>
    Order,

    /// <summary>A shuffle.</summary>
    Shuffle,

    /// <summary>A vote, match or reduction over the warp.</summary>
    Vote,

    /// <summary>A barrier.</summary>
    Barrier,

    /// <summary>A branch or exit.</summary>
    Control,

    /// <summary>The emulator's own; not counted.</summary>
    None,
}
