using System.Collections.Concurrent;
using KernelAD.KernelCompiler;

namespace KernelAD.Kernels.Tests;

/// <summary>The PTX that ships, compiled from the sources once a run and only as far as it is asked for.</summary>
internal static class KernelText
{
    private static readonly ConcurrentDictionary<(string Kernel, KernelTarget Target), Lazy<string>> Texts = [];

    /// <summary>The definition of a kernel.</summary>
    public static KernelDefinition Definition(string kernel) => KernelCatalog.All.Single(k => k.Name == kernel);

    /// <summary>The target of an architecture: the newest one that it can run.</summary>
    public static KernelTarget Target(string architecture) => architecture == "sm_75" ? KernelTarget.Sm75 : KernelTarget.Sm80;

    /// <summary>A kernel's PTX.</summary>
    public static string Of(string kernel, KernelTarget target) =>
        Texts.GetOrAdd((kernel, target), key => new Lazy<string>(() => KernelBuild.Text(Definition(key.Kernel), key.Target, Directory.CreateDirectory(Fixture.KernelCache).FullName).Ptx)).Value;
}
