using System.Runtime.CompilerServices;

namespace KernelAD.Kernels.Device;

/// <summary>Stores of results in the type that their readers want.</summary>
internal static class Results
{
    /// <summary>Bytes of an element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Size(StorageType type) => type == StorageType.Half ? 2 : 4;

    /// <summary>Stores one element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(long y, long element, float value, StorageType type)
    {
        if (type == StorageType.Half)
        {
            Global.StoreHalf(y + (2 * element), value);
        }
        else
        {
            Global.Store(y + (4 * element), type == StorageType.Tf32 ? Numbers.RoundToTf32(value) : value);
        }
    }

    /// <summary>Stores up to four neighbouring elements.</summary>
    /// <param name="y">Address of element 0.</param>
    /// <param name="element">The first of them.</param>
    /// <param name="v">Their values.</param>
    /// <param name="count">How many, 1 … 4.</param>
    /// <param name="type">The type in memory.</param>
    /// <param name="aligned">Whether all four exist and the first is aligned to four elements.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(long y, long element, F4 v, int count, StorageType type, bool aligned)
    {
        if (!aligned)
        {
            Store(y, element, v.X, type);
            if (count > 1)
            {
                Store(y, element + 1, v.Y, type);
            }

            if (count > 2)
            {
                Store(y, element + 2, v.Z, type);
            }

            if (count > 3)
            {
                Store(y, element + 3, v.W, type);
            }
        }
        else if (type == StorageType.Half)
        {
            Global.Store2(y + (2 * element), Numbers.PackHalves(v.X, v.Y), Numbers.PackHalves(v.Z, v.W));
        }
        else
        {
            if (type == StorageType.Tf32)
            {
                v.X = Numbers.RoundToTf32(v.X);
                v.Y = Numbers.RoundToTf32(v.Y);
                v.Z = Numbers.RoundToTf32(v.Z);
                v.W = Numbers.RoundToTf32(v.W);
            }

            Global.Store4(y + (4 * element), v);
        }
    }
}
