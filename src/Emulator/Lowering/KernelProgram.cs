namespace KernelAD.Emulator;

/// <summary>What the interpreter executes: a kernel's operations and the plan of a warp's register file.</summary>
internal sealed unsafe class KernelProgram
{
    /// <summary>A row of 32 lanes of 32 bits, in bytes.</summary>
    public const int RowBytes = 128;

    /// <summary>The place of a row that results are put in before the active lanes' are kept.</summary>
    public const int ScratchOffset = 0;

    /// <summary>The place of the first predicate, which is always true.</summary>
    public const int TrueOffset = 2 * RowBytes;

    private readonly Op[] _ops;
    private readonly int[] _operands;

    /// <summary>Finds places for a kernel's registers and resolves its operations.</summary>
    /// <param name="ops">The operations; the last one is an exit.</param>
    /// <param name="registers">The virtual registers.</param>
    public KernelProgram(List<LoweredOp> ops, IReadOnlyList<VirtualRegister> registers)
    {
        RegisterAllocator allocator = new(ops, registers);
        EstimatedRegisters = allocator.MaxLive;
        int rows32 = TrueOffset + Align(sizeof(uint) * (1 + allocator.Counts[(int)RegisterClass.Predicate]));
        int rows64 = rows32 + (RowBytes * allocator.Counts[(int)RegisterClass.Row32]);
        int end = rows64 + (2 * RowBytes * allocator.Counts[(int)RegisterClass.Row64]);
        int[] offsets = new int[registers.Count];
        List<(int Offset, VirtualRegister Register)> inputs = [];
        bool[] isUsed = new bool[registers.Count];
        foreach (int register in ops.SelectMany(op => op.Uses))
        {
            isUsed[register] = true;
        }

        for (int register = 0; register < registers.Count; register++)
        {
            int place = allocator.Places[register];
            if (registers[register].Source == ValueSource.Computed)
            {
                offsets[register] = place < 0 ? ScratchOffset : registers[register].Class switch
                {
                    RegisterClass.Predicate => TrueOffset + (sizeof(uint) * (1 + place)),
                    RegisterClass.Row32 => rows32 + (RowBytes * place),
                    _ => rows64 + (2 * RowBytes * place),
                };
            }
            else if (isUsed[register])
            {
                offsets[register] = end;
                inputs.Add((end, registers[register]));
                end += registers[register].Class == RegisterClass.Row64 ? 2 * RowBytes : RowBytes;
            }
        }

        FileBytes = end;
        Inputs = inputs;
        Undefined = [.. allocator.LiveIn.Select(register => (offsets[register], registers[register].Class))];
        List<LoweredOp> kept = WithJoins(ops, offsets, out Dictionary<int, int> labels, out Dictionary<LoweredOp, int> joins);
        _ops = GC.AllocateArray<Op>(kept.Count, pinned: true);
        _operands = GC.AllocateArray<int>(Math.Max(1, kept.Sum(op => op.Definitions.Length + op.Uses.Length)), pinned: true);
        fixed (int* operands = _operands)
        {
            int next = 0;
            for (int i = 0; i < kept.Count; i++)
            {
                LoweredOp op = kept[i];
                int* first = operands + next;
                foreach (int register in op.Definitions.Concat(op.Uses))
                {
                    operands[next++] = offsets[register];
                }

                int definitions = op.Definitions.Length;
                int uses = op.Uses.Length;
                _ops[i] = new()
                {
                    Handler = (void*)op.Handler,
                    Operands = first,
                    Immediate = op.Immediate,
                    Guard = op.Guard < 0 ? TrueOffset : offsets[op.Guard],
                    GuardFlip = op.IsGuardNegated ? uint.MaxValue : 0,
                    D = definitions > 0 ? first[0] : ScratchOffset,
                    A = uses > 0 ? first[definitions] : 0,
                    B = uses > 1 ? first[definitions + 1] : 0,
                    C = uses > 2 ? first[definitions + 2] : 0,
                    Target = op.Kind == OpKind.Branch ? labels[op.Target] : -1,
                    Reconvergence = joins.GetValueOrDefault(op, Interpreter.NoJoin),
                    Index = i,
                    Kind = op.Kind,
                    Size = op.Size,
                    Elements = op.Elements,
                    Space = op.Space,
                    Variant = op.Variant,
                    IsWideAddress = op.IsWideAddress,
                };
            }
        }

        Instructions = [.. kept.Select(op => op.Instruction)];
        Classes = [.. kept.Select(op => op.Class)];
        SharedGranule = Granule(kept, PtxSpace.Shared);
        GlobalGranule = Granule(kept, PtxSpace.Global);
        HasGlobalAtomics = kept.Exists(op => op.Class == OpClass.Atomic && op.Space != PtxSpace.Shared);
    }

    /// <summary>The first operation. The array is pinned for its lifetime.</summary>
    public Op* Ops => (Op*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _ops[0]);

    /// <summary>How many operations there are.</summary>
    public int Count => _ops.Length;

    /// <summary>The PTX instruction that each operation comes from.</summary>
    public IReadOnlyList<PtxInstruction> Instructions { get; }

    /// <summary>What each operation counts as.</summary>
    public IReadOnlyList<OpClass> Classes { get; }

    /// <summary>Size of a warp's register file in bytes.</summary>
    public int FileBytes { get; }

    /// <summary>Rows whose values come from the launch, and where they lie.</summary>
    public IReadOnlyList<(int Offset, VirtualRegister Register)> Inputs { get; }

    /// <summary>
    /// Registers that may be read before they are written: they are cleared for each block, so that results do not depend on what ran before.
    /// </summary>
    public IReadOnlyList<(int Offset, RegisterClass Class)> Undefined { get; }

    /// <summary>32-bit registers that are live at a time at most.</summary>
    public int EstimatedRegisters { get; }

    /// <summary>The smallest access to shared memory in bytes: races are looked for in units of it.</summary>
    public int SharedGranule { get; }

    /// <summary>The smallest access to global memory in bytes.</summary>
    public int GlobalGranule { get; }

    /// <summary>Whether blocks may change the same bytes of global memory with defined results.</summary>
    public bool HasGlobalAtomics { get; }

    private static int Align(int bytes) => (bytes + RowBytes - 1) / RowBytes * RowBytes;

    private static int Granule(List<LoweredOp> ops, PtxSpace space) => ops
        .Where(op => op.Size > 0 && (op.Space == space || op.Space == PtxSpace.Generic))
        .Select(op => Math.Min(op.Size, (byte)4)).DefaultIfEmpty((byte)4).Min();

    /// <summary>Leaves out copies onto themselves and joins where nothing meets, and finds where the ways of each branch meet.</summary>
    private static List<LoweredOp> WithJoins(
        List<LoweredOp> ops, int[] offsets, out Dictionary<int, int> labels, out Dictionary<LoweredOp, int> joins)
    {
        FlowGraph graph = new(ops);
        int[] dominators = graph.ImmediatePostDominators();
        Dictionary<LoweredOp, LoweredOp> meetings = new(ReferenceEqualityComparer.Instance);
        HashSet<LoweredOp> needed = new(ReferenceEqualityComparer.Instance);
        for (int block = 0; block < graph.Count - 1; block++)
        {
            LoweredOp last = ops[graph.End(block) - 1];
            int meeting = dominators[block];
            if (last.Kind == OpKind.Branch && last.Guard >= 0 && meeting >= 0 && meeting < graph.Count - 1
                && ops[graph.Start(meeting)] is { Kind: OpKind.Join } join)
            {
                meetings.Add(last, join);
                needed.Add(join);
            }
        }

        labels = [];
        List<LoweredOp> kept = [];
        foreach (LoweredOp op in ops)
        {
            if (op.Kind == OpKind.Join)
            {
                labels.Add(op.Target, kept.Count);
            }

            if (op.Kind == OpKind.Join ? needed.Contains(op) : !(op.IsCopy && offsets[op.Uses[0]] == offsets[op.Definitions[0]]))
            {
                kept.Add(op);
            }
        }

        Dictionary<int, int> places = labels;
        joins = new(ReferenceEqualityComparer.Instance);
        foreach ((LoweredOp branch, LoweredOp join) in meetings)
        {
            joins.Add(branch, places[join.Target]);
        }

        return kept;
    }
}
