namespace KernelAD.Emulator;

/// <summary>
/// An operation that the interpreter executes: a PTX instruction with all that is known before the launch resolved. Registers are offsets in bytes into the
/// warp's register file; constants, parameters and special registers are rows of that file too.
/// </summary>
internal unsafe struct Op
{
    /// <summary>The function that does it; its type depends on <see cref="Kind"/>.</summary>
    public void* Handler;

    /// <summary>Registers of all destinations, then of all sources.</summary>
    public int* Operands;

    /// <summary>A constant: an address's, a comparison's, a lookup table's.</summary>
    public long Immediate;

    /// <summary>The predicate that switches lanes on; the first predicate of the file is always true.</summary>
    public int Guard;

    /// <summary>All bits set if the guard is negated.</summary>
    public uint GuardFlip;

    /// <summary>The first destination.</summary>
    public int D;

    /// <summary>The first source.</summary>
    public int A;

    /// <summary>The second source.</summary>
    public int B;

    /// <summary>The third source.</summary>
    public int C;

    /// <summary>Where a branch goes to.</summary>
    public int Target;

    /// <summary>Where a branch's two ways meet: the place of a <see cref="OpKind.Join"/>, or <see cref="Interpreter.NoJoin"/>.</summary>
    public int Reconvergence;

    /// <summary>The operation's own place, by which counters and messages find it.</summary>
    public int Index;

    /// <summary>How it is executed.</summary>
    public OpKind Kind;

    /// <summary>The size in bytes of one element that is loaded, stored or copied.</summary>
    public byte Size;

    /// <summary>How many elements a thread loads or stores.</summary>
    public byte Elements;

    /// <summary>The address space.</summary>
    public PtxSpace Space;

    /// <summary>Whether loaded elements keep their sign, or a variant of the instruction.</summary>
    public byte Variant;

    /// <summary>Whether the address's register has 64 bits.</summary>
    public bool IsWideAddress;
}
