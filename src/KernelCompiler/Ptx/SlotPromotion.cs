using System.Text.RegularExpressions;

namespace KernelAD.KernelCompiler.Ptx;

/// <summary>
/// ILGPU hands values to inline assembly through slots in local memory. ptxas turns those into registers only in small kernels; in ours it leaves thousands of
/// loads and stores. A slot whose address is only ever loaded from and stored to, with one type, becomes a register here.
/// </summary>
internal static partial class SlotPromotion
{
    public static PtxText Apply(PtxText text)
    {
        // Address register → depot.
        Dictionary<string, string> depots = [];
        foreach (PtxLine line in text.Body)
        {
            Match address = DepotAddress().Match(line.Text);
            if (address.Success)
            {
                depots.Add(address.Groups["register"].Value, address.Groups["depot"].Value);
            }
        }

        Dictionary<string, HashSet<string>> types = [];
        HashSet<string> escaping = [];
        foreach (PtxLine line in text.Body)
        {
            Match access = Access().Match(line.Instruction);
            string? accessed = access.Success ? access.Groups["address"].Value : null;
            if (accessed is not null && depots.ContainsKey(accessed))
            {
                types.TryAdd(accessed, []);
                types[accessed].Add(access.Groups["type"].Value);
            }

            IEnumerable<string> others = PtxLine.Registers(line.Text).Where(depots.ContainsKey);
            escaping.UnionWith(DepotAddress().IsMatch(line.Text) ? [] : others.Where(r => r != accessed));
        }

        Dictionary<string, string> slots = depots.Keys
            .Where(r => !escaping.Contains(r) && types.TryGetValue(r, out HashSet<string>? used) && used.Count == 1)
            .Select((r, i) => (Register: r, Slot: $"%slot{i}")).ToDictionary(p => p.Register, p => p.Slot);
        HashSet<string> promoted = [.. slots.Keys.Select(r => depots[r])];
        IEnumerable<PtxLine> declarations = slots.Select(s => new PtxLine($".reg .{types[s.Key].Single()} {s.Value};"));
        return text.With(declarations.Concat(text.Body.Where(l => !IsPromotedDepot(l)).Select(l => Rewrite(l, slots))));

        bool IsPromotedDepot(PtxLine line)
        {
            Match declaration = DepotDeclaration().Match(line.Text), address = DepotAddress().Match(line.Text);
            return (declaration.Success && promoted.Contains(declaration.Groups["depot"].Value)) || (address.Success && slots.ContainsKey(address.Groups["register"].Value));
        }
    }

    private static PtxLine Rewrite(PtxLine line, Dictionary<string, string> slots)
    {
        Match access = Access().Match(line.Instruction);
        if (!access.Success || !slots.TryGetValue(access.Groups["address"].Value, out string? slot))
        {
            return line;
        }

        string guard = line.Text[..^line.Instruction.Length];
        string type = access.Groups["type"].Value;
        return new PtxLine(access.Groups["loaded"].Success
            ? $"{guard}mov.{type} {access.Groups["loaded"].Value}, {slot};"
            : $"{guard}mov.{type} {slot}, {access.Groups["stored"].Value};");
    }

    [GeneratedRegex(@"^mov\.b64 (?<register>%rd\d+), (?<depot>__local_depot\d+);$")]
    private static partial Regex DepotAddress();

    [GeneratedRegex(@"^\.local .*\.b8 (?<depot>__local_depot\d+)\[\d+\];$")]
    private static partial Regex DepotDeclaration();

    [GeneratedRegex(@"^(?:ld\.local\.(?<type>\w+) (?<loaded>%\w+), \[(?<address>%rd\d+)\]|st\.local\.(?<type>\w+) \[(?<address>%rd\d+)\], (?<stored>[^;]+));$")]
    private static partial Regex Access();
}
