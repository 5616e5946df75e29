namespace KernelAD.Emulator;

/// <summary>A module's kernels, ready to run.</summary>
internal sealed class PtxModule
{
    private PtxModule(string name, IReadOnlyDictionary<string, PtxKernel> kernels)
    {
        Name = name;
        Kernels = kernels;
    }

    /// <summary>The module's name.</summary>
    public string Name { get; }

    /// <summary>The kernels by name.</summary>
    public IReadOnlyDictionary<string, PtxKernel> Kernels { get; }

    /// <summary>Reads and prepares a module.</summary>
    /// <param name="name">The module's name, for errors.</param>
    /// <param name="ptx">The PTX text.</param>
    /// <param name="target">The device that is to run it.</param>
    /// <exception cref="PtxException">The text is malformed, or uses what the device or the emulator does not have.</exception>
    public static PtxModule Parse(string name, string ptx, EmulatedTarget target)
    {
        Dictionary<string, PtxKernel> kernels = new(StringComparer.Ordinal);
        foreach (PtxEntry entry in PtxParser.Parse(name, ptx, target))
        {
            kernels.Add(entry.Name, KernelCompiler.Compile(name, entry, target));
        }

        return new(name, kernels);
    }
}
