using System.Reflection;

namespace KernelAD.Kernels;

/// <summary>A PTX target that is shipped.</summary>
public enum KernelTarget
{
    /// <summary>sm_75, PTX ISA 6.5: Turing.</summary>
    Sm75 = 75,

    /// <summary>sm_80, PTX ISA 7.0: Ampere and everything after it.</summary>
    Sm80 = 80,
}

/// <summary>What the instructions of a kernel's main loop have to be, for the assembler tests.</summary>
/// <param name="Instruction">SASS mnemonic: HMMA or FFMA.</param>
/// <param name="Share">Least share of the loop's instructions on sm_80, sm_86 and sm_90.</param>
public sealed record MainLoop(string Instruction, double Share);

/// <summary>A kernel to be compiled.</summary>
/// <param name="Name">The entry's name.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="MinBlocks">Blocks that have to fit a multiprocessor: bounds the registers.</param>
/// <param name="SharedBytes">Dynamic shared memory of a block in bytes; 0 where the launch decides.</param>
/// <param name="Registers">Registers that a thread may take on any target.</param>
/// <param name="Methods">The method of each target.</param>
/// <param name="MainLoop">What the main loop has to consist of; null if nothing is required.</param>
public sealed record KernelDefinition(
    string Name, int Threads, int MinBlocks, int SharedBytes, int Registers, IReadOnlyDictionary<KernelTarget, MethodInfo> Methods, MainLoop? MainLoop = null);

/// <summary>All kernels, with what a launch and the assembler tests have to know.</summary>
public static class KernelCatalog
{
    /// <summary>The kernels in order of their names. Each family states its own, beside their code.</summary>
    public static IReadOnlyList<KernelDefinition> All { get; } = [.. Definitions().OrderBy(d => d.Name, StringComparer.Ordinal)];

    private static IEnumerable<KernelDefinition> Definitions() =>
    [
        .. Attention.Definitions(),
        .. Linear.Definitions(),
        .. Convolution.Definitions(),
        .. Windows.Definitions(),
        .. TransposedConvolution.Definitions(),
        .. MixtureLikelihood.Definitions(),
        .. StructuralSimilarity.Definitions(),
        .. LayerNorm.Definitions(),
        .. Elementwise.Definitions(),
        .. Movement.Definitions(),
        .. Reduction.Definitions(),
        .. SqueezeAndExcite.Definitions(),
        .. Maps.Definitions(),
        .. Filters.Definitions(),
    ];

    /// <summary>Defines a kernel whose code is the same for all targets.</summary>
    internal static KernelDefinition Kernel<TArguments>(string name, int threads, int minBlocks, int sharedBytes, int registers, Action<TArguments> kernel)
        where TArguments : struct =>
        Kernel(name, threads, minBlocks, sharedBytes, registers, kernel, kernel);

    /// <summary>Defines a kernel.</summary>
    internal static KernelDefinition Kernel(
        string name, int threads, int minBlocks, int sharedBytes, int registers, Delegate ampere, Delegate? turing, MainLoop? mainLoop = null)
    {
        Dictionary<KernelTarget, MethodInfo> methods = new() { [KernelTarget.Sm80] = ampere.Method };
        if (turing is not null)
        {
            methods.Add(KernelTarget.Sm75, turing.Method);
        }

        return new KernelDefinition(name, threads, minBlocks, sharedBytes, registers, methods, mainLoop);
    }
}
