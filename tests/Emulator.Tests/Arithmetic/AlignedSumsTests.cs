using System.Numerics;

namespace KernelAD.Emulator.Tests;

/// <summary>Sums in one step against integers: of ordinary numbers, which vectors add, and of very large and small ones, which they cannot.</summary>
internal sealed unsafe class AlignedSumsTests
{
    private const int Scale = 400;

    private static readonly MatrixForm[] Forms =
    [
        new(16, 16, PtxType.F16, PtxType.F16, PtxType.F32, Sums: MatrixSums.Aligned),
        new(16, 8, PtxType.F16, PtxType.F16, PtxType.F32, Sums: MatrixSums.Aligned),
        new(16, 16, PtxType.BF16, PtxType.BF16, PtxType.F32, Sums: MatrixSums.Aligned),
        new(16, 8, PtxType.TF32, PtxType.TF32, PtxType.F32, Sums: MatrixSums.Aligned),
        new(16, 4, PtxType.TF32, PtxType.TF32, PtxType.F32, Sums: MatrixSums.Aligned),
    ];

    [Test]
    public void Terms_are_cut_off_two_bits_below_the_last_place_and_so_is_the_sum([ValueSource(nameof(Forms))] MatrixForm form, [Values(2, 14, 60, 140)] int spread)
    {
        Random random = new(form.K + spread);
        using WarpRows rows = new(form.RegistersOfA + form.RegistersOfB + 8);
        uint** a = rows.Pointers, b = a + form.RegistersOfA, c = b + form.RegistersOfB, d = c + 4;
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < (form.RegistersOfA + form.RegistersOfB) * Warp.Lanes; i++)
            {
                rows[0][i] = form.A == PtxType.TF32 ? Element() : Element() | (Element() << 16);
            }

            for (int i = 0; i < 4 * Warp.Lanes; i++)
            {
                c[0][i] = BitConverter.SingleToUInt32Bits(Number());
            }

            MatrixArithmetic.MultiplyAdd(form, d, a, b, c);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                for (int register = 0; register < 4; register++)
                {
                    int row = (lane / 4) + (register / 2 * 8), column = (lane % 4 * 2) + (register % 2);
                    (double, double)[] products = [.. Enumerable.Range(0, form.K).Select(k => (ElementOf(a, row, k, 2), ElementOf(b, column, k, 1)))];
                    double sum = BitConverter.UInt32BitsToSingle(c[register][lane]);
                    Assert.That(d[register][lane], Is.EqualTo(Expected(products, sum, form.A == PtxType.F16 ? -14 : -126)), $"D[{row},{column}]");
                }
            }
        }

        float Number() => random.Next(8) == 0 ? 0 : (float)Math.ScaleB((random.NextDouble() * 2) - 1, random.Next(-spread, Math.Min(spread, 60)));

        uint Element() => form.A switch
        {
            PtxType.F16 => BitConverter.HalfToUInt16Bits((Half)Math.Clamp(Number(), -60000, 60000)),
            PtxType.BF16 => BitConverter.SingleToUInt32Bits(Number()) >> 16,
            _ => BitConverter.SingleToUInt32Bits(Number()) & ~0x1FFFu,
        };

        // Row r of A (column r of B) is with lanes 4r…4r + 3; registers of A alternate between rows 0 to 7 and rows 8 to 15.
        double ElementOf(uint** registers, int row, int k, int stride)
        {
            int parts = form.A == PtxType.TF32 ? 1 : 2, block = k / (4 * parts), rest = k % (4 * parts);
            uint bits = registers[(stride * block) + (row / 8)][(row % 8 * 4) + (rest / parts)];
            return ExactRounding.Decode(form.A == PtxType.TF32 ? PtxType.F32 : form.A, parts == 1 ? bits : (bits >> (rest % 2 * 16)) & 0xFFFF);
        }
    }

    [TestCase(float.PositiveInfinity, 1f, 0f, float.PositiveInfinity)]
    [TestCase(float.PositiveInfinity, 1f, float.NegativeInfinity, float.NaN)]
    [TestCase(float.PositiveInfinity, 0f, 0f, float.NaN)]
    [TestCase(float.NaN, 1f, 0f, float.NaN)]
    [TestCase(0f, 1f, float.NegativeInfinity, float.NegativeInfinity)]
    [TestCase(0f, 1f, float.NaN, float.NaN)]
    [TestCase(1.7014118e38f, 1f, 1.7014118e38f, float.PositiveInfinity)]
    [TestCase(-1.7014118e38f, 1.5f, float.MinValue, float.NegativeInfinity)]
    [TestCase(-0f, 1f, -0f, 0f)]
    [TestCase(1.1479437e-41f, 4.5776367e-05f, 0f, 0f)]
    [TestCase(1.1754944e-38f, 0.5f, 1.4e-45f, 5.877473e-39f)]
    public void Ends_of_the_range_follow_IEEE_754(float a, float b, float c, float expected)
    {
        MatrixForm form = new(16, 8, PtxType.TF32, PtxType.TF32, PtxType.F32, Sums: MatrixSums.Aligned);
        using WarpRows rows = new(10);
        new Span<uint>(rows[0], 10 * Warp.Lanes).Clear();
        (rows.Floats(0)[0], rows.Floats(4)[0], rows.Floats(6)[0]) = (a, b, c);
        MatrixArithmetic.MultiplyAdd(form, rows.Pointers + 6, rows.Pointers, rows.Pointers + 4, rows.Pointers + 6);
        Assert.That(rows[6][0], Is.EqualTo(float.IsNaN(expected) ? 0x7FFFFFFF : BitConverter.SingleToUInt32Bits(expected)));
    }

    [Test]
    public void Sixteen_products_of_the_largest_size_do_not_overflow_their_units()
    {
        MatrixForm form = new(16, 16, PtxType.F16, PtxType.F16, PtxType.F32, Sums: MatrixSums.Aligned);
        using WarpRows rows = new(14);
        uint** a = rows.Pointers, b = a + 4, c = b + 2, d = c + 4;
        new Span<uint>(a[0], 6 * Warp.Lanes).Fill(0x3FFF_3FFF);
        for (int i = 0; i < 4 * Warp.Lanes; i++)
        {
            ((float*)c[0])[i] = 1.9999999f;
        }

        MatrixArithmetic.MultiplyAdd(form, d, a, b, c);
        double almostTwo = 2 - Math.ScaleB(1, -10);
        Assert.That(d[0][0], Is.EqualTo(Expected([.. Enumerable.Repeat((almostTwo, almostTwo), 16)], 1.9999999f, -14)));
    }

    /// <summary>The sum's definition in integers; e is the largest exponent.</summary>
    private static uint Expected((double A, double B)[] products, double c, int least)
    {
        IEnumerable<int> exponents = products.Where(p => p.A != 0 && p.B != 0).Select(p => Math.Max(Math.ILogB(p.A), least) + Math.Max(Math.ILogB(p.B), least));
        int[] all = c == 0 ? [.. exponents] : [.. exponents, Math.Max(Math.ILogB(c), -126)];
        if (all.Length == 0)
        {
            return 0;
        }

        int unit = all.Max() - 25;
        BigInteger sum = Units(c, 1, unit);
        foreach ((double a, double b) in products)
        {
            sum += Units(a, b, unit);
        }

        return ExactRounding.Round(sum << (Scale + unit), Scale, PtxType.F32, Rounding.Zero, sum < 0);
    }

    /// <summary>How often 2^unit is in a product: division of BigIntegers is towards zero.</summary>
    private static BigInteger Units(double a, double b, int unit) =>
        ExactRounding.Scale(a, Scale) * ExactRounding.Scale(b, Scale) / (BigInteger.One << ((2 * Scale) + unit));
}
