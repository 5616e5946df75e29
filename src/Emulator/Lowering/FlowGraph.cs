namespace KernelAD.Emulator;

/// <summary>The basic blocks of a kernel and how the flow goes from one to another. The last block is the kernel's end and has no operations.</summary>
internal sealed class FlowGraph
{
    private readonly int[] _starts;
    private readonly Dictionary<int, int> _labels = [];

    /// <summary>Finds the blocks.</summary>
    /// <param name="ops">The operations, with a <see cref="OpKind.Join"/> wherever a branch goes to.</param>
    public FlowGraph(IReadOnlyList<LoweredOp> ops)
    {
        SortedSet<int> starts = [0, ops.Count];
        for (int i = 0; i < ops.Count; i++)
        {
            if (ops[i].EndsBlock)
            {
                starts.Add(i + 1);
            }
            else if (ops[i].Kind == OpKind.Join)
            {
                starts.Add(i);
                _labels.Add(ops[i].Target, i);
            }
        }

        _starts = [.. starts];
        Count = _starts.Length;
        Successors = new int[Count][];
        for (int block = 0; block < Count - 1; block++)
        {
            LoweredOp last = ops[_starts[block + 1] - 1];
            bool fallsThrough = !last.EndsBlock || last.Guard >= 0;
            List<int> successors = [];
            if (last.Kind == OpKind.Branch)
            {
                successors.Add(BlockAt(Place(last)));
            }
            else if (last.Kind == OpKind.Exit && !fallsThrough)
            {
                successors.Add(Count - 1); // A guarded exit is no way through the kernel: those who stay decide where the flow meets.
            }

            if (fallsThrough)
            {
                successors.Add(block + 1);
            }

            Successors[block] = [.. successors.Distinct()];
        }

        Successors[Count - 1] = [];
    }

    /// <summary>How many blocks there are, the end included.</summary>
    public int Count { get; }

    /// <summary>For each block those that may come next.</summary>
    public int[][] Successors { get; }

    /// <summary>The first operation of a block.</summary>
    /// <param name="block">The block.</param>
    public int Start(int block) => _starts[block];

    /// <summary>The operation behind the last of a block.</summary>
    /// <param name="block">The block, other than the end.</param>
    public int End(int block) => _starts[block + 1];

    /// <summary>The operation that a branch goes to.</summary>
    /// <param name="branch">The branch.</param>
    public int Place(LoweredOp branch) => _labels[branch.Target];

    /// <summary>The block that begins at an operation.</summary>
    /// <param name="op">The operation's place.</param>
    public int BlockAt(int op) => Array.BinarySearch(_starts, op);

    /// <summary>
    /// For each block the first one that every way to the end passes after it, -1 where the end cannot be reached
    /// (Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm", on the reversed graph).
    /// </summary>
    public int[] ImmediatePostDominators()
    {
        List<int>[] predecessors = [.. Enumerable.Range(0, Count).Select(_ => new List<int>())];
        for (int block = 0; block < Count; block++)
        {
            foreach (int next in Successors[block])
            {
                predecessors[next].Add(block);
            }
        }

        // Post-order of a walk from the end against the flow, without recursion: kernels may have very many blocks.
        int end = Count - 1;
        int[] number = new int[Count];
        Array.Fill(number, -1);
        List<int> order = [];
        bool[] isSeen = new bool[Count];
        Stack<(int Block, int Next)> stack = new([(end, 0)]);
        isSeen[end] = true;
        while (stack.TryPop(out (int Block, int Next) top))
        {
            if (top.Next == predecessors[top.Block].Count)
            {
                number[top.Block] = order.Count;
                order.Add(top.Block);
                continue;
            }

            stack.Push((top.Block, top.Next + 1));
            int previous = predecessors[top.Block][top.Next];
            if (!isSeen[previous])
            {
                isSeen[previous] = true;
                stack.Push((previous, 0));
            }
        }

        int[] dominators = new int[Count];
        Array.Fill(dominators, -1);
        dominators[end] = end;
        for (bool hasChanged = true; hasChanged;)
        {
            hasChanged = false;
            for (int i = order.Count - 2; i >= 0; i--)
            {
                int block = order[i];
                int best = -1;
                foreach (int next in Successors[block])
                {
                    if (dominators[next] < 0)
                    {
                        continue;
                    }

                    int other = next;
                    while (best >= 0 && best != other)
                    {
                        if (number[best] < number[other])
                        {
                            best = dominators[best];
                        }
                        else
                        {
                            other = dominators[other];
                        }
                    }

                    best = other;
                }

                if (dominators[block] != best)
                {
                    dominators[block] = best;
                    hasChanged = true;
                }
            }
        }

        return dominators;
    }
}
