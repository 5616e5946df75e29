using System.Globalization;
using System.Text.RegularExpressions;

namespace KernelAD.Kernels.Tests;

/// <summary>PTX with one arithmetic instruction altered.</summary>
internal static partial class Alterations
{
    /// <summary>Seeded instructions, every operation in its turn.</summary>
    public static List<(int Line, string Altered)> Choose(string[] lines, int count)
    {
        Random random = new(20);
        List<Queue<(int Line, string Altered)>> operations = [.. Enumerable.Range(0, lines.Length)
            .Select(line => (Line: line, Altered: Alter(lines[line])))
            .Where(candidate => candidate.Altered is not null)
            .GroupBy(candidate => Instruction().Match(lines[candidate.Line]).Groups[2].Value)
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group =>
            {
                (int, string)[] candidates = [.. group.Select(candidate => (candidate.Line, candidate.Altered!))];
                random.Shuffle(candidates);
                return new Queue<(int, string)>(candidates);
            })];
        List<(int, string)> chosen = [];
        while (chosen.Count < count && operations.Count > 0)
        {
            chosen.AddRange(operations.Select(operation => operation.Dequeue()).Take(count - chosen.Count));
            operations.RemoveAll(operation => operation.Count == 0);
        }

        return chosen;
    }

    /// <summary>The instruction with another operation, another constant or exchanged operands; null if it is none of arithmetic.</summary>
    private static string? Alter(string line)
    {
        Match match = Instruction().Match(line);
        if (!match.Success)
        {
            return null;
        }

        string operation = match.Groups[2].Value, operands = match.Groups[3].Value;
        string[] parts = [.. operands.Split(',').Select(part => part.Trim())];
        Match constant = Constant().Match(operands);
        string? altered = operation switch
        {
            "fma.rn.f32" when constant.Success => $"{operation} {Altered(constant)}",
            "fma.rn.f32" => $"add.f32 {parts[0]}, {parts[1]}, {parts[3]}",
            "add.f32" => $"sub.f32 {operands}",
            "sub.f32" => $"add.f32 {operands}",
            "mul.f32" => $"add.f32 {operands}",
            "neg.f32" => $"mov.f32 {operands}",
            "abs.f32" => $"neg.f32 {operands}",
            "max.f32" => $"min.f32 {operands}",
            "min.f32" => $"max.f32 {operands}",
            "rcp.approx.ftz.f32" => $"sqrt.approx.ftz.f32 {operands}",
            "rsqrt.approx.f32" => $"sqrt.approx.f32 {operands}",
            "ex2.approx.ftz.f32" => $"rcp.approx.ftz.f32 {operands}",
            _ when operation.StartsWith("mma.sync", StringComparison.Ordinal) => $"{operation} {SecondOperand().Replace(operands, "$1{$3,$2}", 1)}",
            _ => null,
        };
        return altered is null ? null : $"{match.Groups[1].Value}{altered};";

        // Half as much again, or two thirds.
        string Altered(Match bits) => operands.Remove(bits.Index, bits.Length)
            .Insert(bits.Index, $"0f{uint.Parse(bits.Groups[1].ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture) ^ 0x0040_0000:X8}");
    }

    [GeneratedRegex(@"^(\s*(?:\{\s*)?(?:@!?%p\d+ )?)([a-z0-9_.]+)\s+([^;]*);\s*$")]
    private static partial Regex Instruction();

    [GeneratedRegex("0f([0-9A-Fa-f]{8})")]
    private static partial Regex Constant();

    /// <summary>The second factor of a product of matrices: two registers.</summary>
    [GeneratedRegex(@"^(\{[^}]*\}, \{[^}]*\}, )\{([^,}]*),([^,}]*)\}")]
    private static partial Regex SecondOperand();
}
