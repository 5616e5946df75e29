namespace KernelAD.Emulator;

/// <summary>An operation on virtual registers, between the PTX and the <see cref="Op"/> that is executed.</summary>
internal sealed record LoweredOp
{
    /// <summary>How it is executed.</summary>
    public OpKind Kind { get; init; }

    /// <summary>What it counts as.</summary>
    public OpClass Class { get; init; }

    /// <summary>The function that does it.</summary>
    public nint Handler { get; init; }

    /// <summary>The virtual registers that it writes.</summary>
    public int[] Definitions { get; init; } = [];

    /// <summary>The virtual registers that it reads, without the guard.</summary>
    public int[] Uses { get; init; } = [];

    /// <summary>The predicate that switches lanes on; -1 for none.</summary>
    public int Guard { get; init; } = -1;

    /// <summary>Whether the guard is negated.</summary>
    public bool IsGuardNegated { get; init; }

    /// <summary>Whether it only copies its one source to its one destination.</summary>
    public bool IsCopy { get; init; }

    /// <summary>Whether it does nothing but write its destinations.</summary>
    public bool IsPure { get; init; }

    /// <summary>See <see cref="Op.Immediate"/>.</summary>
    public long Immediate { get; init; }

    /// <summary>For a branch the PTX instruction that it goes to, for a join the one that it precedes.</summary>
    public int Target { get; init; } = -1;

    /// <summary>See <see cref="Op.Size"/>.</summary>
    public byte Size { get; init; }

    /// <summary>See <see cref="Op.Elements"/>.</summary>
    public byte Elements { get; init; } = 1;

    /// <summary>See <see cref="Op.Space"/>.</summary>
    public PtxSpace Space { get; init; }

    /// <summary>See <see cref="Op.Variant"/>.</summary>
    public byte Variant { get; init; }

    /// <summary>See <see cref="Op.IsWideAddress"/>.</summary>
    public bool IsWideAddress { get; init; }

    /// <summary>The PTX instruction that it comes from.</summary>
    public required PtxInstruction Instruction { get; init; }

    /// <summary>
    /// Whether destinations are written while sources are still read, so that they may not share a place. A row computed from rows is done lane by lane.
    /// </summary>
    public bool ClobbersEarly => Kind is OpKind.General or OpKind.Barrier;

    /// <summary>Whether the flow may go elsewhere than to the next operation.</summary>
    public bool EndsBlock => Kind is OpKind.Branch or OpKind.Exit;
}
