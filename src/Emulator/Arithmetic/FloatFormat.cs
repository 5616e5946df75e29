using System.Numerics;

namespace KernelAD.Emulator;

/// <summary>
/// A binary floating-point format and exact rounding to it: sign, exponent and fraction as in IEEE 754, the fraction's lowest bits missing where a format is
/// held in a wider container. Everything here is integer arithmetic: slow, and right for every rounding.
/// </summary>
/// <param name="Precision">Significant bits, the hidden one included.</param>
/// <param name="ExponentBits">Bits of the exponent field.</param>
/// <param name="Padding">Bits of the container below the fraction, zero when written and ignored when read.</param>
internal sealed record FloatFormat(int Precision, int ExponentBits, int Padding = 0)
{
    private const int InfiniteExponent = int.MaxValue;

    public static readonly FloatFormat F16 = new(11, 5);
    public static readonly FloatFormat BF16 = new(8, 8);
    public static readonly FloatFormat TF32 = new(11, 8, Padding: 13);
    public static readonly FloatFormat F32 = new(24, 8);
    public static readonly FloatFormat F64 = new(53, 11);

    /// <summary>What NVIDIA's hardware makes of every NaN: positive, all bits below the sign set.</summary>
    public ulong CanonicalNaN => SignBit - 1;

    /// <summary>+1.</summary>
    public ulong One => (ulong)Bias << (FractionBits + Padding);

    /// <summary>The smallest normal number.</summary>
    public double SmallestNormal => Math.ScaleB(1, 1 - Bias);

    /// <summary>
    /// The smallest magnitude that becomes the smallest normal number, if the exponent had no end, by rounding to the nearest: halfway to its neighbour below,
    /// since a tie goes to the even one.
    /// </summary>
    public double RoundedToSmallestNormal => SmallestNormal * (1 - Math.ScaleB(1, -Precision - 1));

    private int FractionBits => Precision - 1;

    private int Bias => (1 << (ExponentBits - 1)) - 1;

    private ulong SignBit => 1UL << (ExponentBits + FractionBits + Padding);

    private ulong Infinity => ((1UL << ExponentBits) - 1) << FractionBits;

    /// <summary>The format of a type, or of its two halves; null for an integer type.</summary>
    public static FloatFormat? Of(PtxType type) => type switch
    {
        PtxType.F16 or PtxType.F16x2 => F16,
        PtxType.BF16 or PtxType.BF16x2 => BF16,
        PtxType.TF32 => TF32,
        PtxType.F32 => F32,
        PtxType.F64 => F64,
        _ => null,
    };

    /// <summary>Whether bits are a NaN.</summary>
    public bool IsNaN(ulong bits) => ((bits & (SignBit - 1)) >> Padding) > Infinity;

    /// <summary>Whether the sign bit is set.</summary>
    public bool IsNegative(ulong bits) => (bits & SignBit) != 0;

    /// <summary>Whether bits are neither zero nor normal.</summary>
    public bool IsSubnormal(ulong bits) => (bits & (SignBit - 1)) >> Padding is ulong magnitude && magnitude != 0 && magnitude >> FractionBits == 0;

    /// <summary>A zero with the sign of <paramref name="bits"/>.</summary>
    public ulong ZeroLike(ulong bits) => bits & SignBit;

    /// <summary>Takes a number apart; it must not be a NaN.</summary>
    public ExactNumber Unpack(ulong bits)
    {
        bool negative = IsNegative(bits);
        ulong magnitude = (bits & (SignBit - 1)) >> Padding;
        if (magnitude == Infinity)
        {
            return new ExactNumber(negative, 1, InfiniteExponent);
        }

        int exponent = (int)(magnitude >> FractionBits);
        ulong fraction = magnitude & ((1UL << FractionBits) - 1);
        ulong significand = exponent == 0 ? fraction : fraction | (1UL << FractionBits);
        return new ExactNumber(negative, significand, Math.Max(exponent, 1) - Bias - FractionBits);
    }

    /// <summary>The representable neighbour of a number that a rounding asks for.</summary>
    public ulong Round(ExactNumber number, Rounding rounding)
    {
        ulong sign = number.Negative ? SignBit : 0;
        if (number.Significand == 0)
        {
            return sign;
        }

        if (number.Exponent == InfiniteExponent)
        {
            return sign | (Infinity << Padding);
        }

        // The last place of the result: the number's own, but not below the subnormals'.
        int smallest = 2 - (1 << (ExponentBits - 1)) - FractionBits;
        int place = Math.Max(number.Exponent + BitLength(number.Significand) - Precision, smallest);
        if (place > Bias - FractionBits)
        {
            return sign | (Overflow(number.Negative, rounding) << Padding);
        }

        // A carry out of the significand correctly raises the exponent field; a subnormal has a field of 0 and no hidden bit.
        ulong significand = number.ToMultipleOf(place, rounding);
        ulong magnitude = ((ulong)(place - smallest + 1) << FractionBits) + significand - (1UL << FractionBits);
        return sign | ((magnitude >= Infinity ? Overflow(number.Negative, rounding) : magnitude) << Padding);
    }

    /// <summary>The same for a finite or infinite double.</summary>
    public ulong Round(double value, Rounding rounding) => Round(F64.Unpack(BitConverter.DoubleToUInt64Bits(value)), rounding);

    private static int BitLength(ulong value) => 64 - BitOperations.LeadingZeroCount(value);

    private ulong Overflow(bool negative, Rounding rounding) => rounding switch
    {
        Rounding.Zero => Infinity - 1,
        Rounding.Down => negative ? Infinity : Infinity - 1,
        Rounding.Up => negative ? Infinity - 1 : Infinity,
        _ => Infinity,
    };
}
