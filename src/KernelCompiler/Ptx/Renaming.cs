using System.Globalization;
using System.Text.RegularExpressions;

namespace KernelAD.KernelCompiler.Ptx;

/// <summary>
/// ILGPU numbers labels and parameters through a whole process, and registers in an order that depends on it. Numbered anew, in order of appearance, a kernel's
/// text depends on its source alone; the entry gets the kernel's name.
/// </summary>
internal static partial class Renaming
{
    public static PtxText Apply(PtxText text, string entry)
    {
        const string Parameter = "arguments";
        Dictionary<string, string> labels = [];
        foreach (PtxLine line in text.Body.Where(l => l.IsLabel))
        {
            labels.Add(line.Text[..^1], string.Create(CultureInfo.InvariantCulture, $"L{labels.Count}"));
        }

        Dictionary<string, string> registers = [];
        Dictionary<string, int> counts = [];
        foreach (string register in text.Body.Where(l => !l.IsDeclaration).SelectMany(l => PtxLine.Registers(l.Text)))
        {
            string kind = register.TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9');
            if (!registers.ContainsKey(register))
            {
                counts[kind] = counts.GetValueOrDefault(kind) + 1;
                registers.Add(register, string.Create(CultureInfo.InvariantCulture, $"{kind}{counts[kind]}"));
            }
        }

        IEnumerable<PtxLine> declarations = text.Body.Where(l => l.IsDeclaration && !RegisterDeclaration().IsMatch(l.Text));
        IEnumerable<PtxLine> slots = text.Body.Select(l => SlotDeclaration().Match(l.Text)).Where(m => m.Success)
            .OrderBy(m => int.Parse(registers[m.Groups["slot"].Value].AsSpan("%slot".Length), CultureInfo.InvariantCulture))
            .Select(m => new PtxLine($".reg .{m.Groups["type"].Value} {registers[m.Groups["slot"].Value]};"));
        IEnumerable<PtxLine> ranges = text.Body.Select(l => RegisterRange().Match(l.Text)).Where(m => m.Success && counts.ContainsKey(m.Groups["kind"].Value))
            .Select(m => new PtxLine($".reg .{m.Groups["type"].Value} {m.Groups["kind"].Value}<{counts[m.Groups["kind"].Value] + 1}>;"));
        IEnumerable<PtxLine> code = text.Body.Where(l => !l.IsDeclaration).Select(l => new PtxLine(
            PtxLine.ReplaceRegisters(Label().Replace(l.Text, m => labels[m.Value]), r => registers[r]).Replace($"[{text.Parameter}", $"[{Parameter}", StringComparison.Ordinal)));
        return text.With(declarations.Concat(ranges).Concat(slots).Concat(code), entry, Parameter);
    }

    [GeneratedRegex(@"^\.reg ")]
    private static partial Regex RegisterDeclaration();

    [GeneratedRegex(@"^\.reg \.(?<type>\w+) (?<slot>%slot\d+);$")]
    private static partial Regex SlotDeclaration();

    [GeneratedRegex(@"^\.reg \.(?<type>\w+) (?<kind>%[a-z]+)<\d+>;$")]
    private static partial Regex RegisterRange();

    [GeneratedRegex(@"\bL_\d+\b")]
    private static partial Regex Label();
}
