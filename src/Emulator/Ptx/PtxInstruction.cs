namespace KernelAD.Emulator;

/// <summary>An instruction as it is written.</summary>
/// <param name="Name">The opcode with its modifiers, e.g. <c>ld.global.v4.f32</c>.</param>
/// <param name="Operands">Its operands; destinations come first.</param>
/// <param name="Line">Its line, from 1.</param>
/// <param name="Source">The line it was compiled from as <c>file:line</c>; null where the PTX does not say.</param>
internal sealed record PtxInstruction(string Name, IReadOnlyList<PtxOperand> Operands, int Line, string? Source)
{
    /// <summary>The predicate that switches threads on; null for all threads.</summary>
    public PtxRegister? Guard { get; init; }

    /// <summary>Whether threads with a false predicate execute it instead.</summary>
    public bool IsGuardNegated { get; init; }

    /// <summary>For a branch the index of the instruction it goes to; the number of instructions for the end.</summary>
    public int Target { get; set; } = -1;
}
