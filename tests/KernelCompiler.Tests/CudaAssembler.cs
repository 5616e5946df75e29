using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace KernelAD.KernelCompiler.Tests;

/// <summary>What NVIDIA's assembler made of a kernel.</summary>
internal sealed record Assembled(int Registers, int StackBytes, int SpillBytes, string Log, IReadOnlyList<SassInstruction> Sass);

/// <summary>An instruction of the hardware: its mnemonic with suffixes, and for a backward branch the index of its target.</summary>
internal sealed record SassInstruction(string Opcode, int? LoopStart);

/// <summary>NVIDIA's ptxas and nvdisasm, from the folder that KERNELAD_CUDA_ASSEMBLER names or from the PATH.</summary>
internal static partial class CudaAssembler
{
    private static readonly string? Folder = Find();

    /// <summary>Whether they are there.</summary>
    public static bool IsAvailable => Folder is not null;

    /// <summary>Assembles a kernel for an architecture and disassembles the result.</summary>
    public static Assembled Assemble(string ptx, int architecture)
    {
        string source = Path.GetTempFileName(), binary = Path.GetTempFileName();
        try
        {
            File.WriteAllText(source, ptx);
            string log = Run("ptxas", "-v", "--warn-on-spills", $"-arch=sm_{architecture.ToString(CultureInfo.InvariantCulture)}", source, "-o", binary);
            string sass = Run("nvdisasm", "-c", binary);
            return new Assembled(Number(log, @"Used (\d+) registers"), Number(log, @"(\d+) bytes stack frame"), Number(log, @"(\d+) bytes spill stores"), log, Parse(sass));
        }
        finally
        {
            File.Delete(source);
            File.Delete(binary);
        }
    }

    /// <summary>
    /// The instructions of the loop with most instructions of a kind; of several, the shortest. Loops around a loop that has some of the kind do not count:
    /// theirs are executed less often.
    /// </summary>
    public static IReadOnlyList<SassInstruction> HottestLoop(IReadOnlyList<SassInstruction> sass, string mnemonic)
    {
        List<Range> loops = [];
        for (int i = 0; i < sass.Count; i++)
        {
            if (sass[i].LoopStart is int start && Count(start..(i + 1)) > 0)
            {
                loops.Add(start..(i + 1));
            }
        }

        return [.. sass.Take(loops.Where(loop => !loops.Any(other => IsInside(other, loop))).OrderByDescending(Count).ThenBy(Length).First())];

        int Count(Range loop) => sass.Take(loop).Count(i => i.Opcode.StartsWith(mnemonic, StringComparison.Ordinal));

        static int Length(Range loop) => loop.End.Value - loop.Start.Value;

        static bool IsInside(Range inner, Range outer) =>
            Length(inner) < Length(outer) && inner.Start.Value >= outer.Start.Value && inner.End.Value <= outer.End.Value;
    }

    private static string? Find()
    {
        IEnumerable<string?> folders = [Environment.GetEnvironmentVariable("KERNELAD_CUDA_ASSEMBLER"), .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)];
        return folders.FirstOrDefault(f => !string.IsNullOrEmpty(f) && File.Exists(Path.Combine(f, "ptxas")) && File.Exists(Path.Combine(f, "nvdisasm")));
    }

    private static string Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(Path.Combine(Folder!, program), arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, output);
        return output;
    }

    private static int Number(string text, string pattern) => int.Parse(Regex.Match(text, pattern).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    private static List<SassInstruction> Parse(string listing)
    {
        Dictionary<string, int> labels = [];
        List<(string Opcode, string? Target)> instructions = [];
        foreach (string line in listing.Split('\n'))
        {
            if (Label().Match(line) is { Success: true } label)
            {
                labels[label.Groups[1].Value] = instructions.Count;
            }
            else if (Instruction().Match(line) is { Success: true } instruction)
            {
                string opcode = instruction.Groups[1].Value;
                Match target = Target().Match(line);
                instructions.Add((opcode, opcode.StartsWith("BRA", StringComparison.Ordinal) && target.Success ? target.Groups[1].Value : null));
            }
        }

        return [.. instructions.Select((instruction, i) => new SassInstruction(
            instruction.Opcode, instruction.Target is string t && labels.TryGetValue(t, out int start) && start <= i ? start : null))];
    }

    [GeneratedRegex(@"^(\.L_x_\d+):")]
    private static partial Regex Label();

    [GeneratedRegex(@"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)")]
    private static partial Regex Instruction();

    [GeneratedRegex(@"`\((\.L_x_\d+)\)")]
    private static partial Regex Target();
}
