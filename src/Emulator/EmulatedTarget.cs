namespace KernelAD.Emulator;

/// <summary>An architecture that can be emulated, with the limits of the CUDA C++ Programming Guide's table of compute capabilities.</summary>
/// <param name="Major">Major number of the compute capability.</param>
/// <param name="Minor">Minor number of the compute capability.</param>
/// <param name="MaxSharedMemoryPerBlock">The most shared memory of a block after opting in, in bytes.</param>
/// <param name="SharedMemory">Shared memory of a multiprocessor, in bytes.</param>
/// <param name="MaxThreads">Resident threads of a multiprocessor.</param>
/// <param name="MaxBlocks">Resident blocks of a multiprocessor.</param>
/// <param name="Multiprocessors">How many multiprocessors a well-known device has: T4, A100, A40, Orin, RTX 4090, H100 SXM.</param>
internal sealed record EmulatedTarget(int Major, int Minor, int MaxSharedMemoryPerBlock, int SharedMemory, int MaxThreads, int MaxBlocks, int Multiprocessors)
{
    /// <summary>Shared memory that a block may have without opting in, in bytes.</summary>
    public const int DefaultSharedMemoryPerBlock = 48 << 10;

    /// <summary>The most threads of a block.</summary>
    public const int MaxThreadsPerBlock = 1024;

    /// <summary>The most bytes of parameters of a kernel.</summary>
    public const int MaxParameterBytes = 4096;

    private static readonly EmulatedTarget[] All =
    [
        new(7, 5, 64 << 10, 64 << 10, 1024, 16, 40),
        new(8, 0, 163 << 10, 164 << 10, 2048, 32, 108),
        new(8, 6, 99 << 10, 100 << 10, 1536, 16, 84),
        new(8, 7, 163 << 10, 164 << 10, 1536, 16, 16),
        new(8, 9, 99 << 10, 100 << 10, 1536, 24, 128),
        new(9, 0, 227 << 10, 228 << 10, 2048, 32, 132),
    ];

    /// <summary>The names of all architectures, for messages.</summary>
    public static string Names => string.Join(", ", All.Select(target => target.Name));

    /// <summary>The architecture as PTX targets name it.</summary>
    public string Name => $"sm_{Number}";

    /// <summary>The number in the name, e.g. 80.</summary>
    public int Number => (10 * Major) + Minor;

    /// <summary>How the tensor cores add floating-point products: what was measured on an H200 for sm_90, nothing measured for the others.</summary>
    public MatrixSums MatrixSums => Number == 90 ? MatrixSums.Aligned : MatrixSums.Sequential;

    /// <summary>Finds an architecture.</summary>
    /// <param name="name">Its name, e.g. <c>sm_80</c>.</param>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static EmulatedTarget Find(string name) => Array.Find(All, target => target.Name == name)
        ?? throw new ArgumentException($"Architecture '{name}' cannot be emulated: choose one of {Names}.", nameof(name));
}
