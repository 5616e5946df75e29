namespace KernelAD.KernelCompiler.Ptx;

/// <summary>
/// Removes the moves that slot promotion leaves: within a basic block a copied register is read in the original's place, and a move whose result nobody reads
/// goes. ptxas would find them too; without them the text is a third as long, and so is what a driver has to compile or an emulator to run.
/// </summary>
internal static class CopyPropagation
{
    public static PtxText Apply(PtxText text) => text.With(RemoveDead(Propagate(text.Body)));

    private static List<PtxLine> Propagate(IReadOnlyList<PtxLine> lines)
    {
        Dictionary<string, string> original = [];
        List<PtxLine> result = new(lines.Count);
        foreach (PtxLine line in lines)
        {
            if (line.IsLabel)
            {
                original.Clear();
            }

            PtxLine current = line.WithReads(r => original.GetValueOrDefault(r, r));
            HashSet<string> written = [.. current.Results];
            if (written.Count > 0)
            {
                foreach ((string copy, _) in original.Where(p => written.Contains(p.Key) || written.Contains(p.Value)).ToArray())
                {
                    original.Remove(copy);
                }
            }

            if (CopySource(current) is string source && written.Single() is string target)
            {
                if (source == target)
                {
                    continue;
                }

                original[target] = source;
            }

            if (current.IsJump)
            {
                original.Clear();
            }

            result.Add(current);
        }

        return result;
    }

    /// <summary>The register that an unconditional move copies; null for anything else, special registers and constants included.</summary>
    private static string? CopySource(PtxLine line)
    {
        if (line.Predicate is not null || !line.Opcode.StartsWith("mov.", StringComparison.Ordinal) || line.Instruction.Contains('{', StringComparison.Ordinal))
        {
            return null;
        }

        string source = line.Instruction.Split(',')[1].Trim(' ', ';');
        return PtxLine.Registers(source).FirstOrDefault() == source ? source : null;
    }

    private static List<PtxLine> RemoveDead(List<PtxLine> lines)
    {
        while (true)
        {
            HashSet<string>[] liveOut = Liveness(lines);
            List<PtxLine> kept = [.. lines.Where((line, i) => !IsRemovable(line) || line.Results.Any(liveOut[i].Contains))];
            if (kept.Count == lines.Count)
            {
                return RemoveUnusedSlots(kept);
            }

            lines = kept;
        }
    }

    private static bool IsRemovable(PtxLine line) =>
        line.Opcode.StartsWith("mov.", StringComparison.Ordinal) || line.Opcode.StartsWith("ld.param.", StringComparison.Ordinal);

    private static List<PtxLine> RemoveUnusedSlots(List<PtxLine> lines)
    {
        HashSet<string> used = [.. lines.Where(l => !l.IsDeclaration).SelectMany(l => PtxLine.Registers(l.Text))];
        return [.. lines.Where(l => !l.IsDeclaration || !PtxLine.Registers(l.Text).Any() || PtxLine.Registers(l.Text).All(used.Contains))];
    }

    /// <summary>For each line the registers that are read later before they are written.</summary>
    private static HashSet<string>[] Liveness(List<PtxLine> lines)
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

            if (lines[i].IsJump)
            {
                blocks.Add((start, i + 1));
                start = i + 1;
            }
        }

        if (start < lines.Count)
        {
            blocks.Add((start, lines.Count));
        }

        Dictionary<string, int> blockOfLabel = blocks.Select((b, i) => (Line: lines[b.Start], Block: i)).Where(p => p.Line.IsLabel)
            .ToDictionary(p => p.Line.Text[..^1], p => p.Block);
        HashSet<string>[] liveIn = [.. blocks.Select(_ => new HashSet<string>())], liveOut = [.. blocks.Select(_ => new HashSet<string>())];
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int b = blocks.Count - 1; b >= 0; b--)
            {
                foreach (int next in Successors(b))
                {
                    liveOut[b].UnionWith(liveIn[next]);
                }

                HashSet<string> live = [.. liveOut[b]];
                for (int i = blocks[b].End - 1; i >= blocks[b].Start; i--)
                {
                    Step(lines[i], live);
                }

                if (live.Count != liveIn[b].Count)
                {
                    liveIn[b] = live;
                    changed = true;
                }
            }
        }

        HashSet<string>[] result = new HashSet<string>[lines.Count];
        for (int b = 0; b < blocks.Count; b++)
        {
            HashSet<string> live = [.. liveOut[b]];
            for (int i = blocks[b].End - 1; i >= blocks[b].Start; i--)
            {
                result[i] = IsRemovable(lines[i]) ? [.. lines[i].Results.Where(live.Contains)] : [];
                if (!IsRemovable(lines[i]) || result[i].Count > 0)
                {
                    Step(lines[i], live);
                }
            }
        }

        return result;

        IEnumerable<int> Successors(int b)
        {
            PtxLine last = lines[blocks[b].End - 1];
            if (last.Opcode.StartsWith("bra", StringComparison.Ordinal))
            {
                yield return blockOfLabel[last.Instruction.Split(' ')[1].Trim(';')];
            }

            bool fallsThrough = !last.IsJump || last.Predicate is not null;
            if (fallsThrough && b + 1 < blocks.Count)
            {
                yield return b + 1;
            }
        }
    }

    private static void Step(PtxLine line, HashSet<string> live)
    {
        if (line.Predicate is null && !line.IsOpaque)
        {
            live.ExceptWith(line.Results);
        }

        live.UnionWith(line.Reads);
    }
}
