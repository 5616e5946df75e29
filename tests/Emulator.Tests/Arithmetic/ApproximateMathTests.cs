namespace KernelAD.Emulator.Tests;

/// <summary>The approximate functions within the errors that PTX ISA states, over dense samples of the format, and the values of its tables.</summary>
public sealed unsafe class ApproximateMathTests
{
    private const uint Stride = 1009;

    private delegate void Function(float* d, float* a, bool ftz);

    [Test]
    public void Ex2_is_within_two_units_of_the_rounded_result([Values] bool ftz)
    {
        double worst = 0;
        int inexact = 0, count = 0;
        foreach ((float a, float result) in Evaluate(ApproximateMath.Exp2, ftz, -150, 129))
        {
            float exact = (float)Math.Pow(2, a);
            if (float.IsInfinity(exact) || (ftz && exact < 1.17549435e-38f))
            {
                Assert.That(result, Is.EqualTo(float.IsInfinity(exact) ? exact : 0), $"{a:r}");
                continue;
            }

            double error = Math.Abs((double)result - exact) / UnitOf(exact);
            worst = Math.Max(worst, error);
            inexact += error > 0 ? 1 : 0;
            count++;
        }

        TestContext.Out.WriteLine($"worst {worst} ulp, {100 * inexact / count} % differ from the rounded result");
        Assert.That(worst, Is.LessThanOrEqualTo(2));
        Assert.That(inexact, Is.GreaterThan(count / 10), "the approximation is no better than hardware's");
    }

    [Test]
    public void Rcp_is_within_one_unit([Values] bool ftz)
    {
        double worst = 0;
        foreach ((float a, float result) in Evaluate(ApproximateMath.Reciprocal, ftz, float.NegativeInfinity, float.PositiveInfinity))
        {
            double exact = 1.0 / (ftz && float.IsSubnormal(a) ? MathF.CopySign(0, a) : a);
            if (double.IsInfinity(exact) || Math.Abs(exact) > float.MaxValue || (ftz && Math.Abs(exact) < 1.17549435e-38f))
            {
                Assert.That(Bits(result), Is.EqualTo(Bits(ftz && Math.Abs(exact) < 1 ? MathF.CopySign(0, a) : (float)exact)), $"{a:r}");
                continue;
            }

            worst = Math.Max(worst, Math.Abs(result - exact) / UnitOf((float)exact));
        }

        TestContext.Out.WriteLine($"worst {worst} ulp");
        Assert.That(worst, Is.InRange(0.6, 1));
    }

    [Test]
    public void Roots_are_within_their_relative_errors()
    {
        (double root, double reciprocal) = (0, 0);
        foreach ((float a, float result) in Evaluate(ApproximateMath.SquareRoot, ftz: false, float.Epsilon, float.MaxValue))
        {
            root = Math.Max(root, Math.Abs((result / Math.Sqrt(a)) - 1));
        }

        foreach ((float a, float result) in Evaluate(ApproximateMath.ReciprocalSquareRoot, ftz: false, float.Epsilon, float.MaxValue))
        {
            reciprocal = Math.Max(reciprocal, Math.Abs((result * Math.Sqrt(a)) - 1));
        }

        TestContext.Out.WriteLine($"sqrt 2^{Math.Log2(root):f2}, rsqrt 2^{Math.Log2(reciprocal):f2}");
        Assert.That(root, Is.InRange(Math.Pow(2, -24), Math.Pow(2, -23)));
        Assert.That(reciprocal, Is.InRange(Math.Pow(2, -24), Math.Pow(2, -22.9)));
    }

    [Test]
    public void Lg2_is_within_its_absolute_error_near_one_and_its_relative_one_elsewhere()
    {
        (double absolute, double relative) = (0, 0);
        foreach ((float a, float result) in Evaluate(ApproximateMath.Log2, ftz: false, float.Epsilon, float.MaxValue))
        {
            double exact = Math.Log2(a);
            if (a is > 0.5f and < 2)
            {
                absolute = Math.Max(absolute, Math.Abs(result - exact));
            }
            else
            {
                relative = Math.Max(relative, Math.Abs((result / exact) - 1));
            }
        }

        TestContext.Out.WriteLine($"absolute 2^{Math.Log2(absolute):f2}, relative 2^{Math.Log2(relative):f2}");
        Assert.That(absolute, Is.InRange(Math.Pow(2, -25), Math.Pow(2, -22)));
        Assert.That(relative, Is.InRange(Math.Pow(2, -25), Math.Pow(2, -22)));
    }

    [TestCase(2, -20.5)]
    [TestCase(100, -14.7)]
    public void Sin_and_cos_are_within_their_absolute_errors(int halfTurns, double exponent)
    {
        float limit = (float)(halfTurns * Math.PI);
        double worst = 0;
        foreach ((float a, float result) in Evaluate(ApproximateMath.Sin, ftz: false, -limit, limit))
        {
            worst = Math.Max(worst, Math.Abs(result - Math.Sin(a)));
        }

        foreach ((float a, float result) in Evaluate(ApproximateMath.Cos, ftz: false, -limit, limit))
        {
            worst = Math.Max(worst, Math.Abs(result - Math.Cos(a)));
        }

        TestContext.Out.WriteLine($"2^{Math.Log2(worst):f2}");
        Assert.That(worst, Is.LessThanOrEqualTo(Math.Pow(2, exponent)));
    }

    [Test]
    public void Tanh_is_within_its_relative_error_and_passes_subnormals()
    {
        double worst = 0;
        foreach ((float a, float result) in Evaluate((d, a, _) => ApproximateMath.Tanh(d, a), ftz: false, float.NegativeInfinity, float.PositiveInfinity))
        {
            if (a == 0 || float.IsSubnormal(a))
            {
                Assert.That(Bits(result), Is.EqualTo(Bits(a)));
                continue;
            }

            worst = Math.Max(worst, Math.Abs((result / Math.Tanh(a)) - 1));
        }

        TestContext.Out.WriteLine($"2^{Math.Log2(worst):f2}");
        Assert.That(worst, Is.InRange(Math.Pow(2, -12), Math.Pow(2, -11)));
    }

    [Test]
    public void Divisions_are_within_two_units([Values] bool full)
    {
        Random random = new(1);
        double worst = 0;
        using WarpRows rows = new(3);
        for (int round = 0; round < 20_000; round++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                rows[0][lane] = (uint)random.Next(0x7F800000) | ((uint)random.Next(2) << 31);
                rows[1][lane] = (uint)random.Next(full ? 1 : 0x00800000, full ? 0x7F800000 : 0x7E800000);
            }

            if (full)
            {
                ApproximateMath.DivideFull(rows.Floats(2), rows.Floats(0), rows.Floats(1), ftz: false);
            }
            else
            {
                ApproximateMath.Divide(rows.Floats(2), rows.Floats(0), rows.Floats(1), ftz: false);
            }

            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                double exact = (double)rows.Floats(0)[lane] / rows.Floats(1)[lane];
                if (Math.Abs(exact) < float.MaxValue)
                {
                    worst = Math.Max(worst, Math.Abs(rows.Floats(2)[lane] - exact) / UnitOf((float)exact));
                }
            }
        }

        TestContext.Out.WriteLine($"worst {worst} ulp");
        Assert.That(worst, Is.InRange(0.6, 2));
    }

    [TestCase(3f, 1.5e38f, 0f)]
    [TestCase(-3f, 1.5e38f, -0f)]
    [TestCase(float.PositiveInfinity, 1.5e38f, float.NaN)]
    [TestCase(3f, float.PositiveInfinity, 0f)]
    [TestCase(3f, 0f, float.PositiveInfinity)]
    [TestCase(0f, 0f, float.NaN)]
    public void Div_has_the_special_values_of_a_product_with_the_reciprocal(float a, float b, float expected)
    {
        using WarpRows rows = new(3);
        new Span<float>(rows[0], Warp.Lanes).Fill(a);
        new Span<float>(rows[1], Warp.Lanes).Fill(b);
        ApproximateMath.Divide(rows.Floats(2), rows.Floats(0), rows.Floats(1), ftz: false);
        Assert.That(rows[2][31], Is.EqualTo(Bits(expected)));
    }

    [Test]
    public void Special_values_are_those_of_the_tables([Values] bool ftz)
    {
        const float Infinity = float.PositiveInfinity, NaN = float.NaN;
        AssertTable(ApproximateMath.Exp2, (-Infinity, 0), (-0f, 1), (0, 1), (Infinity, Infinity), (NaN, NaN));
        AssertTable(ApproximateMath.Exp2, (1e-40f, 1), (-1e-40f, 1), (-3, 0.125f), (10, 1024), (-1000, 0), (1000, Infinity));
        AssertTable(ApproximateMath.Log2, (-Infinity, NaN), (-2, NaN), (-0f, -Infinity), (0, -Infinity), (Infinity, Infinity), (NaN, NaN), (1, 0), (8, 3));
        AssertTable(ApproximateMath.Reciprocal, (-Infinity, -0f), (-0f, -Infinity), (0, Infinity), (Infinity, 0), (NaN, NaN), (-4, -0.25f));
        AssertTable(ApproximateMath.ReciprocalSquareRoot, (-Infinity, NaN), (-2, NaN), (-0f, -Infinity), (0, Infinity), (Infinity, 0), (NaN, NaN), (4, 0.5f));
        AssertTable(ApproximateMath.SquareRoot, (-Infinity, NaN), (-2, NaN), (-0f, -0f), (0, 0), (Infinity, Infinity), (NaN, NaN), (9, 3));
        AssertTable(ApproximateMath.Sin, (-Infinity, NaN), (-0f, -0f), (0, 0), (Infinity, NaN), (NaN, NaN));
        AssertTable(ApproximateMath.Cos, (-Infinity, NaN), (-0f, 1), (0, 1), (Infinity, NaN), (NaN, NaN));
        AssertTable((d, a, _) => ApproximateMath.Tanh(d, a), (-Infinity, -1), (-0f, -0f), (0, 0), (Infinity, 1), (NaN, NaN));

        void AssertTable(Function function, params (float Input, float Result)[] table)
        {
            using WarpRows rows = new(2);
            foreach ((float input, float result) in table)
            {
                new Span<float>(rows[0], Warp.Lanes).Fill(input);
                function(rows.Floats(1), rows.Floats(0), ftz);
                Assert.That(rows[1][17], Is.EqualTo(Bits(result)), $"of {input}");
            }
        }
    }

    [Test]
    public void Ftz_flushes_subnormals_given_and_returned()
    {
        using WarpRows rows = new(2);
        (Function Function, uint Input, uint Flushed)[] cases =
        [
            (ApproximateMath.Exp2, Bits(-126.5f), 0),
            (ApproximateMath.Reciprocal, Bits(-2e38f), 0x80000000),
            (ApproximateMath.Reciprocal, 0x807FFFFF, Bits(float.NegativeInfinity)),
            (ApproximateMath.SquareRoot, 1, 0),
            (ApproximateMath.ReciprocalSquareRoot, 0x80000001, Bits(float.NegativeInfinity)),
            (ApproximateMath.Log2, 1, Bits(float.NegativeInfinity)),
            (ApproximateMath.Sin, 0x80400000, 0x80000000),
        ];
        foreach ((Function function, uint input, uint flushed) in cases)
        {
            new Span<uint>(rows[0], Warp.Lanes).Fill(input);
            function(rows.Floats(1), rows.Floats(0), true);
            Assert.That(rows[1][3], Is.EqualTo(flushed));
            function(rows.Floats(1), rows.Floats(0), false);
            Assert.That(rows[1][3], Is.Not.EqualTo(flushed));
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Halves_and_pairs_are_within_their_errors(bool isF16)
    {
        (PtxType single, PtxType pair) = isF16 ? (PtxType.F16, PtxType.F16x2) : (PtxType.BF16, PtxType.BF16x2);
        (double exponential, double tangent) = (0, 0);
        using WarpRows rows = new(5);
        for (uint bits = 0; bits < 0x10000; bits += Warp.Lanes)
        {
            for (uint lane = 0; lane < Warp.Lanes; lane++)
            {
                rows[0][lane] = (bits + lane) | ((bits + Warp.Lanes - 1 - lane) << 16);
            }

            ApproximateMath.Exp2OfHalves(single, rows[1], rows[0]);
            ApproximateMath.Exp2OfHalves(pair, rows[2], rows[0]);
            ApproximateMath.TanhOfHalves(single, rows[3], rows[0]);
            ApproximateMath.TanhOfHalves(pair, rows[4], rows[0]);
            for (uint lane = 0; lane < Warp.Lanes; lane++)
            {
                Assert.That(rows[1][lane], Is.EqualTo(rows[2][lane] & 0xFFFF));
                Assert.That(rows[3][lane], Is.EqualTo(rows[4][lane] & 0xFFFF));
                Assert.That(rows[2][lane] >> 16, Is.EqualTo(rows[1][Warp.Lanes - 1 - lane]), "the high half is computed like the low one");
                Assert.That(rows[4][lane] >> 16, Is.EqualTo(rows[3][Warp.Lanes - 1 - lane]), "the high half is computed like the low one");
                double a = Value(bits + lane), power = Value(rows[1][lane]), hyperbolic = Value(rows[3][lane]);
                if (double.IsNaN(a))
                {
                    Assert.That((rows[1][lane], rows[3][lane]), Is.EqualTo((0x7FFFu, 0x7FFFu)));
                    continue;
                }

                double exact = Math.Pow(2, a);
                if (exact > Value(isF16 ? 0x0400u : 0x0080u) && exact < Value(isF16 ? 0x7BFFu : 0x7F7Fu))
                {
                    exponential = Math.Max(exponential, Math.Abs((power / exact) - 1));
                }

                tangent = Math.Max(tangent, Math.Abs(hyperbolic - Math.Tanh(a)));
            }
        }

        TestContext.Out.WriteLine($"ex2 2^{Math.Log2(exponential):f2}, tanh 2^{Math.Log2(tangent):f2}");
        Assert.That(exponential, Is.LessThanOrEqualTo(Math.Pow(2, isF16 ? -9.9 : -7)));
        Assert.That(tangent, Is.LessThanOrEqualTo(Math.Pow(2, isF16 ? -10.987 : -8)));

        double Value(uint half) => isF16 ? (double)BitConverter.UInt16BitsToHalf((ushort)half) : BitConverter.UInt32BitsToSingle(half << 16);
    }

    /// <summary>The function over floats of all sizes within limits.</summary>
    private static List<(float A, float Result)> Evaluate(Function function, bool ftz, float least, float most)
    {
        using WarpRows rows = new(2);
        List<(float, float)> results = [];
        int lanes = 0;
        for (ulong bits = 0; bits <= uint.MaxValue; bits += Stride)
        {
            float a = BitConverter.UInt32BitsToSingle((uint)bits);
            if (!(a >= least && a <= most))
            {
                continue;
            }

            rows.Floats(0)[lanes++] = a;
            if (lanes == Warp.Lanes)
            {
                lanes = 0;
                function(rows.Floats(1), rows.Floats(0), ftz);
                for (int lane = 0; lane < Warp.Lanes; lane++)
                {
                    results.Add((rows.Floats(0)[lane], rows.Floats(1)[lane]));
                }
            }
        }

        return results;
    }

    /// <summary>The distance to the next float above, of the magnitude.</summary>
    private static double UnitOf(float value)
    {
        float magnitude = Math.Abs(value);
        return (double)MathF.BitIncrement(magnitude) - magnitude;
    }

    /// <summary>The bits; of a NaN those of the canonical one.</summary>
    private static uint Bits(float value) => float.IsNaN(value) ? 0x7FFFFFFF : BitConverter.SingleToUInt32Bits(value);
}
