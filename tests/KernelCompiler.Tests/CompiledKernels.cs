using KernelAD.Kernels;

namespace KernelAD.KernelCompiler.Tests;

/// <summary>All kernels, compiled once per test run.</summary>
internal static class CompiledKernels
{
    private static readonly Lazy<IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel>> Texts = new(() => KernelBuild.Run(cache: null).Texts);

    /// <summary>Every kernel's PTX for every target it has.</summary>
    public static IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> All => Texts.Value;
}
