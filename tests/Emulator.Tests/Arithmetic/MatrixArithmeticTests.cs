namespace KernelAD.Emulator.Tests;

/// <summary>
/// mma.sync against a double-precision product of matrices, put into registers and taken from them by the formulas of the PTX ISA, "Matrix Fragments for mma":
/// group = lane >> 2, thread = lane % 4, i = the element's number in the fragment, from the first register's low bits up.
/// </summary>
internal sealed unsafe class MatrixArithmeticTests
{
    private static readonly MatrixForm[] Forms =
    [
        new(16, 16, PtxType.F16, PtxType.F16, PtxType.F32),
        new(16, 8, PtxType.F16, PtxType.F16, PtxType.F32),
        new(16, 16, PtxType.BF16, PtxType.BF16, PtxType.F32),
        new(16, 8, PtxType.BF16, PtxType.BF16, PtxType.F32),
        new(16, 8, PtxType.TF32, PtxType.TF32, PtxType.F32),
        new(16, 4, PtxType.TF32, PtxType.TF32, PtxType.F32),
        new(16, 16, PtxType.F16, PtxType.F16, PtxType.F16),
        new(16, 8, PtxType.F16, PtxType.F16, PtxType.F16),
        new(8, 16, PtxType.S8, PtxType.S8, PtxType.S32),
        new(8, 16, PtxType.U8, PtxType.S8, PtxType.S32),
        new(16, 16, PtxType.S8, PtxType.U8, PtxType.S32),
        new(16, 32, PtxType.S8, PtxType.S8, PtxType.S32),
        new(16, 32, PtxType.U8, PtxType.U8, PtxType.S32),
        new(16, 32, PtxType.S8, PtxType.S8, PtxType.S32, Saturate: true),
    ];

    private static readonly MatrixForm[] IntegerForms = [.. Forms.Where(form => form.Accumulator == PtxType.S32)];
    private static readonly MatrixForm[] FloatForms = [.. Forms.Except(IntegerForms)];
    private static readonly MatrixForm[] AllForms = [.. Forms, .. FloatForms.Select(form => form with { Sums = MatrixSums.Aligned })];
    private static readonly MatrixForm[] AllFloatForms = [.. AllForms.Except(IntegerForms)];

    [TestCaseSource(nameof(AllForms))]
    public void Each_element_of_A_meets_each_of_B_in_the_right_place(MatrixForm form)
    {
        Assert.That(form.IsSupported);
        for (int row = 0; row < form.M; row++)
        {
            for (int column = 0; column < MatrixForm.N; column++)
            {
                for (int k = 0; k < form.K; k++)
                {
                    double[,] a = new double[form.M, form.K], b = new double[form.K, MatrixForm.N], expected = new double[form.M, MatrixForm.N];
                    (a[row, k], b[k, column], expected[row, column]) = (3, 5, 15);
                    double[,] d = Multiply(form, a, b, new double[form.M, MatrixForm.N]);
                    if (!Same(d, expected))
                    {
                        Assert.Fail($"A[{row},{k}] = 3 and B[{k},{column}] = 5 do not give D[{row},{column}] = 15 alone.");
                    }
                }
            }
        }
    }

    [TestCaseSource(nameof(AllForms))]
    public void Each_element_of_C_reaches_the_same_place_of_D(MatrixForm form)
    {
        double[,] c = new double[form.M, MatrixForm.N];
        for (int i = 0; i < c.Length; i++)
        {
            c[i / MatrixForm.N, i % MatrixForm.N] = i + 1;
        }

        Assert.That(Multiply(form, new double[form.M, form.K], new double[form.K, MatrixForm.N], c), Is.EqualTo(c));
    }

    [TestCaseSource(nameof(AllFloatForms))]
    public void Random_matrices_give_the_product(MatrixForm form)
    {
        Random random = new(7);
        for (int round = 0; round < 50; round++)
        {
            (double[,] a, double[,] b, double[,] c) = RandomMatrices(form, random);
            double[,] d = Multiply(form, a, b, c);
            for (int row = 0; row < form.M; row++)
            {
                for (int column = 0; column < MatrixForm.N; column++)
                {
                    (double exact, double size) = (c[row, column], Math.Abs(c[row, column]));
                    for (int k = 0; k < form.K; k++)
                    {
                        exact += a[row, k] * b[k, column];
                        size += Math.Abs(a[row, k] * b[k, column]);
                    }

                    double tolerance = (size * (form.K + 1) * 5.9604644775390625e-8) + (form.Accumulator == PtxType.F16 ? Math.Abs(exact) * 4.8828125e-4 : 0);
                    Assert.That(d[row, column], Is.EqualTo(exact).Within(tolerance), $"D[{row},{column}]");
                }
            }
        }
    }

    [TestCaseSource(nameof(FloatForms))]
    public void Sums_are_fused_multiply_adds_in_ascending_order_of_k(MatrixForm form)
    {
        Random random = new(8);
        (double[,] a, double[,] b, double[,] c) = RandomMatrices(form, random);
        double[,] d = Multiply(form, a, b, c);
        for (int row = 0; row < form.M; row++)
        {
            for (int column = 0; column < MatrixForm.N; column++)
            {
                float sum = (float)c[row, column];
                for (int k = 0; k < form.K; k++)
                {
                    sum = MathF.FusedMultiplyAdd((float)a[row, k], (float)b[k, column], sum);
                }

                Assert.That(d[row, column], Is.EqualTo(form.Accumulator == PtxType.F16 ? (double)(Half)sum : sum), $"D[{row},{column}]");
            }
        }
    }

    [TestCaseSource(nameof(IntegerForms))]
    public void Integers_are_summed_exactly_up_to_the_limits(MatrixForm form)
    {
        Random random = new(9);
        double[,] a = new double[form.M, form.K], b = new double[form.K, 8], c = new double[form.M, 8];
        Fill(a, () => form.A == PtxType.S8 ? random.Next(-128, 128) : random.Next(256));
        Fill(b, () => form.B == PtxType.S8 ? random.Next(-128, 128) : random.Next(256));
        Fill(c, () => random.Next(3) switch { 0 => int.MaxValue - random.Next(1000), 1 => int.MinValue + random.Next(1000), _ => random.Next(-1000, 1000) });
        double[,] d = Multiply(form, a, b, c);
        int wrapped = 0;
        for (int row = 0; row < form.M; row++)
        {
            for (int column = 0; column < 8; column++)
            {
                long exact = (long)c[row, column];
                for (int k = 0; k < form.K; k++)
                {
                    exact += (long)a[row, k] * (long)b[k, column];
                }

                long expected = form.Saturate ? Math.Clamp(exact, int.MinValue, int.MaxValue) : unchecked((int)exact);
                Assert.That(d[row, column], Is.EqualTo(expected), $"D[{row},{column}]");
                wrapped += exact is < int.MinValue or > int.MaxValue ? 1 : 0;
            }
        }

        Assert.That(wrapped, Is.Positive, "some sums pass the limits");
    }

    [TestCaseSource(nameof(AllFloatForms))]
    public void NaN_and_infinity_spread_and_no_further(MatrixForm form)
    {
        double[,] a = new double[form.M, form.K], b = new double[form.K, 8], c = new double[form.M, 8];
        Fill(b, () => 1);
        (a[0, 1], a[1, 0], a[2, 2], a[2, 3]) = (double.NaN, double.PositiveInfinity, double.PositiveInfinity, double.NegativeInfinity);
        b[0, 7] = 0;
        double[,] d = Multiply(form, a, b, c);
        for (int column = 0; column < 8; column++)
        {
            Assert.That(d[0, column], Is.NaN);
            Assert.That(d[1, column], column == 7 ? Is.NaN : Is.EqualTo(double.PositiveInfinity));
            Assert.That(d[2, column], Is.NaN, "∞ − ∞");
            Assert.That(d[3, column], Is.Zero);
        }
    }

    [TestCase(PtxType.F16, 15)]
    [TestCase(PtxType.F16, 24)]
    [TestCase(PtxType.BF16, 133)]
    [TestCase(PtxType.TF32, 136)]
    public void Subnormals_count(PtxType type, int power)
    {
        MatrixForm form = new(16, 8, type, type, PtxType.F32);
        double[,] a = new double[16, 8], b = new double[8, 8];
        (a[5, 3], b[3, 2]) = (Math.Pow(2, -power), 8);
        Assert.That(Multiply(form, a, b, new double[16, 8])[5, 2], Is.EqualTo(Math.Pow(2, 3 - power)));
    }

    [Test]
    public void The_low_13_bits_of_tf32_are_cut_off()
    {
        MatrixForm form = new(16, 8, PtxType.TF32, PtxType.TF32, PtxType.F32);
        using WarpRows rows = new(10);
        new Span<uint>(rows[0], 10 * Warp.Lanes).Clear();
        rows[0][0] = 0x3F801FFF;
        rows[4][0] = 0xC0001FFF;
        MatrixArithmetic.MultiplyAdd(form, rows.Pointers + 6, rows.Pointers, rows.Pointers + 4, rows.Pointers + 6);
        Assert.That(rows.Floats(6)[0], Is.EqualTo(-2));
    }

    [Test]
    public void A_NaN_is_the_canonical_one()
    {
        MatrixForm form = new(16, 16, PtxType.F16, PtxType.F16, PtxType.F32);
        using WarpRows rows = new(10);
        new Span<uint>(rows[0], 10 * Warp.Lanes).Clear();
        rows[6][9] = 0xFFC12345;
        MatrixArithmetic.MultiplyAdd(form, rows.Pointers + 6, rows.Pointers, rows.Pointers + 4, rows.Pointers + 6);
        Assert.That(rows[6][9], Is.EqualTo(0x7FFFFFFF));
    }

    [TestCaseSource(nameof(AllForms))]
    public void D_may_be_C_or_lie_apart(MatrixForm form)
    {
        Random random = new(10);
        int registers = form.RegistersOfA + form.RegistersOfB + (2 * form.RegistersOfC);
        using WarpRows rows = new(registers);
        uint** a = rows.Pointers, b = a + form.RegistersOfA, c = b + form.RegistersOfB, d = c + form.RegistersOfC;
        for (int i = 0; i < registers * Warp.Lanes; i++)
        {
            rows[0][i] = form.A switch
            {
                PtxType.S8 or PtxType.U8 => (uint)random.Next(),
                PtxType.TF32 => BitConverter.SingleToUInt32Bits(random.NextSingle()),
                _ => BitConverter.HalfToUInt16Bits((Half)random.NextSingle()) | 0x3C000000u,
            };
        }

        MatrixArithmetic.MultiplyAdd(form, d, a, b, c);
        uint[] apart = new Span<uint>(d[0], form.RegistersOfC * Warp.Lanes).ToArray();
        MatrixArithmetic.MultiplyAdd(form, c, a, b, c);
        Assert.That(new Span<uint>(c[0], form.RegistersOfC * Warp.Lanes).ToArray(), Is.EqualTo(apart));
    }

    [Test]
    public void Other_forms_are_not_supported()
    {
        Assert.That(new MatrixForm(16, 16, PtxType.F16, PtxType.BF16, PtxType.F32).IsSupported, Is.False);
        Assert.That(new MatrixForm(16, 16, PtxType.BF16, PtxType.BF16, PtxType.F16).IsSupported, Is.False);
        Assert.That(new MatrixForm(16, 16, PtxType.TF32, PtxType.TF32, PtxType.F32).IsSupported, Is.False);
        Assert.That(new MatrixForm(8, 32, PtxType.S8, PtxType.S8, PtxType.S32).IsSupported, Is.False);
        Assert.That(new MatrixForm(16, 16, PtxType.F16, PtxType.F16, PtxType.F32, Saturate: true).IsSupported, Is.False);
    }

    private static double[,] Multiply(in MatrixForm form, double[,] a, double[,] b, double[,] c)
    {
        using WarpRows rows = new(form.RegistersOfA + form.RegistersOfB + (2 * form.RegistersOfC));
        uint** left = rows.Pointers, right = left + form.RegistersOfA, sum = right + form.RegistersOfB, result = sum + form.RegistersOfC;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            for (int i = 0; i < form.M * form.K / Warp.Lanes; i++)
            {
                (int row, int column) = PlaceInA(form, lane, i);
                Put(left, form.A, lane, i, a[row, column]);
            }

            for (int i = 0; i < form.K * MatrixForm.N / Warp.Lanes; i++)
            {
                (int row, int column) = PlaceInB(form, lane, i);
                Put(right, form.B, lane, i, b[row, column]);
            }

            for (int i = 0; i < form.M * MatrixForm.N / Warp.Lanes; i++)
            {
                (int row, int column) = PlaceInC(lane, i);
                Put(sum, form.Accumulator, lane, i, c[row, column]);
            }
        }

        MatrixArithmetic.MultiplyAdd(form, result, left, right, sum);
        double[,] d = new double[form.M, MatrixForm.N];
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            for (int i = 0; i < form.M * MatrixForm.N / Warp.Lanes; i++)
            {
                (int row, int column) = PlaceInC(lane, i);
                d[row, column] = Get(result, form.Accumulator, lane, i);
            }
        }

        return d;
    }

    private static (int Row, int Column) PlaceInA(in MatrixForm form, int lane, int i)
    {
        (int group, int thread) = (lane >> 2, lane % 4);
        return (form.A, form.M, form.K) switch
        {
            (PtxType.F16 or PtxType.BF16, 16, 8) => (i is 0 or 1 ? group : group + 8, (thread * 2) + (i & 1)),
            (PtxType.F16 or PtxType.BF16, 16, 16) => (i is 0 or 1 or 4 or 5 ? group : group + 8, (thread * 2) + (i & 1) + (i >= 4 ? 8 : 0)),
            (PtxType.TF32, 16, 4) => (i == 0 ? group : group + 8, thread),
            (PtxType.TF32, 16, 8) => (i is 0 or 2 ? group : group + 8, i is 0 or 1 ? thread : thread + 4),
            (PtxType.S8 or PtxType.U8, 8, 16) => (group, (thread * 4) + i),
            (PtxType.S8 or PtxType.U8, 16, 16) => (i < 4 ? group : group + 8, (thread * 4) + (i & 3)),
            (PtxType.S8 or PtxType.U8, 16, 32) => (i is (>= 0 and < 4) or (>= 8 and < 12) ? group : group + 8, (thread * 4) + (i & 3) + (i >= 8 ? 16 : 0)),
            _ => throw new ArgumentException($"No layout of A is known for {form}.", nameof(form)),
        };
    }

    private static (int Row, int Column) PlaceInB(in MatrixForm form, int lane, int i)
    {
        (int group, int thread) = (lane >> 2, lane % 4);
        return (form.B, form.K) switch
        {
            (PtxType.F16 or PtxType.BF16, 8) => ((thread * 2) + i, group),
            (PtxType.F16 or PtxType.BF16, 16) => ((thread * 2) + (i & 1) + (i >= 2 ? 8 : 0), group),
            (PtxType.TF32, 4) => (thread, group),
            (PtxType.TF32, 8) => (i == 0 ? thread : thread + 4, group),
            (PtxType.S8 or PtxType.U8, 16) => ((thread * 4) + i, group),
            (PtxType.S8 or PtxType.U8, 32) => ((thread * 4) + (i & 3) + (i >= 4 ? 16 : 0), group),
            _ => throw new ArgumentException($"No layout of B is known for {form}.", nameof(form)),
        };
    }

    private static (int Row, int Column) PlaceInC(int lane, int i) => ((lane >> 2) + (i < 2 ? 0 : 8), (lane % 4 * 2) + (i & 1));

    private static void Put(uint** registers, PtxType type, int lane, int i, double value)
    {
        int bits = 8 * type.Size(), perRegister = 32 / bits;
        uint element = type switch
        {
            PtxType.F16 => BitConverter.HalfToUInt16Bits((Half)value),
            PtxType.BF16 => BitConverter.SingleToUInt32Bits((float)value) >> 16,
            PtxType.S8 => (byte)(sbyte)value,
            PtxType.U8 => (byte)value,
            PtxType.S32 => (uint)(int)value,
            _ => BitConverter.SingleToUInt32Bits((float)value),
        };
        uint* register = registers[i / perRegister] + lane;
        int shift = i % perRegister * bits;
        *register = (*register & ~(uint)(((1ul << bits) - 1) << shift)) | (element << shift);
    }

    private static double Get(uint** registers, PtxType type, int lane, int i) => type switch
    {
        PtxType.F16 => (double)BitConverter.UInt16BitsToHalf((ushort)(registers[i / 2][lane] >> (i % 2 * 16))),
        PtxType.S32 => (int)registers[i][lane],
        _ => BitConverter.UInt32BitsToSingle(registers[i][lane]),
    };

    private static (double[,] A, double[,] B, double[,] C) RandomMatrices(in MatrixForm form, Random random) => (
        RandomMatrix(random, form.M, form.K, form.A),
        RandomMatrix(random, form.K, MatrixForm.N, form.B),
        RandomMatrix(random, form.M, MatrixForm.N, form.Accumulator));

    /// <summary>Numbers that the type holds exactly, of different size.</summary>
    private static double[,] RandomMatrix(Random random, int rows, int columns, PtxType type)
    {
        double[,] matrix = new double[rows, columns];
        Fill(matrix, () =>
        {
            float value = (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-6, 6)));
            return type switch
            {
                PtxType.F16 => (double)(Half)value,
                PtxType.BF16 => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000),
                PtxType.TF32 => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFFE000),
                _ => value,
            };
        });
        return matrix;
    }

    private static void Fill(double[,] matrix, Func<double> next)
    {
        for (int row = 0; row < matrix.GetLength(0); row++)
        {
            for (int column = 0; column < matrix.GetLength(1); column++)
            {
                matrix[row, column] = next();
            }
        }
    }

    private static bool Same(double[,] x, double[,] y) => x.Cast<double>().SequenceEqual(y.Cast<double>());
}
