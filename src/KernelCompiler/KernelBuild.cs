using System.Collections.Concurrent;
using KernelAD.Kernels;
using KernelAD.KernelCompiler.Ptx;

namespace KernelAD.KernelCompiler;

/// <summary>Compiles the whole catalogue, taking unchanged kernels from a cache folder.</summary>
internal static class KernelBuild
{
    /// <summary>Compiles every kernel for every target it has.</summary>
    /// <param name="cache">Folder of earlier results by fingerprint; null: none.</param>
    /// <returns>The texts, and how many had to be compiled.</returns>
    public static (IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> Texts, int Compiled) Run(string? cache)
    {
        ConcurrentDictionary<(string Kernel, KernelTarget Target), CompiledKernel> texts = [];
        int compiled = 0;
        IEnumerable<(KernelDefinition Kernel, KernelTarget Target)> work = KernelCatalog.All.SelectMany(k => k.Methods.Keys.Select(t => (k, t)));
        Parallel.ForEach(Partitioner.Create(work, EnumerablePartitionerOptions.NoBuffering), item =>
        {
            string? file = cache is null ? null : Path.Combine(cache, SourceFingerprint.Of(item.Kernel, item.Target) + ".ptx");
            string ptx;
            if (file is not null && File.Exists(file))
            {
                ptx = File.ReadAllText(file);
            }
            else
            {
                ptx = PtxCompiler.Compile(item.Kernel, item.Target).Write();
                Interlocked.Increment(ref compiled);
                if (file is not null)
                {
                    File.WriteAllText(file, ptx);
                }
            }

            texts[(item.Kernel.Name, item.Target)] = new CompiledKernel(ptx, PtxText.Parse(item.Kernel.Name, ptx).ParameterBytes);
        });

        return (texts, compiled);
    }
}
