using System.Runtime.CompilerServices;

namespace KernelAD.Kernels.Device;

/// <summary>Loads of operands in whatever type they are stored.</summary>
internal static class Elements
{
    /// <summary>Loads one element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(long x, long element, StorageType type) =>
        type == StorageType.Half ? Global.Half(x + (2 * element)) : Global.Float(x + (4 * element));

    /// <summary>Loads four neighbouring elements, the first of which is aligned to four elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Load4(long x, long element, StorageType type) =>
        type == StorageType.Half ? Global.Half4(x + (2 * element)) : Global.Float4(x + (4 * element));
}
