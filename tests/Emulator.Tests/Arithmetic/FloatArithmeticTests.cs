using System.Numerics;

namespace KernelAD.Emulator.Tests;

/// <summary>Rounded arithmetic against exact integers, with operands whose results lie on, between and beside representable numbers.</summary>
internal sealed unsafe class FloatArithmeticTests
{
    // Products of two f32 are multiples of 2^-298: the squares of this scale hold them.
    private const int Scale = 150;

    private static readonly PtxType[] Types = [PtxType.F16, PtxType.BF16, PtxType.F32];
    private static readonly Rounding[] Directions = [Rounding.NearestEven, Rounding.Zero, Rounding.Down, Rounding.Up];

    [Test]
    public void Sums_products_and_fused_products_are_rounded_once(
        [ValueSource(nameof(Types))] PtxType type, [ValueSource(nameof(Directions))] Rounding rounding)
    {
        Random random = new(11);
        FloatArithmetic arithmetic = new(type, rounding);
        using WarpRows rows = new(7);
        for (int round = 0; round < 60; round++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (rows[0][lane], rows[1][lane], rows[2][lane]) = Operands(type, random);
            }

            arithmetic.Add(rows[3], rows[0], rows[2]);
            arithmetic.Subtract(rows[4], rows[0], rows[2]);
            arithmetic.Multiply(rows[5], rows[0], rows[1]);
            arithmetic.FusedMultiplyAdd(rows[6], rows[0], rows[1], rows[2]);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (double x, double y, double z) = (Decode(type, rows[0][lane]), Decode(type, rows[1][lane]), Decode(type, rows[2][lane]));
                BigInteger a = ExactRounding.Scale(x, Scale), b = ExactRounding.Scale(y, Scale), c = ExactRounding.Scale(z, Scale);
                string operands = $"{x:r}, {y:r}, {z:r}";
                Assert.That(rows[3][lane], Is.EqualTo(Expected(a << Scale, c << Scale)), $"sum of {operands}");
                Assert.That(rows[4][lane], Is.EqualTo(Expected(a << Scale, -c << Scale)), $"difference of {operands}");
                Assert.That(rows[5][lane], Is.EqualTo(ExactRounding.Round(a * b, 2 * Scale, type, rounding, x * y < 0)), $"product of {operands}");
                Assert.That(rows[6][lane], Is.EqualTo(Expected(a * b, c << Scale)), $"fused product of {operands}");
            }
        }

        // An exact zero of two numbers is positive, but rounding down.
        uint Expected(BigInteger left, BigInteger right) =>
            ExactRounding.Round(left + right, 2 * Scale, type, rounding, left + right < 0 || (left + right == 0 && rounding == Rounding.Down));
    }

    [Test]
    public void Quotients_and_roots_are_rounded_once([ValueSource(nameof(Types))] PtxType type, [ValueSource(nameof(Directions))] Rounding rounding)
    {
        Random random = new(12);
        FloatArithmetic arithmetic = new(type, rounding);
        using WarpRows rows = new(4);
        for (int round = 0; round < 60; round++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (uint a, uint b, _) = Operands(type, random);
                (rows[0][lane], rows[1][lane]) = (round % 3 == 0 ? Usable(type, Multiple(type, a)) : a, b);
            }

            arithmetic.Divide(rows[2], rows[0], rows[1]);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                // The bracket of the quotient at a scale fine enough: a remainder moves it off its lower end by less than a unit.
                double x = Decode(type, rows[0][lane]), y = Decode(type, rows[1][lane]);
                BigInteger dividend = BigInteger.Abs(ExactRounding.Scale(x, Scale)) << 1000, divisor = BigInteger.Abs(ExactRounding.Scale(y, Scale));
                (BigInteger quotient, BigInteger rest) = BigInteger.DivRem(dividend, divisor);
                BigInteger doubled = (2 * quotient) + (rest.IsZero ? 0 : 1);
                Assert.That(rows[2][lane], Is.EqualTo(ExactRounding.Round(doubled, 1001, type, rounding, x * y < 0)), $"{x:r} / {y:r}");
            }

            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                rows[0][lane] &= type == PtxType.F32 ? 0x7FFFFFFFu : 0x7FFFu;
            }

            arithmetic.SquareRoot(rows[2], rows[0]);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                double x = Decode(type, rows[0][lane]);
                BigInteger radicand = ExactRounding.Scale(x, Scale) << 850;
                BigInteger root = Root(radicand);
                BigInteger doubled = (2 * root) + (root * root == radicand ? 0 : 1);
                Assert.That(rows[2][lane], Is.EqualTo(ExactRounding.Round(doubled, 501, type, rounding, negative: false)), $"√{x:r}");
            }
        }
    }

    [Test]
    public void Rounding_to_nearest_is_that_of_the_host()
    {
        Random random = new(13);
        using WarpRows rows = new(4);
        for (int round = 0; round < 1000; round++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (rows[0][lane], rows[1][lane], rows[2][lane]) = Operands(PtxType.F32, random);
            }

            new FloatArithmetic(PtxType.F32).FusedMultiplyAdd(rows[3], rows[0], rows[1], rows[2]);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                float expected = MathF.FusedMultiplyAdd(rows.Floats(0)[lane], rows.Floats(1)[lane], rows.Floats(2)[lane]);
                Assert.That(rows[3][lane], Is.EqualTo(BitConverter.SingleToUInt32Bits(expected)));
            }
        }
    }

    [Test]
    public void Pairs_are_computed_half_by_half([Values(PtxType.F16x2, PtxType.BF16x2)] PtxType pair)
    {
        PtxType single = pair == PtxType.F16x2 ? PtxType.F16 : PtxType.BF16;
        Random random = new(14);
        using WarpRows low = new(4), high = new(4), both = new(4);
        for (int row = 0; row < 3; row++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (low[row][lane], high[row][lane], _) = Operands(single, random);
                both[row][lane] = low[row][lane] | (high[row][lane] << 16);
            }
        }

        FloatArithmetic halves = new(single, Rounding.Up, Relu: true);
        halves.FusedMultiplyAdd(low[3], low[0], low[1], low[2]);
        halves.FusedMultiplyAdd(high[3], high[0], high[1], high[2]);
        (halves with { Type = pair }).FusedMultiplyAdd(both[3], both[0], both[1], both[2]);
        AssertBoth();

        halves.Select(low[3], low[0], low[1], larger: true, propagateNaN: false);
        halves.Select(high[3], high[0], high[1], larger: true, propagateNaN: false);
        (halves with { Type = pair }).Select(both[3], both[0], both[1], larger: true, propagateNaN: false);
        AssertBoth();

        void AssertBoth()
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                Assert.That(both[3][lane], Is.EqualTo(low[3][lane] | (high[3][lane] << 16)), $"lane {lane}");
            }
        }
    }

    [TestCase(1f, 2f, 1f, 2f)]
    [TestCase(-0f, 0f, -0f, 0f)]
    [TestCase(0f, -0f, -0f, 0f)]
    [TestCase(float.NegativeInfinity, 3f, float.NegativeInfinity, 3f)]
    [TestCase(float.NaN, 3f, 3f, 3f)]
    [TestCase(3f, float.NaN, 3f, 3f)]
    [TestCase(float.NaN, float.NaN, float.NaN, float.NaN)]
    public void Minimum_and_maximum_prefer_numbers_and_order_zeros(float a, float b, float smaller, float larger)
    {
        using WarpRows rows = new(3);
        foreach (PtxType type in Types)
        {
            new Span<uint>(rows[0], Warp.Lanes).Fill(Encode(type, a));
            new Span<uint>(rows[1], Warp.Lanes).Fill(Encode(type, b));
            foreach ((bool isLarger, float expected) in new[] { (false, smaller), (true, larger) })
            {
                new FloatArithmetic(type).Select(rows[2], rows[0], rows[1], isLarger, propagateNaN: false);
                Assert.That(rows[2][9], Is.EqualTo(Encode(type, expected)));
                new FloatArithmetic(type).Select(rows[2], rows[0], rows[1], isLarger, propagateNaN: true);
                Assert.That(rows[2][9], Is.EqualTo(Encode(type, float.IsNaN(a) || float.IsNaN(b) ? float.NaN : expected)));
            }
        }
    }

    [Test]
    public void NaN_infinity_and_saturation_follow_the_rules([ValueSource(nameof(Types))] PtxType type)
    {
        Assert.That(Compute(new(type), float.PositiveInfinity, 0, 1), Is.EqualTo(Encode(type, float.NaN)));
        Assert.That(Compute(new(type), float.PositiveInfinity, 1, float.NegativeInfinity), Is.EqualTo(Encode(type, float.NaN)));
        Assert.That(Compute(new(type), float.PositiveInfinity, -2, 5), Is.EqualTo(Encode(type, float.NegativeInfinity)));
        Assert.That(Compute(new(type, Saturate: true), float.NaN, 1, 1), Is.Zero);
        Assert.That(Compute(new(type, Saturate: true), 2, 2, 2), Is.EqualTo(Encode(type, 1)));
        Assert.That(Compute(new(type, Saturate: true), 2, 2, -8), Is.Zero);
        Assert.That(Compute(new(type, Relu: true), 2, 2, -8), Is.Zero);
        Assert.That(Compute(new(type, Relu: true), 2, 2, 2), Is.EqualTo(Encode(type, 6)));
        Assert.That(Compute(new(type, Relu: true), float.NaN, 1, 1), Is.EqualTo(Encode(type, float.NaN)));
        Assert.That(Compute(new(type, Rounding.Down), 1, 1, -1), Is.EqualTo(Encode(type, -0f)));
        Assert.That(Compute(new(type, Rounding.Down), 0, 1, 0), Is.Zero);

        using WarpRows rows = new(3);
        new Span<uint>(rows[0], Warp.Lanes).Fill(Encode(type, 3));
        new Span<uint>(rows[1], Warp.Lanes).Fill(Encode(type, -0f));
        new FloatArithmetic(type).Divide(rows[2], rows[0], rows[1]);
        Assert.That(rows[2][0], Is.EqualTo(Encode(type, float.NegativeInfinity)));
        new FloatArithmetic(type).SquareRoot(rows[2], rows[1]);
        Assert.That(rows[2][0], Is.EqualTo(Encode(type, -0f)));
    }

    [Test]
    public void Ftz_takes_subnormals_for_zeros_of_their_sign([ValueSource(nameof(Types))] PtxType type)
    {
        uint smallest = type switch { PtxType.F16 => 0x0400, PtxType.BF16 => 0x0080, _ => 0x00800000 };
        uint sign = type == PtxType.F32 ? 0x80000000 : 0x8000;
        using WarpRows rows = new(3);
        new Span<uint>(rows[0], Warp.Lanes).Fill(smallest | sign);
        new Span<uint>(rows[1], Warp.Lanes).Fill(Encode(type, 0.5f));
        new FloatArithmetic(type, Ftz: true).Multiply(rows[2], rows[0], rows[1]);
        Assert.That(rows[2][0], Is.EqualTo(sign), "the result");
        new FloatArithmetic(type).Multiply(rows[2], rows[0], rows[1]);
        Assert.That(rows[2][0], Is.EqualTo((smallest / 2) | sign));

        new Span<uint>(rows[0], Warp.Lanes).Fill(smallest - 1);
        new Span<uint>(rows[1], Warp.Lanes).Fill(Encode(type, 4));
        new FloatArithmetic(type, Ftz: true).Multiply(rows[2], rows[0], rows[1]);
        Assert.That(rows[2][0], Is.Zero, "the operand");
    }

    private static uint Compute(FloatArithmetic arithmetic, float a, float b, float c)
    {
        using WarpRows rows = new(4);
        new Span<uint>(rows[0], Warp.Lanes).Fill(Encode(arithmetic.Type, a));
        new Span<uint>(rows[1], Warp.Lanes).Fill(Encode(arithmetic.Type, b));
        new Span<uint>(rows[2], Warp.Lanes).Fill(Encode(arithmetic.Type, c));
        arithmetic.FusedMultiplyAdd(rows[3], rows[0], rows[1], rows[2]);
        return rows[3][21];
    }

    /// <summary>Two factors and a summand that often is as large as their product, much smaller, or its opposite.</summary>
    private static (uint A, uint B, uint C) Operands(PtxType type, Random random)
    {
        int range = type == PtxType.F16 ? 8 : 60;
        float a = Number(), b = Number();
        uint c = random.Next(4) switch
        {
            0 => Encode(type, -a * b),
            1 => Encode(type, a * b * MathF.Pow(2, -random.Next(30))),
            2 => random.Next(2) == 0 ? 1u : type == PtxType.F32 ? 0x80000001 : 0x8001,
            _ => Encode(type, Number()),
        };
        return (Usable(type, Encode(type, a)), Usable(type, Encode(type, b)), Usable(type, c));

        float Number() => (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-range, range)) * (random.Next(2) == 0 ? 1 : Math.Pow(2, -range)));
    }

    /// <summary>A number with few significant bits, so that quotients and roots are exact or ties more often.</summary>
    private static uint Multiple(PtxType type, uint bits) => type == PtxType.F32 ? bits & 0xFFE00000 : bits & 0xFFC0;

    /// <summary>Zeros and infinities have tests of their own.</summary>
    private static uint Usable(PtxType type, uint bits) => double.IsFinite(Decode(type, bits)) && Decode(type, bits) != 0 ? bits : Encode(type, 3);

    private static uint Encode(PtxType type, float value) => float.IsNaN(value) ? (type == PtxType.F32 ? 0x7FFFFFFFu : 0x7FFF) : type switch
    {
        PtxType.F16 => BitConverter.HalfToUInt16Bits((Half)value),
        PtxType.BF16 => BitConverter.SingleToUInt32Bits(value) >> 16,
        _ => BitConverter.SingleToUInt32Bits(value),
    };

    private static double Decode(PtxType type, uint bits) => ExactRounding.Decode(type, bits);

    /// <summary>The largest integer whose square is not above.</summary>
    private static BigInteger Root(BigInteger value)
    {
        if (value.IsZero)
        {
            return 0;
        }

        BigInteger root = BigInteger.One << (int)((value.GetBitLength() + 1) / 2);
        while (true)
        {
            BigInteger next = (root + (value / root)) >> 1;
            if (next >= root)
            {
                return root;
            }

            root = next;
        }
    }
}
