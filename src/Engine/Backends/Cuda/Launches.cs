using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>What all families of launches need.</summary>
internal static class Launches
{
    /// <summary>Planes that one launch takes: grid.z.</summary>
    private const int MaxPlanes = 65535;

    /// <summary>Blocks that cover so many pieces of work.</summary>
    /// <exception cref="ConfigurationException">There are more than a grid can have.</exception>
    public static int Blocks(long work, int perBlock)
    {
        long blocks = (work + perBlock - 1) / perBlock;
        return blocks <= int.MaxValue ? (int)blocks : throw new ConfigurationException($"a step would need {blocks:N0} blocks; run fewer pictures at a time");
    }

    /// <summary>A number of threads' pieces of work, as kernels count them.</summary>
    /// <exception cref="ConfigurationException">There are more than 32 bits count.</exception>
    public static int Units(long units) =>
        units <= int.MaxValue ? (int)units : throw new ConfigurationException($"a step would need {units:N0} threads; run fewer pictures at a time");

    /// <summary>Whether rows of so many elements can be accessed as vectors.</summary>
    /// <param name="address">Address of the first row.</param>
    /// <param name="stride">From one row to the next in elements.</param>
    /// <param name="elements">Elements of a vector.</param>
    /// <param name="type">Their type.</param>
    public static bool Aligned(long address, long stride, int elements, StorageType type) =>
        address % (elements * type.Bytes()) == 0 && stride % elements == 0;

    /// <summary>Launches over pictures' planes, as many as it takes.</summary>
    /// <param name="planes">Number of planes.</param>
    /// <param name="create">Makes a launch for so many planes from one on.</param>
    public static IReadOnlyList<KernelLaunch> Planes(int planes, Func<int, int, KernelLaunch> create) =>
        [.. Enumerable.Range(0, Blocks(planes, MaxPlanes)).Select(i => create(i * MaxPlanes, Math.Min(planes - (i * MaxPlanes), MaxPlanes)))];

    /// <summary>A grid of tiles of planes.</summary>
    public static LaunchSize Grid(int width, int tileWidth, int height, int tileHeight, int planes) =>
        new(LinearTiles.Tiles(width, tileWidth), LinearTiles.Tiles(height, tileHeight), planes);
}
