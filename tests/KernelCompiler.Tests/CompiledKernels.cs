using KernelAD.Kernels;

namespace KernelAD.KernelCompiler.Tests;

/// <summary>All kernels as this build ships them: an unchanged one is taken from the build's cache, which its fingerprint vouches for.</summary>
internal static class CompiledKernels
{
    private static readonly Lazy<IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel>> Texts = new(() => KernelBuild.Run(Directory.CreateDirectory(Fixture.KernelCache).FullName).Texts);

    /// <summary>Every kernel's PTX for every target it has.</summary>
    public static IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> All => Texts.Value;
}
