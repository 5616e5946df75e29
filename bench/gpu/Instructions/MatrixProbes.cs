namespace KernelAD.GpuChecks.Instructions;

/// <summary>Probes of <c>mma.sync</c>: random products against binary64, and sums made to show order and rounding of the accumulation.</summary>
internal static class MatrixProbes
{
    private const int Rows = 16, Columns = 8, Trials = 64;

    private static readonly Operand F16 = new("f16", 2, value => BitConverter.HalfToUInt16Bits((Half)value), bits => (double)BitConverter.UInt16BitsToHalf((ushort)bits));
    private static readonly Operand BF16 = new("bf16", 2, value => BitConverter.SingleToUInt32Bits((float)value) >> 16, bits => BitConverter.UInt32BitsToSingle(bits << 16));

    // Operands that are no tf32 numbers are cut off by hardware; these are.
    private static readonly Operand Tf32 = new("tf32", 1, value => BitConverter.SingleToUInt32Bits((float)value) & ~0x1FFFu, bits => BitConverter.UInt32BitsToSingle(bits));

    /// <summary>All of them.</summary>
    public static IEnumerable<Probe> All()
    {
        foreach ((Operand operand, int k, int architecture) in ((Operand, int, int)[])[(F16, 8, 75), (F16, 16, 80), (BF16, 16, 80), (Tf32, 4, 80), (Tf32, 8, 80)])
        {
            yield return Random(operand, k, architecture);
            yield return Sums(operand, k, architecture);
            yield return Edges(operand, k, architecture);
        }

        yield return Cut();
        yield return Integers(32, signed: true);
        yield return Integers(16, signed: false);
    }

    private static string Instruction(MatrixLayout layout, string types, bool floating)
    {
        int a = layout.RegistersOfA, b = layout.RegistersOfB;
        string c = string.Join(", ", Enumerable.Range(a + b, 4).Select((word, i) => floating ? $"%u{i}" : $"%a{word}")), d = floating ? "%u4, %u5, %u6, %u7" : "%d0, %d1, %d2, %d3";
        string move = floating ? string.Concat(Enumerable.Range(0, 4).Select(i => $"mov.b32 %u{i}, %a{a + b + i}; ")) : "";
        string back = floating ? string.Concat(Enumerable.Range(0, 4).Select(i => $" mov.b32 %d{i}, %u{4 + i};")) : "";
        return $"    {move}mma.sync.aligned.m16n8k{layout.K}.row.col.{types} {{{d}}}, {{{List("%a", 0, a)}}}, {{{List("%a", a, b)}}}, {{{c}}};{back}";
    }

    private static string List(string name, int first, int count) => string.Join(", ", Enumerable.Range(first, count).Select(i => $"{name}{i}"));

    private static Probe Random(Operand operand, int k, int architecture)
    {
        MatrixLayout layout = new(k, operand.PerRegister);
        Random random = new(k);
        uint[] words = new uint[Trials * 32 * layout.Words];
        for (int trial = 0; trial < Trials; trial++)
        {
            Warp warp = new(layout, operand, words.AsMemory(trial * 32 * layout.Words, 32 * layout.Words));
            int spread = trial / 8;
            for (int row = 0; row < Rows; row++)
            {
                for (int i = 0; i < k; i++)
                {
                    warp.SetA(row, i, Next(random, spread));
                    if (row < Columns)
                    {
                        warp.SetB(i, row, Next(random, spread));
                    }
                }

                for (int column = 0; column < Columns; column++)
                {
                    warp.SetC(row, column, (float)Next(random, spread));
                }
            }
        }

        return new Probe(
            $"mma.m16n8k{k}.{operand.Name}: random", architecture, Instruction(layout, $"f32.{operand.Name}.{operand.Name}.f32", floating: true), layout.Words, 4, words, ResultKind.Single)
        {
            // PTX says no more than "at least single precision": an adder that aligns all terms to the largest and cuts off loses up to a last place for each.
            Promise = new Promise(
                (inputs, result) =>
                {
                    (int row, int column) = MatrixLayout.D(result / 4, result % 4);
                    return new Warp(layout, operand, inputs).Exact(row, column);
                },
                k + 1,
                "2^-22 of the terms' magnitudes"),
        };
    }

    private static double Next(Random random, int spread) => (random.Next(2) == 0 ? -1 : 1) * Math.ScaleB(1 + random.NextDouble(), -random.Next(spread + 1));

    /// <summary>
    /// Row 0 of A times column 0 of B, one sum a trial: a large and many small terms at each place (which products are added together?), halves of a last
    /// place of either sign (rounded or
    /// cut off?), a sum that cancels, subnormal operands.
    /// </summary>
    private static Probe Sums(Operand operand, int k, int architecture)
    {
        MatrixLayout layout = new(k, operand.PerRegister);
        double tiny = Math.ScaleB(1, -12);
        List<(double C, double[] A, double[] B)> sums = [];
        for (int place = 0; place < k; place++)
        {
            // 1 at one place and 2^-24 elsewhere: nearest-even keeps 1 when they are added to it one by one.
            double[] a = new double[k];
            Array.Fill(a, tiny);
            double[] b = [.. a];
            a[place] = b[place] = 1;
            sums.Add((0, a, b));
        }

        foreach (double sign in (double[])[1, -1])
        {
            double[] halves = new double[k], ones = new double[k];
            Array.Fill(halves, sign * tiny);
            Array.Fill(ones, tiny);
            sums.Add((sign, halves, ones));
            sums.Add((-sign, halves, ones));
            double[] single = new double[k];
            single[0] = sign * 1.5 * tiny;
            sums.Add((sign, single, ones));
            double[] cancel = new double[k];
            double[] small = new double[k];
            cancel[0] = sign * 128;
            cancel[1] = -sign * 128;
            cancel[2] = tiny;
            Array.Fill(small, 1);
            small[0] = small[1] = 128;
            sums.Add((tiny, cancel, small));
        }

        double[] subnormal = new double[k], one = new double[k];
        subnormal[0] = operand.Least;
        Array.Fill(one, 1);
        sums.Add((0, subnormal, one));
        return Told(
            operand,
            layout,
            architecture,
            "sums",
            sums,
            $"0 … {k - 1}: 1 at that place of the sum and 2^-24 at all others; then with sign + and −: c = ±1 and terms ±2^-24, c = ∓1 and the same terms, c = ±1 and one term ±1.5 · 2^-24, "
            + "±2^14 ∓ 2^14 + 2^-12 + c of 2^-12; last the smallest subnormal operand times 1");
    }

    /// <summary>
    /// The ends of the range, in the first places of row 0 of A and column 0 of B: does a product that is zero, or one of a subnormal, make the other terms lose bits? What
    /// becomes of sums that are subnormal or too large, of infinities, NaN and −0?
    /// </summary>
    private static Probe Edges(Operand operand, int k, int architecture)
    {
        double large = operand.Name == "f16" ? Math.ScaleB(1, 15) : Math.ScaleB(1, 127), least = operand.Least, one = 1 + Math.ScaleB(1, -23), c = float.Epsilon;
        (double C, double[] A, double[] B)[] edges =
        [
            (one / 1024, [0], [large]),
            (least * large * one, [least], [large]),
            (least * large * one, [-least], [large]),
            (large, [large, 0], [1, 0]),
            (large, [large, large], [1, 1]),
            (1, [large, -large], [large, large]),
            (1, [double.PositiveInfinity], [1]),
            (0, [double.PositiveInfinity], [0]),
            (double.NegativeInfinity, [double.PositiveInfinity], [1]),
            (double.NegativeInfinity, [1], [1]),
            (double.NaN, [1], [1]),
            (1, [double.NaN], [0]),
            (-0.0, [-0.0, -0.0], [1, 1]),
            (3 * c, [0], [1]),
            (3 * c, [least], [least]),
            (-3 * c, [operand.Root], [0.75 * operand.Root]),
            (1.5 * Math.ScaleB(1, -126), [-operand.Root], [operand.Root]),
        ];
        return Told(
            operand,
            new MatrixLayout(k, operand.PerRegister),
            architecture,
            "edges",
            [.. edges.Select(edge => (edge.C, Padded(edge.A), Padded(edge.B)))],
            "L a large power of two, s the smallest subnormal, u = 1 + 2^-23, r² = 2^-150 (of f16 s): 0·L + u/1024, s·L + u·s·L, −s·L + u·s·L, L + L, L + L + L, L·L − L·L + 1, "
            + "∞ + 1, ∞·0, ∞ − ∞, 1 − ∞, 1 + NaN, NaN·0 + 1, −0 − 0 − 0, 0 + 3·2^-149, s·s + 3·2^-149, 0.75·r² − 3·2^-149, 1.5·2^-126 − r²");

        double[] Padded(double[] values) => [.. values, .. new double[k - values.Length]];
    }

    /// <summary>One sum a trial.</summary>
    private static Probe Told(Operand operand, MatrixLayout layout, int architecture, string name, List<(double C, double[] A, double[] B)> sums, string meaning)
    {
        uint[] words = new uint[sums.Count * 32 * layout.Words];
        for (int trial = 0; trial < sums.Count; trial++)
        {
            Warp warp = new(layout, operand, words.AsMemory(trial * 32 * layout.Words, 32 * layout.Words));
            warp.SetC(0, 0, (float)sums[trial].C);
            for (int i = 0; i < layout.K; i++)
            {
                warp.SetA(0, i, sums[trial].A[i]);
                warp.SetB(i, 0, sums[trial].B[i]);
            }
        }

        return new Probe(
            $"mma.m16n8k{layout.K}.{operand.Name}: {name}", architecture, Instruction(layout, $"f32.{operand.Name}.{operand.Name}.f32", floating: true), layout.Words, 4, words, ResultKind.Single)
        {
            Meaning = meaning,
        };
    }

    /// <summary>tf32 operands with all 23 bits of fraction: are the low 13 cut off or rounded?</summary>
    private static Probe Cut()
    {
        MatrixLayout layout = new(8, 1);
        uint[] words = new uint[4 * 32 * layout.Words];
        for (int trial = 0; trial < 4; trial++)
        {
            (int lane, int word, _) = layout.A(0, 0);
            words[(((trial * 32) + lane) * layout.Words) + word] = (trial % 2 == 0 ? 0x3F800000u : 0xBF800000) | (trial < 2 ? 0x1FFFu : 0x1000);
            (lane, word, _) = layout.B(0, 0);
            words[(((trial * 32) + lane) * layout.Words) + word] = 0x3F800000;
        }

        return new Probe("mma.m16n8k8.tf32: low bits of operands", 80, Instruction(layout, "f32.tf32.tf32.f32", floating: true), layout.Words, 4, words, ResultKind.Single) { Meaning = "operands 1 and −1 with all of the low 13 bits set, then with the highest of them" };
    }

    private static Probe Integers(int k, bool signed)
    {
        MatrixLayout layout = new(k, 4);
        string type = signed ? "s8" : "u8";
        return new Probe(
            $"mma.m16n8k{k}.{type}", 80, Instruction(layout, $"s32.{type}.{type}.s32", floating: false), layout.Words, 4, Sweep.Bits(16 * 32 * layout.Words), ResultKind.Bits)
        {
            IsDefined = true,
            Prescribed = words => [.. Enumerable.Range(0, 128).Select(result =>
            {
                (int row, int column) = MatrixLayout.D(result / 4, result % 4);
                (int lane, int word) = layout.C(row, column);
                uint sum = words[(lane * layout.Words) + word];
                for (int i = 0; i < k; i++)
                {
                    sum += (uint)(Byte(words, layout.A(row, i)) * Byte(words, layout.B(i, column)));
                }

                return sum;
            })],
        };

        int Byte(uint[] words, (int Lane, int Word, int Part) at)
        {
            byte value = (byte)(words[(at.Lane * layout.Words) + at.Word] >> (8 * at.Part));
            return signed ? (sbyte)value : value;
        }
    }

    /// <summary>A type of operands.</summary>
    private sealed record Operand(string Name, int PerRegister, Func<double, uint> Encode, Func<uint, double> Decode)
    {
        /// <summary>The smallest subnormal number.</summary>
        public double Least => Name switch { "f16" => Math.ScaleB(1, -24), "bf16" => Math.ScaleB(1, -133), _ => Math.ScaleB(1, -136) };

        /// <summary>A number whose square is 2^-150, or the smallest of f16.</summary>
        public double Root => Name == "f16" ? Least : Math.ScaleB(1, -75);
    }

    /// <summary>The operands in a warp's input words.</summary>
    private readonly struct Warp(MatrixLayout layout, Operand operand, Memory<uint> words)
    {
        public void SetA(int row, int k, double value) => Set(layout.A(row, k), value);

        public void SetB(int k, int column, double value) => Set(layout.B(k, column), value);

        public void SetC(int row, int column, float value)
        {
            (int lane, int word) = layout.C(row, column);
            words.Span[(lane * layout.Words) + word] = BitConverter.SingleToUInt32Bits(value);
        }

        /// <summary>The exact sum and 2^-22 of its terms' magnitudes.</summary>
        public (double Sum, double Unit) Exact(int row, int column)
        {
            (int lane, int word) = layout.C(row, column);
            double sum = BitConverter.UInt32BitsToSingle(words.Span[(lane * layout.Words) + word]), magnitude = Math.Abs(sum);
            for (int i = 0; i < layout.K; i++)
            {
                double product = Get(layout.A(row, i)) * Get(layout.B(i, column));
                sum += product;
                magnitude += Math.Abs(product);
            }

            return (sum, Math.ScaleB(magnitude, -22));
        }

        private double Get((int Lane, int Word, int Part) at) =>
            operand.Decode((words.Span[(at.Lane * layout.Words) + at.Word] >> (16 * at.Part)) & (operand.PerRegister == 2 ? 0xFFFFu : uint.MaxValue));

        private void Set((int Lane, int Word, int Part) at, double value) =>
            words.Span[(at.Lane * layout.Words) + at.Word] |= operand.Encode(value) << (16 * at.Part);
    }
}
