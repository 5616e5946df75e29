using System.Collections.Concurrent;
using KernelAD.KernelCompiler.Ptx;
using KernelAD.Kernels;

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
            (string ptx, bool isNew) = Text(item.Kernel, item.Target, cache);
            if (isNew)
            {
                Interlocked.Increment(ref compiled);
            }

            texts[(item.Kernel.Name, item.Target)] = new CompiledKernel(ptx, PtxText.Parse(item.Kernel.Name, ptx).ParameterBytes);
        });

        return (texts, compiled);
    }

    /// <summary>A kernel's PTX, from the cache if it is there.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="target">One of its targets.</param>
    /// <param name="cache">Folder of earlier results by fingerprint; null: none.</param>
    /// <returns>The text, and whether it had to be compiled.</returns>
    public static (string Ptx, bool IsNew) Text(KernelDefinition kernel, KernelTarget target, string? cache)
    {
        string? file = cache is null ? null : Path.Combine(cache, SourceFingerprint.Of(kernel, target) + ".ptx");
        if (file is not null && File.Exists(file))
        {
            return (File.ReadAllText(file), false);
        }

        string ptx = PtxCompiler.Compile(kernel, target).Write();
        if (file is not null)
        {
            // Several processes may compile at once: none must find a file half-written.
            string temporary = $"{file}.{Environment.ProcessId}";
            File.WriteAllText(temporary, ptx);
            File.Move(temporary, file, overwrite: true);
        }

        return (ptx, true);
    }
}
