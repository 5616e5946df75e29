namespace KernelAD.Emulator;

/// <summary>What a <see cref="PtxOperand"/> is.</summary>
internal enum PtxOperandKind
{
    /// <summary>A declared register.</summary>
    Register,

    /// <summary>A predefined register such as <c>%tid.x</c>.</summary>
    Special,

    /// <summary>A variable's address, or a label.</summary>
    Symbol,

    /// <summary>An integer.</summary>
    Integer,

    /// <summary>A floating-point number.</summary>
    Float,

    /// <summary>A place in memory: a register, variable or nothing, plus a constant.</summary>
    Address,

    /// <summary>Several operands in braces.</summary>
    Vector,

    /// <summary>Two destinations, as in <c>p|q</c>.</summary>
    Pair,

    /// <summary>A destination that is not kept: <c>_</c>.</summary>
    Sink,
}

/// <summary>An instruction's operand.</summary>
/// <param name="Kind">What it is.</param>
internal sealed record PtxOperand(PtxOperandKind Kind)
{
    /// <summary>A special register's or a symbol's name.</summary>
    public string Name { get; init; } = "";

    /// <summary>The register, or the register of an address.</summary>
    public PtxRegister? Register { get; init; }

    /// <summary>The variable, or the variable of an address.</summary>
    public PtxVariable? Variable { get; init; }

    /// <summary>An integer's bits, or an address's constant.</summary>
    public ulong Bits { get; init; }

    /// <summary>A floating-point number, exact in either precision.</summary>
    public double Number { get; init; }

    /// <summary>Bits of a number written as <c>0f…</c>; null for other forms.</summary>
    public uint? SingleBits { get; init; }

    /// <summary>The parts of a vector or pair.</summary>
    public IReadOnlyList<PtxOperand> Elements { get; init; } = [];

    /// <summary>Whether a predicate is negated.</summary>
    public bool IsNegated { get; init; }

    /// <summary>The operand for messages.</summary>
    public override string ToString() => Kind switch
    {
        PtxOperandKind.Register => $"'{(IsNegated ? "!" : "")}{Register!.Name}'",
        PtxOperandKind.Special or PtxOperandKind.Symbol => $"'{Name}'",
        PtxOperandKind.Integer => $"the integer {(long)Bits}",
        PtxOperandKind.Float => $"the number {Number}",
        PtxOperandKind.Address => "an address",
        PtxOperandKind.Vector => $"a vector of {Elements.Count}",
        PtxOperandKind.Pair => "a pair of destinations",
        _ => "'_'",
    };
}
