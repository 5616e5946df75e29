namespace KernelAD.KernelCompiler.Ptx;

/// <summary>Which registers of a kernel are still read after each line: backwards over the basic blocks until nothing changes, a bit a register.</summary>
internal sealed class Liveness
{
    private readonly IReadOnlyList<PtxLine> _lines;
    private readonly int[][] _reads;
    private readonly int[][] _overwrites;
    private readonly int[][] _results;
    private readonly int _words;
    private readonly List<(int Start, int End)> _blocks;
    private readonly ulong[][] _liveOut;

    public Liveness(IReadOnlyList<PtxLine> lines)
    {
        _lines = lines;
        Dictionary<string, int> numbers = [];
        _reads = [.. lines.Select(l => Numbers(l.Reads))];
        _results = [.. lines.Select(l => Numbers(l.Results))];

        // A guarded result may keep its old value, and inline assembly may only read: neither ends a register's life.
        _overwrites = [.. lines.Select((l, i) => l.Predicate is null && !l.IsOpaque ? _results[i] : [])];
        _words = (numbers.Count + 63) / 64;
        _blocks = FindBlocks(lines);
        _liveOut = FindLiveOut();

        int[] Numbers(IReadOnlyList<string> registers)
        {
            int[] found = new int[registers.Count];
            for (int i = 0; i < found.Length; i++)
            {
                if (!numbers.TryGetValue(registers[i], out found[i]))
                {
                    found[i] = numbers.Count;
                    numbers.Add(registers[i], found[i]);
                }
            }

            return found;
        }
    }

    /// <summary>The lines of a kind whose results nobody reads, those included that only such lines read.</summary>
    public HashSet<PtxLine> Dead(Func<PtxLine, bool> kind)
    {
        HashSet<PtxLine> dead = [];
        for (int b = 0; b < _blocks.Count; b++)
        {
            ulong[] live = (ulong[])_liveOut[b].Clone();
            for (int i = _blocks[b].End - 1; i >= _blocks[b].Start; i--)
            {
                if (kind(_lines[i]) && !_results[i].Any(r => Contains(live, r)))
                {
                    dead.Add(_lines[i]);
                }
                else
                {
                    Step(i, live);
                }
            }
        }

        return dead;
    }

    private static List<(int Start, int End)> FindBlocks(IReadOnlyList<PtxLine> lines)
    {
        List<(int Start, int End)> blocks = [];
        int start = 0;
        for (int i = 0; i < lines.Count; i++)
        {
            if (lines[i].IsLabel && i > start)
            {
                blocks.Add((start, i));
                start = i;
            }

            if (lines[i].IsJump || i == lines.Count - 1)
            {
                blocks.Add((start, i + 1));
                start = i + 1;
            }
        }

        return blocks;
    }

    private ulong[][] FindLiveOut()
    {
        Dictionary<string, int> blockOfLabel = _blocks.Select((b, i) => (Line: _lines[b.Start], Block: i)).Where(p => p.Line.IsLabel)
            .ToDictionary(p => p.Line.Text[..^1], p => p.Block);
        int[][] successors = [.. _blocks.Select((_, b) => Successors(b, blockOfLabel).ToArray())];
        ulong[][] liveIn = [.. _blocks.Select(_ => new ulong[_words])], liveOut = [.. _blocks.Select(_ => new ulong[_words])];
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int b = _blocks.Count - 1; b >= 0; b--)
            {
                foreach (int next in successors[b])
                {
                    for (int w = 0; w < _words; w++)
                    {
                        liveOut[b][w] |= liveIn[next][w];
                    }
                }

                ulong[] live = (ulong[])liveOut[b].Clone();
                for (int i = _blocks[b].End - 1; i >= _blocks[b].Start; i--)
                {
                    Step(i, live);
                }

                if (!live.AsSpan().SequenceEqual(liveIn[b]))
                {
                    liveIn[b] = live;
                    changed = true;
                }
            }
        }

        return liveOut;
    }

    private IEnumerable<int> Successors(int block, Dictionary<string, int> blockOfLabel)
    {
        PtxLine last = _lines[_blocks[block].End - 1];
        if (last.Opcode.StartsWith("bra", StringComparison.Ordinal))
        {
            yield return blockOfLabel[last.Instruction.Split(' ')[1].Trim(';')];
        }

        bool fallsThrough = !last.IsJump || last.Predicate is not null;
        if (fallsThrough && block + 1 < _blocks.Count)
        {
            yield return block + 1;
        }
    }

    private void Step(int line, ulong[] live)
    {
        foreach (int register in _overwrites[line])
        {
            live[register / 64] &= ~(1UL << (register % 64));
        }

        foreach (int register in _reads[line])
        {
            live[register / 64] |= 1UL << (register % 64);
        }
    }

    private static bool Contains(ulong[] set, int register) => (set[register / 64] >> (register % 64) & 1) != 0;
}
