namespace KernelAD.Emulator;

/// <summary>
/// Lets operations read a copy's source instead of the copy, and drops what nobody needs then. Compilers to PTX leave this to NVIDIA's assembler; so without
/// it most of what is executed, and counted, would be copies.
/// </summary>
internal static class CopyPropagation
{
    private const int MaxRounds = 8;

    /// <summary>Rewrites a kernel.</summary>
    /// <param name="ops">Its operations.</param>
    /// <param name="registers">Its virtual registers.</param>
    public static List<LoweredOp> Run(List<LoweredOp> ops, IReadOnlyList<VirtualRegister> registers)
    {
        for (int round = 0; round < MaxRounds; round++)
        {
            FlowGraph graph = new(ops);
            List<LoweredOp> forwarded = Forward(ops, graph);
            ops = new Liveness(forwarded, registers, graph).WithoutDead();
            if (ops.Count == forwarded.Count)
            {
                break;
            }
        }

        return ops;
    }

    private static List<LoweredOp> Forward(List<LoweredOp> ops, FlowGraph graph)
    {
        List<LoweredOp> result = new(ops.Count);
        Dictionary<int, int> sources = [];
        Dictionary<int, HashSet<int>> copies = [];
        for (int block = 0; block < graph.Count - 1; block++)
        {
            sources.Clear();
            copies.Clear();
            for (int i = graph.Start(block); i < graph.End(block); i++)
            {
                LoweredOp op = ops[i];
                if (sources.Count > 0 && (sources.ContainsKey(op.Guard) || Array.Exists(op.Uses, sources.ContainsKey)))
                {
                    op = op with
                    {
                        Uses = Array.ConvertAll(op.Uses, use => sources.GetValueOrDefault(use, use)),
                        Guard = sources.GetValueOrDefault(op.Guard, op.Guard),
                    };
                }

                foreach (int register in op.Definitions)
                {
                    if (sources.Remove(register, out int source))
                    {
                        copies[source].Remove(register);
                    }

                    if (copies.Remove(register, out HashSet<int>? stale))
                    {
                        foreach (int copy in stale)
                        {
                            sources.Remove(copy);
                        }
                    }
                }

                if (op.IsCopy && op.Guard < 0 && op.Uses[0] != op.Definitions[0])
                {
                    sources[op.Definitions[0]] = op.Uses[0];
                    if (!copies.TryGetValue(op.Uses[0], out HashSet<int>? set))
                    {
                        copies[op.Uses[0]] = set = [];
                    }

                    set.Add(op.Definitions[0]);
                }

                result.Add(op);
            }
        }

        return result;
    }
}
