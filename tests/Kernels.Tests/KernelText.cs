using System.Collections.Concurrent;
using KernelAD.KernelCompiler;

namespace KernelAD.Kernels.Tests;

/// <summary>The PTX that ships, compiled from the sources once a run and only as far as it is asked for.</summary>
internal static class KernelText
{
    private static readonly ConcurrentDictionary<(string Kernel, KernelTarget Target), Lazy<string>> Texts = [];

    /// <summary>The definition of a kernel.</summary>
    public static KernelDefinition Definition(string kernel) => KernelCatalog.All.Single(k => k.Name == kernel);

    /// <summary>A kernel's PTX for the newest target that an architecture can run.</summary>
    public static string Of(string kernel, string architecture) =>
        Texts.GetOrAdd((kernel, architecture == "sm_75" ? KernelTarget.Sm75 : KernelTarget.Sm80), key => new Lazy<string>(() => PtxCompiler.Compile(Definition(key.Kernel), key.Target).Write())).Value;
}
