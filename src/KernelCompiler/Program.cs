using KernelAD.KernelCompiler;
using KernelAD.Kernels;

// KernelAD.KernelCompiler ARCHIVE [CACHE]: compiles all kernels into the archive that the engine embeds; CACHE keeps unchanged ones.
// KernelAD.KernelCompiler --text FOLDER [CACHE]: writes each kernel's PTX as FOLDER/NAME.sm_XX.ptx instead, to be read or assembled.
bool asText = args is ["--text", ..];
string[] paths = asText ? args[1..] : args;
if (paths.Length is < 1 or > 2)
{
    Console.Error.WriteLine("usage: KernelAD.KernelCompiler ARCHIVE [CACHE] | --text FOLDER [CACHE]");
    return 2;
}

try
{
    string? cache = paths.Length == 2 ? Directory.CreateDirectory(paths[1]).FullName : null;
    (IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> texts, int compiled) = KernelBuild.Run(cache);
    if (asText)
    {
        Directory.CreateDirectory(paths[0]);
        foreach (((string kernel, KernelTarget target), CompiledKernel text) in texts)
        {
            File.WriteAllText(Path.Combine(paths[0], $"{kernel}.sm_{(int)target}.ptx"), text.Ptx);
        }
    }
    else
    {
        KernelArchive.Write(paths[0], texts);
    }

    Console.WriteLine($"{texts.Count} kernels, {compiled} compiled");
    return 0;
}
catch (Exception e) when (e is KernelException or AggregateException { InnerException: KernelException } or IOException)
{
    Console.Error.WriteLine($"error KAD001: {(e.InnerException ?? e).Message}");
    return 1;
}
