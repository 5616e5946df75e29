using System.Text.RegularExpressions;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler.Ptx;

/// <summary>What shipped PTX must not contain, each rule with the reason in its message.</summary>
internal static partial class PtxLint
{
    private const int MaxParameterBytes = 4096;

    private static readonly Dictionary<KernelTarget, (string Version, string Target)> Policy = new()
    {
        [KernelTarget.Sm75] = ("6.5", "sm_75"),
        [KernelTarget.Sm80] = ("7.0", "sm_80"),
    };

    /// <summary>Checks a kernel.</summary>
    /// <exception cref="KernelException">It breaks a rule; the first line that does is quoted.</exception>
    public static void Check(KernelDefinition kernel, KernelTarget target, PtxText text)
    {
        (string version, string architecture) = Policy[target];
        Require(text.Version == version && text.Target == architecture, $"has .version {text.Version} .target {text.Target} instead of {version} {architecture}");
        Require(text.Entry == kernel.Name, $"has the entry {text.Entry}");
        Require(text.ParameterBytes <= MaxParameterBytes, $"has {text.ParameterBytes} bytes of parameters; {MaxParameterBytes} is the most");
        Require(text.UsesSharedMemory || kernel.SharedBytes == 0, "is defined with shared memory and does not use it");
        foreach (PtxLine line in text.Body)
        {
            Forbid(line, ConditionalUniform(), "a conditional bra.uni: divergent lanes would not reconverge");
            Forbid(line, Local(), "local memory: a slot was not promoted, or an array is indexed at run time");
            Forbid(line, Call(), "a call: everything has to be inlined");
            Forbid(line, GenericAccess(), "a load or store without a state space: slow, and no ArrayView belongs in a kernel");
            Forbid(line, Double(), "double precision");
            Forbid(line, StaticShared(), "static shared memory: use the block's dynamic one");
        }

        void Forbid(PtxLine line, Regex pattern, string what) => Require(!pattern.IsMatch(line.Text), $"has {what}: {line.Text}");

        void Require(bool condition, string message)
        {
            if (!condition)
            {
                throw new KernelException(kernel.Name, $"its PTX for {architecture} {message}");
            }
        }
    }

    [GeneratedRegex(@"^@!?%p\d+ bra\.uni")]
    private static partial Regex ConditionalUniform();

    [GeneratedRegex(@"\.local\b")]
    private static partial Regex Local();

    [GeneratedRegex(@"(^|\s)call\b|\.extern \.func")]
    private static partial Regex Call();

    [GeneratedRegex(@"(^|[\s;])(ld|st)\.(volatile\.)?(v[24]\.)?[bufs]\d+\s")]
    private static partial Regex GenericAccess();

    [GeneratedRegex(@"\.f64\b")]
    private static partial Regex Double();

    [GeneratedRegex(@"^\.shared\b")]
    private static partial Regex StaticShared();
}
