using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KernelAD.Weights;

/// <summary>Looks for values that are not numbers.</summary>
public static class Finite
{
    private const uint ExponentBits = 0x7F80_0000;

    /// <summary>Index of the first NaN or infinity, −1 if there is none. Bound by memory bandwidth: cheap beside reading the values from a file.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // a model is loaded before the runtime would have found out that this is worth it
    public static int FirstNonFinite(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(values);
        Vector<uint> exponent = new(ExponentBits);
        int i = 0;
        for (; i <= bits.Length - Vector<uint>.Count; i += Vector<uint>.Count)
        {
            // A value is finite if and only if its exponent bits are not all set.
            if (Vector.EqualsAny(new Vector<uint>(bits[i..]) & exponent, exponent))
            {
                break;
            }
        }

        for (; i < bits.Length; i++)
        {
            if ((bits[i] & ExponentBits) == ExponentBits)
            {
                return i;
            }
        }

        return -1;
    }
}
