using System.Text;
using System.Text.RegularExpressions;

namespace KernelAD.KernelCompiler.Ptx;

/// <summary>One line of a kernel's body: a label, a declaration or an instruction. Inline assembly with braces is one line that nothing looks into.</summary>
internal sealed partial class PtxLine
{
    // Stores, barriers, branches and their like: their first operand is not a result.
    private static readonly string[] WithoutResult =
        ["st.", "red.", "cp.async", "bar.", "barrier.", "bra", "ret", "exit", "trap", "membar", "fence", "prefetch", "discard", "brkpt", "nanosleep"];

    private IReadOnlyList<string>? _results;
    private IReadOnlyList<string>? _reads;

    public PtxLine(string text)
    {
        Text = Spaces().Replace(text, " ").Replace("[ ", "[", StringComparison.Ordinal).Replace("{ %", "{%", StringComparison.Ordinal).Trim();
        IsLabel = Text.EndsWith(':');
        IsDeclaration = Text.StartsWith('.');
        IsOpaque = Text.StartsWith('{');
        Match guard = Guard().Match(Text);
        Predicate = guard.Success ? guard.Groups[1].Value : null;
        Instruction = guard.Success ? Text[guard.Length..] : Text;
        Opcode = IsLabel || IsDeclaration || IsOpaque ? "" : Instruction.Split([' ', ';'], 2)[0];
    }

    /// <summary>The line, single-spaced.</summary>
    public string Text { get; }

    /// <summary>Whether it is a jump target.</summary>
    public bool IsLabel { get; }

    /// <summary>Whether it is a directive such as <c>.reg</c>.</summary>
    public bool IsDeclaration { get; }

    /// <summary>Whether it is inline assembly in braces.</summary>
    public bool IsOpaque { get; }

    /// <summary>The register that guards the instruction, or null.</summary>
    public string? Predicate { get; }

    /// <summary>The instruction without its guard.</summary>
    public string Instruction { get; }

    /// <summary>The instruction's name with its suffixes; empty for other lines.</summary>
    public string Opcode { get; }

    /// <summary>Whether control may go elsewhere after it.</summary>
    public bool IsJump => Opcode.StartsWith("bra", StringComparison.Ordinal) || Opcode is "ret" or "exit" or "trap";

    /// <summary>The registers that it writes.</summary>
    public IReadOnlyList<string> Results => _results ??= [.. IsOpaque ? Registers(Text) : HasResult ? Registers(Operands[..ResultEnd]) : []];

    /// <summary>
    /// The registers that it reads. Those of inline assembly count as read and written; a guarded result keeps its old value where the guard is false.
    /// </summary>
    public IReadOnlyList<string> Reads => _reads ??= [.. FindReads()];

    private IEnumerable<string> FindReads()
    {
        IEnumerable<string> reads = IsLabel || IsDeclaration ? [] : IsOpaque ? Registers(Text) : Registers(HasResult ? Operands[ResultEnd..] : Operands);
        return Predicate is null ? reads : reads.Append(Predicate).Concat(Results);
    }

    private bool HasResult => Opcode.Length > 0 && !WithoutResult.Any(p => Opcode.StartsWith(p, StringComparison.Ordinal));

    private string Operands => Instruction[Opcode.Length..];

    private int ResultEnd
    {
        get
        {
            string operands = Operands;
            int end = operands.TrimStart().StartsWith('{') ? operands.IndexOf('}', StringComparison.Ordinal) : operands.IndexOf(',', StringComparison.Ordinal);
            return end < 0 ? operands.Length : end;
        }
    }

    /// <summary>The registers named in a piece of text.</summary>
    public static IEnumerable<string> Registers(string text) => Register().Matches(text).Select(m => m.Value);

    /// <summary>A piece of text with other registers.</summary>
    public static string ReplaceRegisters(string text, Func<string, string> replacement) => Register().Replace(text, m => replacement(m.Value));

    /// <summary>The same instruction reading other registers. What it reads and writes at once stays.</summary>
    public PtxLine WithReads(Func<string, string> replacement)
    {
        if (IsOpaque || IsLabel || IsDeclaration)
        {
            return this;
        }

        int start = Text.Length - Operands.Length + (HasResult ? ResultEnd : 0);
        return new PtxLine(Text[..start] + Register().Replace(Text[start..], m => Results.Contains(m.Value) ? m.Value : replacement(m.Value)));
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"^@!?(%p\d+)\s+")]
    private static partial Regex Guard();

    [GeneratedRegex(@"%(?:p|r|rd|rs|f|fd|slot)\d+\b")]
    private static partial Regex Register();
}

/// <summary>The PTX of one kernel, taken apart into what our passes need.</summary>
internal sealed partial class PtxText
{
    private PtxText(string version, string target, string entry, string parameter, int parameterBytes, IReadOnlyList<string> launchBounds, List<PtxLine> body)
    {
        Version = version;
        Target = target;
        Entry = entry;
        Parameter = parameter;
        ParameterBytes = parameterBytes;
        LaunchBounds = launchBounds;
        Body = body;
    }

    /// <summary>PTX ISA version, e.g. "7.0".</summary>
    public string Version { get; }

    /// <summary>Target, e.g. "sm_80".</summary>
    public string Target { get; }

    /// <summary>The entry's name.</summary>
    public string Entry { get; }

    /// <summary>Name of the one parameter.</summary>
    public string Parameter { get; }

    /// <summary>Size of the parameter in bytes.</summary>
    public int ParameterBytes { get; }

    /// <summary>The directives between parameter list and body: <c>.maxntid</c>, <c>.minnctapersm</c>.</summary>
    public IReadOnlyList<string> LaunchBounds { get; }

    /// <summary>The lines between the braces.</summary>
    public IReadOnlyList<PtxLine> Body { get; }

    /// <summary>Whether the kernel uses dynamic shared memory.</summary>
    public bool UsesSharedMemory => Body.Any(l => l.Text.Contains("smem", StringComparison.Ordinal));

    /// <summary>Reads what ILGPU, or <see cref="Write"/>, wrote: one entry with one parameter, one statement a line.</summary>
    /// <exception cref="KernelException">It is something else.</exception>
    public static PtxText Parse(string kernel, string text)
    {
        Match header = Header().Match(text);
        if (!header.Success)
        {
            throw new KernelException(kernel, "ILGPU's PTX is not one .entry with one parameter; a kernel is a static method with one argument structure");
        }

        int end = text.LastIndexOf('}');
        string body = text[(header.Index + header.Length)..end];
        return new PtxText(
            header.Groups["version"].Value,
            header.Groups["target"].Value,
            header.Groups["entry"].Value,
            header.Groups["parameter"].Value,
            int.Parse(header.Groups["bytes"].Value, System.Globalization.CultureInfo.InvariantCulture),
            [.. header.Groups["bounds"].Value.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)],
            [.. body.Split('\n').Where(l => !string.IsNullOrWhiteSpace(l)).Select(l => new PtxLine(l))]);
    }

    /// <summary>The same kernel with another body.</summary>
    public PtxText With(IEnumerable<PtxLine> body) => With(body, Entry, Parameter);

    /// <summary>The same kernel with another body and other names.</summary>
    public PtxText With(IEnumerable<PtxLine> body, string entry, string parameter) =>
        new(Version, Target, entry, parameter, ParameterBytes, LaunchBounds, [.. body]);

    /// <summary>The text to ship.</summary>
    public string Write()
    {
        StringBuilder text = new();
        text.Append($".version {Version}\n.target {Target}\n.address_size 64\n\n");
        if (UsesSharedMemory)
        {
            text.Append(".extern .shared .align 128 .b8 smem[];\n\n");
        }

        text.Append($".visible .entry {Entry}(.param .align 8 .b8 {Parameter}[{ParameterBytes}])\n");
        foreach (string bound in LaunchBounds)
        {
            text.Append(bound).Append('\n');
        }

        text.Append("{\n");
        foreach (PtxLine line in Body)
        {
            text.Append(line.IsLabel ? "" : "\t").Append(line.Text).Append('\n');
        }

        return text.Append("}\n").ToString();
    }

    [GeneratedRegex(
        @"\.version\s+(?<version>[\d.]+)\s+\.target\s+(?<target>\w+)\s+\.address_size\s+64\s+(?:\.extern [^;]*;\s+)?"
        + @"\.visible\s+\.entry\s+(?<entry>\w+)\(\s*\.param\s+\.align\s+8\s+\.b8\s+(?<parameter>\w+)\[(?<bytes>\d+)\]\s*\)(?<bounds>[^{]*)\{")]
    private static partial Regex Header();
}
