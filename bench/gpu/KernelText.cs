using System.Globalization;
using KernelAD.Backends.Cuda;

namespace KernelAD.Kernels.Tests;

/// <summary>
/// The PTX that ships, as the engine carries it. Stands in the place of the class of that name in tests/Kernels.Tests, which compiles it from the sources.
/// </summary>
internal static class KernelText
{
    /// <summary>The definition of a kernel.</summary>
    public static KernelInfo Definition(string kernel) => KernelLibrary.Embedded[kernel];

    /// <summary>The target of an architecture: the newest one that it can run.</summary>
    public static string Target(string architecture) => KernelLibrary.Embedded.Targets.Last(target => Number(target) <= Number(architecture));

    /// <summary>A kernel's PTX.</summary>
    public static string Of(string kernel, string target) => KernelLibrary.Embedded.Ptx(kernel, target);

    /// <summary>The number of an architecture, e.g. 80.</summary>
    public static int Number(string architecture) => int.Parse(architecture.AsSpan("sm_".Length), CultureInfo.InvariantCulture);
}
