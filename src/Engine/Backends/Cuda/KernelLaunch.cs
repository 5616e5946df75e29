using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// One launch of a kernel, described: it can be listed, captured into a graph, timed, or run by an emulator. Immutable; the addresses among its arguments
/// tie it
/// to one run context's memory.
/// </summary>
internal sealed class KernelLaunch
{
    // CUDA C++ Programming Guide, technical specifications per compute capability: the same from 3.0 on.
    private const int MaxGridYZ = 65535;

    private readonly byte[] _arguments;

    private KernelLaunch(KernelInfo kernel, LaunchSize grid, int sharedBytes, byte[] arguments)
    {
        Kernel = kernel;
        Grid = grid;
        SharedBytes = sharedBytes;
        _arguments = arguments;
    }

    /// <summary>The kernel.</summary>
    public KernelInfo Kernel { get; }

    /// <summary>Number of blocks.</summary>
    public LaunchSize Grid { get; }

    /// <summary>Threads of a block.</summary>
    public LaunchSize Block => new(Kernel.Threads);

    /// <summary>Dynamic shared memory of a block in bytes.</summary>
    public int SharedBytes { get; }

    /// <summary>The argument structure, as the kernel takes it.</summary>
    public ReadOnlySpan<byte> Arguments => _arguments;

    /// <summary>Describes a launch.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="grid">Number of blocks.</param>
    /// <param name="arguments">Its argument structure.</param>
    /// <param name="sharedBytes">Dynamic shared memory, where the launch decides it; null: what the kernel states.</param>
    /// <exception cref="ConfigurationException">The grid is larger than a GPU takes.</exception>
    public static KernelLaunch Of<T>(KernelInfo kernel, LaunchSize grid, in T arguments, int? sharedBytes = null)
        where T : unmanaged
    {
        byte[] bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in arguments)).ToArray();
        if (bytes.Length != kernel.ParameterBytes)
        {
            throw new InvalidOperationException($"kernel {kernel.Name} takes {kernel.ParameterBytes} bytes of arguments, {typeof(T).Name} has {bytes.Length}");
        }

        if (grid.X < 1 || grid.Y is < 1 or > MaxGridYZ || grid.Z is < 1 or > MaxGridYZ)
        {
            throw new ConfigurationException($"kernel {kernel.Name} would need a grid of {grid.X}×{grid.Y}×{grid.Z} blocks; run fewer pictures at a time");
        }

        return new KernelLaunch(kernel, grid, sharedBytes ?? kernel.SharedBytes, bytes);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Kernel.Name} <<<({Grid.X}, {Grid.Y}, {Grid.Z}), {Kernel.Threads}, {SharedBytes}>>>";
}
