using System.Numerics;

namespace KernelAD.Emulator.Tests;

/// <summary>cvt against exact integers (<see cref="ExactRounding"/>), .NET's own types, and the special values that PTX ISA lists.</summary>
internal sealed unsafe class ConversionTests
{
    private const int Scale = 1100;

    private static readonly PtxType[] Floats = [PtxType.F16, PtxType.BF16, PtxType.F32];
    private static readonly PtxType[] Integers = [PtxType.U8, PtxType.S8, PtxType.U16, PtxType.S16, PtxType.U32, PtxType.S32, PtxType.U64, PtxType.S64];
    private static readonly Rounding[] Directions = [Rounding.NearestEven, Rounding.Zero, Rounding.Down, Rounding.Up];

    [Test]
    public void Every_f16_becomes_the_f32_of_the_same_value()
    {
        foreach ((uint half, ulong single) in All(PtxType.F32, PtxType.F16, Enumerable.Range(0, 0x10000).Select(i => (ulong)i)))
        {
            float expected = (float)BitConverter.UInt16BitsToHalf((ushort)half);
            Assert.That(single, Is.EqualTo(float.IsNaN(expected) ? 0x7FFFFFFF : BitConverter.SingleToUInt32Bits(expected)), $"0x{half:x4}");
        }
    }

    [Test]
    public void Every_bf16_becomes_the_f32_of_the_same_value()
    {
        foreach ((uint half, ulong single) in All(PtxType.F32, PtxType.BF16, Enumerable.Range(0, 0x10000).Select(i => (ulong)i)))
        {
            Assert.That(single, Is.EqualTo(float.IsNaN(BitConverter.UInt32BitsToSingle(half << 16)) ? 0x7FFFFFFF : half << 16), $"0x{half:x4}");
        }
    }

    [Test]
    public void F32_to_f16_and_bf16_rounds_as_asked([Values(PtxType.F16, PtxType.BF16)] PtxType to, [ValueSource(nameof(Directions))] Rounding rounding) =>
        AssertRounded(to, rounding);

    [TestCase(Rounding.NearestAway)]
    [TestCase(Rounding.NearestEven)]
    [TestCase(Rounding.Zero)]
    public void F32_to_tf32_rounds_as_asked(Rounding rounding) => AssertRounded(PtxType.TF32, rounding);

    [Test]
    public void F64_to_f32_rounds_as_asked([ValueSource(nameof(Directions))] Rounding rounding)
    {
        Random random = new(1);
        List<ulong> sources = [];
        for (int i = 0; i < 2000; i++)
        {
            // Around the middle between two floats, near it and far from it, of all sizes.
            double below = BitConverter.UInt32BitsToSingle((uint)random.NextInt64(0x7F800000));
            double middle = below + ((double)BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits((float)below) + 1) - below) / 2;
            sources.AddRange(new[] { below, middle, Math.BitIncrement(middle), Math.BitDecrement(middle), random.NextDouble() }.Select(Bits));
        }

        sources.AddRange(new[] { 0.0, double.Epsilon, 1e-46, 1e300, 3.5e38, 3.4028235677973366e38, double.MaxValue }.Select(Bits));
        foreach (ulong source in sources.SelectMany(bits => new[] { bits, bits | (1UL << 63) }))
        {
            double value = BitConverter.UInt64BitsToDouble(source);
            uint expected = double.IsInfinity(value) ? BitConverter.SingleToUInt32Bits((float)value)
                : ExactRounding.Round(ExactRounding.Scale(value, Scale), Scale, PtxType.F32, rounding, value is < 0 || double.IsNegative(value));
            Assert.That(new Conversion(PtxType.F32, PtxType.F64, rounding).Convert(source), Is.EqualTo(expected), $"{value:r}");
        }

        static ulong Bits(double value) => BitConverter.DoubleToUInt64Bits(value);
    }

    [Test]
    public void Integers_become_the_float_that_the_rounding_asks_for(
        [ValueSource(nameof(Integers))] PtxType from, [ValueSource(nameof(Floats))] PtxType to, [ValueSource(nameof(Directions))] Rounding rounding)
    {
        foreach (ulong bits in IntegerSamples(from, new Random(2), 300))
        {
            BigInteger value = Value(from, bits);
            uint expected = ExactRounding.Round(value << Scale, Scale, to, rounding, value < 0);
            Assert.That(new Conversion(to, from, rounding).Convert(bits), Is.EqualTo(expected), $"{value}");
        }
    }

    [Test]
    public void Integers_become_f64([ValueSource(nameof(Integers))] PtxType from)
    {
        foreach (ulong bits in IntegerSamples(from, new Random(3), 100))
        {
            double expected = from == PtxType.S64 ? (long)bits : from == PtxType.U64 ? bits : (double)Value(from, bits);
            Assert.That(BitConverter.UInt64BitsToDouble(new Conversion(PtxType.F64, from).Convert(bits)), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Floats_become_the_integer_that_the_rounding_asks_for(
        [ValueSource(nameof(Integers))] PtxType to,
        [Values(PtxType.F16, PtxType.BF16, PtxType.F32, PtxType.F64)] PtxType from,
        [ValueSource(nameof(Directions))] Rounding rounding)
    {
        (BigInteger least, BigInteger most) = Limits(to);
        foreach (double sample in FloatSamples(new Random(4)))
        {
            (ulong bits, double value) = Encode(from, sample);
            double integral = double.IsInfinity(value) ? value : rounding switch
            {
                Rounding.NearestEven => Math.Round(value, MidpointRounding.ToEven),
                Rounding.Zero => Math.Truncate(value),
                Rounding.Down => Math.Floor(value),
                _ => Math.Ceiling(value),
            };
            BigInteger expected = double.IsInfinity(integral) ? (integral > 0 ? most : least) : BigInteger.Clamp((BigInteger)integral, least, most);
            Assert.That(Value(to, new Conversion(to, from, rounding).Convert(bits)), Is.EqualTo(expected), $"{value:r}");
        }
    }

    [Test]
    public void Integers_are_cut_off_or_limited([ValueSource(nameof(Integers))] PtxType from, [ValueSource(nameof(Integers))] PtxType to)
    {
        (BigInteger least, BigInteger most) = Limits(to);
        foreach (ulong bits in IntegerSamples(from, new Random(5), 100))
        {
            BigInteger value = Value(from, bits);
            Assert.That(Value(to, new Conversion(to, from, Saturate: true).Convert(bits)), Is.EqualTo(BigInteger.Clamp(value, least, most)), $"{value}, .sat");

            BigInteger range = most - least + 1, cut = ((value - least) % range + range) % range + least;
            Assert.That(Value(to, new Conversion(to, from).Convert(bits)), Is.EqualTo(cut), $"{value}");
        }
    }

    [TestCase(PtxType.F32, PtxType.S32, 0u)]
    [TestCase(PtxType.F32, PtxType.U8, 0u)]
    [TestCase(PtxType.F16, PtxType.S16, 0u)]
    [TestCase(PtxType.F32, PtxType.S64, 0x8000000000000000u)]
    [TestCase(PtxType.F16, PtxType.U64, 0x8000000000000000u)]
    [TestCase(PtxType.F64, PtxType.S32, 0x80000000u)]
    [TestCase(PtxType.F64, PtxType.U16, 0x8000u)]
    public void A_NaN_becomes_the_integer_that_PTX_names(PtxType from, PtxType to, ulong expected)
    {
        ulong nan = from switch { PtxType.F16 => 0xFE01, PtxType.F32 => 0xFFC00001, _ => 0xFFF8000000000001 };
        Assert.That(new Conversion(to, from, Rounding.Zero).Convert(nan), Is.EqualTo(expected));
    }

    [TestCase(PtxType.F16, 0x7FFFu)]
    [TestCase(PtxType.BF16, 0x7FFFu)]
    [TestCase(PtxType.TF32, 0x7FFFFFFFu)]
    [TestCase(PtxType.F32, 0x7FFFFFFFu)]
    [TestCase(PtxType.F64, 0x7FFFFFFFFFFFFFFFu)]
    public void A_NaN_becomes_the_canonical_one(PtxType to, ulong expected)
    {
        Assert.That(new Conversion(to, PtxType.F32).Convert(0xFF800001), Is.EqualTo(expected));
        Assert.That(new Conversion(to, PtxType.F32, Relu: true).Convert(0xFF800001), Is.EqualTo(expected));
        Assert.That(new Conversion(to, PtxType.F32, Saturate: true).Convert(0xFF800001), Is.Zero);
    }

    [TestCase(-0.0f, 0f, 0f)]
    [TestCase(-3f, 0f, 0f)]
    [TestCase(0.75f, 0.75f, 0.75f)]
    [TestCase(1.5f, 1f, 1.5f)]
    [TestCase(float.PositiveInfinity, 1f, float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity, 0f, 0f)]
    public void Saturation_limits_to_one_and_relu_to_zero(float value, float saturated, float rectified)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        Assert.That(new Conversion(PtxType.F32, PtxType.F32, Saturate: true).Convert(bits), Is.EqualTo(BitConverter.SingleToUInt32Bits(saturated)));
        Assert.That(new Conversion(PtxType.F16, PtxType.F32, Relu: true).Convert(bits), Is.EqualTo(BitConverter.HalfToUInt16Bits((Half)rectified)));
    }

    [Test]
    public void Ftz_makes_f32_subnormals_zero_and_no_others()
    {
        Assert.That(new Conversion(PtxType.F64, PtxType.F32, Ftz: true).Convert(0x807FFFFF), Is.EqualTo(1UL << 63));
        Assert.That(new Conversion(PtxType.F32, PtxType.F64, Ftz: true).Convert(BitConverter.DoubleToUInt64Bits(-1e-40)), Is.EqualTo(0x80000000));
        Assert.That(new Conversion(PtxType.F32, PtxType.F16, Ftz: true).Convert(1), Is.EqualTo(BitConverter.SingleToUInt32Bits(MathF.Pow(2, -24))));
        Assert.That(new Conversion(PtxType.S32, PtxType.F32, Rounding.Up, Ftz: true).Convert(1), Is.Zero);
        Assert.That(new Conversion(PtxType.S32, PtxType.F32, Rounding.Up).Convert(1), Is.EqualTo(1));
    }

    [Test]
    public void A_float_is_rounded_to_an_integral_float(
        [Values(PtxType.F16, PtxType.F32, PtxType.F64)] PtxType type, [ValueSource(nameof(Directions))] Rounding rounding)
    {
        foreach (double sample in FloatSamples(new Random(6)))
        {
            (ulong bits, double value) = Encode(type, sample);
            double expected = rounding switch
            {
                Rounding.NearestEven => Math.Round(value, MidpointRounding.ToEven),
                Rounding.Zero => Math.Truncate(value),
                Rounding.Down => Math.Floor(value),
                _ => Math.Ceiling(value),
            };
            Assert.That(new Conversion(type, type, rounding, Integral: true).Convert(bits), Is.EqualTo(Encode(type, expected).Bits), $"{value:r}");
        }
    }

    [Test]
    public void Rows_are_converted_like_single_values()
    {
        PtxType[] all = [.. Integers, .. Floats, PtxType.F64];
        Random random = new(7);
        using WarpRows rows = new(4);
        foreach ((PtxType to, PtxType from) in all.SelectMany(to => all.Select(from => (to, from))))
        {
            foreach ((Rounding rounding, int round) in Directions.SelectMany(rounding => Enumerable.Range(0, 4).Select(round => (rounding, round))))
            {
                Conversion conversion = new(to, from, rounding, Integral: to == from && round % 2 == 1);
                ulong[] sources = [.. Enumerable.Range(0, Warp.Lanes).Select(_ => Sample(from))];
                for (int lane = 0; lane < Warp.Lanes; lane++)
                {
                    SetLane(rows[0], from, lane, sources[lane]);
                }

                conversion.Execute(rows[2], rows[0]);
                for (int lane = 0; lane < Warp.Lanes; lane++)
                {
                    ulong result = to.Size() == 8 ? ((ulong*)rows[2])[lane] : rows[2][lane];
                    ulong source = from.Size() == 8 ? sources[lane] : (uint)sources[lane];
                    Assert.That(result, Is.EqualTo(conversion.Convert(source)), $"{conversion} of 0x{source:x}");
                }
            }
        }

        // Any bits, or a number of any size.
        ulong Sample(PtxType type) => random.Next(3) == 0
            ? (ulong)random.NextInt64(long.MinValue, long.MaxValue)
            : Encode(type, (random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-30, 70))).Bits;
    }

    [TestCase(PtxType.F16, 0x3C00C000u)]
    [TestCase(PtxType.BF16, 0x3F80C000u)]
    public void The_first_source_of_a_pair_becomes_the_high_half(PtxType to, uint expected)
    {
        using WarpRows rows = new(3);
        new Span<float>(rows[0], Warp.Lanes).Fill(1);
        new Span<float>(rows[1], Warp.Lanes).Fill(-2);
        new Conversion(to, PtxType.F32).ExecutePacked(rows[2], rows[0], rows[1]);
        Assert.That(new Span<uint>(rows[2], Warp.Lanes).ToArray(), Has.All.EqualTo(expected));
        new Conversion(to, PtxType.F32, Rounding.Zero, Relu: true).ExecutePacked(rows[0], rows[0], rows[1]);
        Assert.That(new Span<uint>(rows[0], Warp.Lanes).ToArray(), Has.All.EqualTo(expected & 0xFFFF0000));
    }

    [Test]
    public void Signed_results_are_extended_to_the_register()
    {
        Assert.That(new Conversion(PtxType.S8, PtxType.S32).Convert(0x80), Is.EqualTo(0xFFFFFF80));
        Assert.That(new Conversion(PtxType.U8, PtxType.S32).Convert(0x180), Is.EqualTo(0x80));
        Assert.That(new Conversion(PtxType.S16, PtxType.F32, Rounding.Zero).Convert(BitConverter.SingleToUInt32Bits(-2)), Is.EqualTo(0xFFFFFFFE));
        Assert.That(new Conversion(PtxType.S64, PtxType.S8).Convert(0xFF), Is.EqualTo(ulong.MaxValue));
    }

    /// <summary>f32 that lie on, between and beside a format's numbers, subnormal, normal and too large, in both signs.</summary>
    private static void AssertRounded(PtxType to, Rounding rounding)
    {
        Random random = new(8);
        List<ulong> sources = [0, 1, 0x7F7FFFFF];
        for (int exponent = 0; exponent < 255; exponent++)
        {
            for (int i = 0; i < 12; i++)
            {
                // Low bits that are zero, one half, and next to them make ties of the formats' 13 and 16 bits that go.
                uint fraction = (uint)random.Next(1 << 23) & 0x7F0000;
                uint rest = random.Next(6) switch { 0 => 0u, 1 => 0x8000u, 2 => 0x1000u, 3 => 0x7FFFu, 4 => 0x8001u, _ => (uint)random.Next(0x10000) };
                sources.Add(((uint)exponent << 23) | fraction | rest);
            }
        }

        foreach ((uint source, ulong result) in All(to, PtxType.F32, sources.SelectMany(bits => new[] { bits, bits | 0x80000000 }), rounding))
        {
            float value = BitConverter.UInt32BitsToSingle(source);
            uint expected = ExactRounding.Round(ExactRounding.Scale(value, Scale), Scale, to, rounding, float.IsNegative(value));
            Assert.That(result, Is.EqualTo(expected), $"{value:r} = 0x{source:x8}");
        }

        uint infinity = to is PtxType.F16 ? 0x7C00u : to == PtxType.BF16 ? 0x7F80u : 0x7F800000u;
        Assert.That(new Conversion(to, PtxType.F32, rounding).Convert(0x7F800000), Is.EqualTo(infinity));
    }

    /// <summary>Converts values to 32 bits or less, a row at a time.</summary>
    private static List<(uint Source, ulong Result)> All(PtxType to, PtxType from, IEnumerable<ulong> sources, Rounding rounding = Rounding.NearestEven)
    {
        using WarpRows rows = new(2);
        List<(uint, ulong)> results = [];
        foreach (ulong[] chunk in sources.Chunk(Warp.Lanes))
        {
            for (int lane = 0; lane < chunk.Length; lane++)
            {
                rows[0][lane] = (uint)chunk[lane];
            }

            new Conversion(to, from, rounding).Execute(rows[1], rows[0]);
            for (int lane = 0; lane < chunk.Length; lane++)
            {
                results.Add(((uint)chunk[lane], rows[1][lane]));
            }
        }

        return results;
    }

    private static void SetLane(uint* row, PtxType type, int lane, ulong bits)
    {
        if (type.Size() == 8)
        {
            ((ulong*)row)[lane] = bits;
        }
        else
        {
            row[lane] = (uint)bits;
        }
    }

    private static IEnumerable<ulong> IntegerSamples(PtxType type, Random random, int count)
    {
        ulong mask = ulong.MaxValue >> (64 - (8 * type.Size()));
        yield return 0;
        yield return mask;
        yield return mask >> 1;
        yield return (mask >> 1) + 1;
        for (int i = 0; i < count; i++)
        {
            ulong bits = (ulong)random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64);
            yield return (random.Next(2) == 0 ? bits : ~bits) & mask;
        }
    }

    private static IEnumerable<double> FloatSamples(Random random)
    {
        double[] special =
        [
            0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999997, 127.5, 128, -128.5, -129, 255.5, 32767.5, 65535.5, 2147483647, 2147483648, -2147483649.0, 4294967296,
            9.3e18, -9.3e18, 1.9e19, double.PositiveInfinity, double.NegativeInfinity,
        ];
        return special.Concat(Enumerable.Range(0, 500).Select(_ => (random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-3, 70))));
    }

    /// <summary>The nearest number of a type, and its value.</summary>
    private static (ulong Bits, double Value) Encode(PtxType type, double value)
    {
        switch (type)
        {
            case PtxType.F16:
                return (BitConverter.HalfToUInt16Bits((Half)value), (double)(Half)value);
            case PtxType.BF16:
                uint bits = BitConverter.SingleToUInt32Bits((float)value) & 0xFFFF0000;
                return (bits >> 16, BitConverter.UInt32BitsToSingle(bits));
            case PtxType.F32:
                return (BitConverter.SingleToUInt32Bits((float)value), (float)value);
            case PtxType.F64:
                return (BitConverter.DoubleToUInt64Bits(value), value);
            default:
                (BigInteger least, BigInteger most) = Limits(type);
                BigInteger integer = BigInteger.Clamp((BigInteger)value, least, most);
                return ((ulong)(integer & ulong.MaxValue), (double)integer);
        }
    }

    private static (BigInteger Least, BigInteger Most) Limits(PtxType type)
    {
        int bits = 8 * type.Size();
        return type.IsSigned() ? (-(BigInteger.One << (bits - 1)), (BigInteger.One << (bits - 1)) - 1) : (0, (BigInteger.One << bits) - 1);
    }

    /// <summary>What the low bits stand for.</summary>
    private static BigInteger Value(PtxType type, ulong bits)
    {
        int unused = 64 - (8 * type.Size());
        return type.IsSigned() ? (long)(bits << unused) >> unused : bits << unused >> unused;
    }
}
