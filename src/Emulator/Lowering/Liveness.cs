namespace KernelAD.Emulator;

/// <summary>Which computed registers are needed where.</summary>
internal sealed class Liveness
{
    private readonly IReadOnlyList<LoweredOp> _ops;
    private readonly IReadOnlyList<VirtualRegister> _registers;
    private readonly FlowGraph _graph;
    private readonly ulong[][] _out;

    /// <summary>Solves the data-flow equations: in = uses ∪ (out − definitions), out = ∪ in of the successors.</summary>
    /// <param name="ops">The operations.</param>
    /// <param name="registers">The virtual registers.</param>
    /// <param name="graph">The blocks of the operations.</param>
    public Liveness(IReadOnlyList<LoweredOp> ops, IReadOnlyList<VirtualRegister> registers, FlowGraph graph)
    {
        _ops = ops;
        _registers = registers;
        _graph = graph;
        int words = (registers.Count + 63) / 64;
        ulong[][] uses = new ulong[graph.Count][];
        ulong[][] kills = new ulong[graph.Count][];
        ulong[][] ins = new ulong[graph.Count][];
        _out = new ulong[graph.Count][];
        for (int block = 0; block < graph.Count; block++)
        {
            uses[block] = new ulong[words];
            kills[block] = new ulong[words];
            _out[block] = new ulong[words];
            for (int i = block == graph.Count - 1 ? -1 : graph.End(block) - 1; i >= graph.Start(block); i--)
            {
                foreach (int register in Kills(ops[i]))
                {
                    Set(kills[block], register, true);
                    Set(uses[block], register, false);
                }

                foreach (int register in Needs(ops[i]))
                {
                    Set(uses[block], register, true);
                }
            }

            ins[block] = (ulong[])uses[block].Clone();
        }

        for (bool hasChanged = true; hasChanged;)
        {
            hasChanged = false;
            for (int block = graph.Count - 1; block >= 0; block--)
            {
                ulong[] live = _out[block];
                foreach (int next in graph.Successors[block])
                {
                    for (int word = 0; word < words; word++)
                    {
                        live[word] |= ins[next][word];
                    }
                }

                for (int word = 0; word < words; word++)
                {
                    ulong value = uses[block][word] | (live[word] & ~kills[block][word]);
                    hasChanged |= value != ins[block][word];
                    ins[block][word] = value;
                }
            }
        }

        LiveIn = ins[0];
    }

    /// <summary>Registers that may be read before anything is written to them, a bit each.</summary>
    public ulong[] LiveIn { get; }

    /// <summary>Whether a bit is set.</summary>
    /// <param name="set">The bits.</param>
    /// <param name="register">The bit's number.</param>
    public static bool Has(ulong[] set, int register) => ((set[register >> 6] >> register) & 1) != 0;

    /// <summary>The registers that are needed behind a block.</summary>
    /// <param name="block">The block.</param>
    public ulong[] LiveOut(int block) => (ulong[])_out[block].Clone();

    /// <summary>The operations without those whose results nobody needs and that do nothing else.</summary>
    public List<LoweredOp> WithoutDead()
    {
        bool[] isDead = new bool[_ops.Count];
        for (int block = 0; block < _graph.Count - 1; block++)
        {
            ulong[] live = LiveOut(block);
            for (int i = _graph.End(block) - 1; i >= _graph.Start(block); i--)
            {
                isDead[i] = _ops[i].IsPure && !Array.Exists(_ops[i].Definitions, register => Has(live, register));
                if (!isDead[i])
                {
                    Step(_ops[i], live);
                }
            }
        }

        return [.. _ops.Where((_, i) => !isDead[i])];
    }

    /// <summary>Goes back over an operation.</summary>
    /// <param name="op">The operation.</param>
    /// <param name="live">The registers needed behind it; becomes those needed before it.</param>
    public void Step(LoweredOp op, ulong[] live)
    {
        foreach (int register in Kills(op))
        {
            Set(live, register, false);
        }

        foreach (int register in Needs(op))
        {
            Set(live, register, true);
        }
    }

    /// <summary>Registers whose earlier value does not matter behind an operation: with a guard some lanes keep it.</summary>
    /// <param name="op">The operation.</param>
    public static int[] Kills(LoweredOp op) => op.Guard < 0 ? op.Definitions : [];

    /// <summary>Computed registers whose value matters to an operation.</summary>
    /// <param name="op">The operation.</param>
    public IEnumerable<int> Needs(LoweredOp op)
    {
        foreach (int register in op.Uses)
        {
            if (_registers[register].Source == ValueSource.Computed)
            {
                yield return register;
            }
        }

        if (op.Guard >= 0)
        {
            yield return op.Guard;
            foreach (int register in op.Definitions)
            {
                yield return register;
            }
        }
    }

    private static void Set(ulong[] set, int register, bool value)
    {
        if (value)
        {
            set[register >> 6] |= 1UL << register;
        }
        else
        {
            set[register >> 6] &= ~(1UL << register);
        }
    }
}
