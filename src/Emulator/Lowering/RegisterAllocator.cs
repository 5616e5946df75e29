namespace KernelAD.Emulator;

/// <summary>
/// Finds places in the register file for a kernel's thousands of virtual registers, few enough that the files of a block's warps stay in the processor's
/// caches. Registers that a copy joins get the same place if they can; then each register takes the first place that is free wherever it is needed.
/// </summary>
internal sealed class RegisterAllocator
{
    private readonly IReadOnlyList<LoweredOp> _ops;
    private readonly IReadOnlyList<VirtualRegister> _registers;
    private readonly LiveRange?[] _ranges;
    private readonly int[] _leaders;

    /// <summary>Allocates.</summary>
    /// <param name="ops">The operations.</param>
    /// <param name="registers">The virtual registers.</param>
    public RegisterAllocator(IReadOnlyList<LoweredOp> ops, IReadOnlyList<VirtualRegister> registers)
    {
        _ops = ops;
        _registers = registers;
        _ranges = new LiveRange?[registers.Count];
        _leaders = [.. Enumerable.Range(0, registers.Count)];
        FlowGraph graph = new(ops);
        Liveness liveness = new(ops, registers, graph);
        FindRanges(graph, liveness);
        LiveIn = [.. Enumerable.Range(0, registers.Count).Where(register => Liveness.Has(liveness.LiveIn, register))];
        Coalesce();
        Counts = new int[3];
        Places = new int[registers.Count];
        Assign();
    }

    /// <summary>For each virtual register its place among those of its class; -1 if it needs none.</summary>
    public int[] Places { get; }

    /// <summary>How many places each <see cref="RegisterClass"/> has.</summary>
    public int[] Counts { get; }

    /// <summary>The most 32-bit registers that are live at a time.</summary>
    public int MaxLive { get; private set; }

    /// <summary>Registers that may be read before anything is written to them.</summary>
    public IReadOnlyList<int> LiveIn { get; }

    private void FindRanges(FlowGraph graph, Liveness liveness)
    {
        int[] ends = new int[_registers.Count]; // Where the open segment ends; 0 if none is open.
        List<int> open = [];
        for (int block = graph.Count - 2; block >= 0; block--)
        {
            ulong[] live = liveness.LiveOut(block);
            int count = 0;
            for (int register = 0; register < _registers.Count; register++)
            {
                if (Liveness.Has(live, register))
                {
                    ends[register] = 2 * graph.End(block);
                    open.Add(register);
                    count += Weight(register);
                }
            }

            for (int i = graph.End(block) - 1; i >= graph.Start(block); i--)
            {
                LoweredOp op = _ops[i];
                foreach (int register in op.Definitions)
                {
                    int from = op.ClobbersEarly ? 2 * i : (2 * i) + 1;
                    if (ends[register] == 0)
                    {
                        Range(register).Prepend(from, (2 * i) + 2); // Nobody needs it, but it is written.
                    }
                    else if (op.Guard < 0)
                    {
                        Range(register).Prepend(from, ends[register]);
                        ends[register] = 0;
                        open.Remove(register);
                        count -= Weight(register);
                    }
                }

                foreach (int register in liveness.Needs(op))
                {
                    if (ends[register] == 0)
                    {
                        ends[register] = (2 * i) + 1;
                        open.Add(register);
                        count += Weight(register);
                    }
                }

                MaxLive = Math.Max(MaxLive, count);
            }

            foreach (int register in open)
            {
                Range(register).Prepend(2 * graph.Start(block), ends[register]);
                ends[register] = 0;
            }

            open.Clear();
        }

        foreach (LiveRange? range in _ranges)
        {
            range?.Complete();
        }
    }

    private LiveRange Range(int register) => _ranges[register] ??= new();

    private int Weight(int register) => _registers[register].Class switch
    {
        RegisterClass.Row64 => 2,
        RegisterClass.Row32 => 1,
        _ => 0,
    };

    private int Leader(int register)
    {
        while (_leaders[register] != register)
        {
            register = _leaders[register] = _leaders[_leaders[register]];
        }

        return register;
    }

    private void Coalesce()
    {
        foreach (LoweredOp op in _ops)
        {
            if (!op.IsCopy || _registers[op.Uses[0]].Source != ValueSource.Computed)
            {
                continue;
            }

            int source = Leader(op.Uses[0]);
            int destination = Leader(op.Definitions[0]);
            if (source != destination && !_ranges[source]!.Overlaps(_ranges[destination]!))
            {
                _ranges[destination]!.Add(_ranges[source]!);
                _leaders[source] = destination;
            }
        }
    }

    private void Assign()
    {
        List<LiveRange>[] places = [[], [], []];
        IEnumerable<int> leaders = Enumerable.Range(0, _registers.Count).Where(register => _ranges[register] is not null && Leader(register) == register);
        foreach (int register in leaders.OrderBy(register => _ranges[register]!.Segments[0].From))
        {
            LiveRange range = _ranges[register]!;
            List<LiveRange> taken = places[(int)_registers[register].Class];
            int place = taken.FindIndex(other => !other.Overlaps(range));
            if (place < 0)
            {
                place = taken.Count;
                taken.Add(new());
            }

            taken[place].Add(range);
            Places[register] = place;
        }

        for (int register = 0; register < _registers.Count; register++)
        {
            Places[register] = _ranges[register] is null ? -1 : Places[Leader(register)];
        }

        for (int kind = 0; kind < Counts.Length; kind++)
        {
            Counts[kind] = places[kind].Count;
        }
    }
}
