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
        // What a register is a copy of, and the other way round. A register that was overwritten since may still stand in a list: it is then no copy, and
        // forgetting it costs an opportunity, not correctness.
        Dictionary<string, string> original = [];
        Dictionary<string, List<string>> copies = [];
        List<PtxLine> result = new(lines.Count);
        foreach (PtxLine line in lines)
        {
            if (line.IsLabel)
            {
                original.Clear();
            }

            PtxLine current = line.WithReads(r => original.GetValueOrDefault(r, r));
            foreach (string written in current.Results)
            {
                original.Remove(written);
                if (copies.Remove(written, out List<string>? stale))
                {
                    stale.ForEach(c => original.Remove(c));
                }
            }

            if (CopySource(current) is string source && current.Results.Single() is string target)
            {
                if (source == target)
                {
                    continue;
                }

                original[target] = source;
                if (!copies.TryGetValue(source, out List<string>? known))
                {
                    copies.Add(source, known = []);
                }

                known.Add(target);
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
            HashSet<PtxLine> dead = new Liveness(lines).Dead(IsRemovable);
            if (dead.Count == 0)
            {
                return RemoveUnusedSlots(lines);
            }

            lines = [.. lines.Where(l => !dead.Contains(l))];
        }
    }

    private static bool IsRemovable(PtxLine line) =>
        line.Opcode.StartsWith("mov.", StringComparison.Ordinal) || line.Opcode.StartsWith("ld.param.", StringComparison.Ordinal);

    private static List<PtxLine> RemoveUnusedSlots(List<PtxLine> lines)
    {
        HashSet<string> used = [.. lines.Where(l => !l.IsDeclaration).SelectMany(l => PtxLine.Registers(l.Text))];
        return [.. lines.Where(l => !l.IsDeclaration || !PtxLine.Registers(l.Text).Any() || PtxLine.Registers(l.Text).All(used.Contains))];
    }
}
