namespace KernelAD.Emulator;

/// <summary>PTX's fundamental types.</summary>
internal enum PtxType : byte
{
    /// <summary>No type.</summary>
    None,
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    BF16,
    BF16x2,
    TF32,
    F32,
    F64,
    Predicate,
}

/// <summary>What a <see cref="PtxType"/> is like.</summary>
internal static class PtxTypes
{
    /// <summary>The type of a modifier without its dot; <see cref="PtxType.None"/> if it is not a type.</summary>
    /// <param name="modifier">The modifier, e.g. <c>u32</c>.</param>
    public static PtxType Parse(string modifier) => modifier switch
    {
        "b8" => PtxType.B8,
        "b16" => PtxType.B16,
        "b32" => PtxType.B32,
        "b64" => PtxType.B64,
        "b128" => PtxType.B128,
        "u8" => PtxType.U8,
        "u16" => PtxType.U16,
        "u32" => PtxType.U32,
        "u64" => PtxType.U64,
        "s8" => PtxType.S8,
        "s16" => PtxType.S16,
        "s32" => PtxType.S32,
        "s64" => PtxType.S64,
        "f16" => PtxType.F16,
        "f16x2" => PtxType.F16x2,
        "bf16" => PtxType.BF16,
        "bf16x2" => PtxType.BF16x2,
        "tf32" => PtxType.TF32,
        "f32" => PtxType.F32,
        "f64" => PtxType.F64,
        "pred" => PtxType.Predicate,
        _ => PtxType.None,
    };

    /// <summary>A value's size in bytes; 0 for predicates.</summary>
    /// <param name="type">The type.</param>
    public static int Size(this PtxType type) => type switch
    {
        PtxType.B8 or PtxType.U8 or PtxType.S8 => 1,
        PtxType.B16 or PtxType.U16 or PtxType.S16 or PtxType.F16 or PtxType.BF16 => 2,
        PtxType.B64 or PtxType.U64 or PtxType.S64 or PtxType.F64 => 8,
        PtxType.B128 => 16,
        PtxType.None or PtxType.Predicate => 0,
        _ => 4,
    };

    /// <summary>Whether values are signed integers.</summary>
    /// <param name="type">The type.</param>
    public static bool IsSigned(this PtxType type) => type is PtxType.S8 or PtxType.S16 or PtxType.S32 or PtxType.S64;

    /// <summary>Whether values are floating-point numbers.</summary>
    /// <param name="type">The type.</param>
    public static bool IsFloat(this PtxType type) => type is >= PtxType.F16 and <= PtxType.F64;
}
