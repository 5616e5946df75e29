using System.Numerics;

namespace KernelAD.Emulator.Tests;

/// <summary>
/// Rounding without any floating-point trick: numbers are integers times 2^-scale, and the neighbours in a format are found by bisection over its bit patterns,
/// which grow with the magnitude.
/// </summary>
internal static class ExactRounding
{
    /// <summary>A double as an integer times 2^-scale, which must hold it.</summary>
    public static BigInteger Scale(double value, int scale)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int exponent = Math.Max((int)((bits >> 52) & 0x7FF), 1) - 1075;
        long significand = (bits & 0xFFFFFFFFFFFFF) | (((bits >> 52) & 0x7FF) == 0 ? 0 : 1L << 52);
        int shift = exponent + scale;
        BigInteger scaled = shift >= 0 ? (BigInteger)significand << shift : (BigInteger)significand >> -shift;
        Assert.That(shift >= 0 || scaled << -shift == significand, "the scale holds the number");
        return bits < 0 ? -scaled : scaled;
    }

    /// <summary>What a number's magnitude bits stand for, by means of .NET's own types.</summary>
    public static double Decode(PtxType type, uint magnitude) => type switch
    {
        PtxType.F16 => (double)BitConverter.UInt16BitsToHalf((ushort)magnitude),
        PtxType.BF16 => BitConverter.UInt32BitsToSingle(magnitude << 16),
        _ => BitConverter.UInt32BitsToSingle(magnitude),
    };

    /// <summary>The bits of a finite number rounded to a format; the sign of zero is <paramref name="negative"/>.</summary>
    public static uint Round(BigInteger scaled, int scale, PtxType type, Rounding rounding, bool negative)
    {
        (uint step, uint infinity, uint sign) = type switch
        {
            PtxType.F16 => (1u, 0x7C00u, 0x8000u),
            PtxType.BF16 => (1u, 0x7F80u, 0x8000u),
            PtxType.TF32 => (1u << 13, 0x7F800000u, 0x80000000u),
            _ => (1u, 0x7F800000u, 0x80000000u),
        };
        uint signBits = negative ? sign : 0;
        BigInteger magnitude = BigInteger.Abs(scaled);

        // The largest not above; infinity stands for the next power of two.
        uint low = 0, high = infinity / step;
        while (high - low > 1)
        {
            uint middle = (low + high) / 2;
            (low, high) = Value(middle * step) <= magnitude ? (middle, high) : (low, middle);
        }

        BigInteger below = Value(low * step), above = Value(high * step);
        if (below == magnitude)
        {
            return signBits | (low * step);
        }

        // Far above all numbers the nearest is infinity, too.
        bool up = rounding switch
        {
            Rounding.Zero => false,
            Rounding.Down => negative,
            Rounding.Up => !negative,
            Rounding.NearestAway => magnitude - below >= above - magnitude,
            _ => magnitude - below > above - magnitude || (magnitude - below == above - magnitude && low % 2 == 1),
        };
        return signBits | ((up ? high : low) * step);

        BigInteger Value(uint bits) => bits == infinity ? 2 * Scale(Decode(type, PowerBelow(infinity, type)), scale) : Scale(Decode(type, bits), scale);
    }

    /// <summary>The bits of the largest power of two.</summary>
    private static uint PowerBelow(uint infinity, PtxType type) => infinity - type switch { PtxType.F16 => 1u << 10, PtxType.BF16 => 1u << 7, _ => 1u << 23 };
}
