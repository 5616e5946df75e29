namespace KernelAD.GpuChecks.Instructions;

/// <summary>Every probe.</summary>
internal static class Probes
{
    private const double SmallestNormal = 1.17549435e-38;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Probe> All { get; } =
        [.. Approximations(), .. Arithmetic(), .. Conversions(), .. MatrixProbes.All(), .. Shuffles(), .. MatrixLoads(), .. AsynchronousCopies()];

    /// <summary>Bounds from PTX ISA, "Floating Point Instructions".</summary>
    private static IEnumerable<Probe> Approximations()
    {
        foreach (string ftz in (string[])["", ".ftz"])
        {
            yield return Unary($"ex2.approx{ftz}.f32", Sweep.Even(-155, 132), Ulps(x => Math.Pow(2, x), 2));
            yield return Unary($"lg2.approx{ftz}.f32", Sweep.Magnitudes(-126, 127, signed: false), Logarithm());
            yield return Unary($"rcp.approx{ftz}.f32", Sweep.Magnitudes(-126, 127), Ulps(x => 1 / x, 1));
            yield return Unary($"rsqrt.approx{ftz}.f32", Sweep.Magnitudes(-126, 127, signed: false), Relative(x => 1 / Math.Sqrt(x), -22.9));
            yield return Unary($"sqrt.approx{ftz}.f32", Sweep.Magnitudes(-126, 127, signed: false), Relative(Math.Sqrt, -23));
            yield return Unary($"sin.approx{ftz}.f32", Sweep.Even(-2 * Math.PI, 2 * Math.PI), Angle(Math.Sin, -20.5));
            yield return Unary($"cos.approx{ftz}.f32", Sweep.Even(-2 * Math.PI, 2 * Math.PI), Angle(Math.Cos, -20.4));
            yield return Binary($"div.approx{ftz}.f32", Quotient());
            yield return Binary($"div.full{ftz}.f32", Quotient());
        }

        yield return Unary("tanh.approx.f32", Sweep.Even(-10, 10), Relative(Math.Tanh, -11));
        yield return Unary("tanh.approx.f32: small", Sweep.Magnitudes(-120, 0), Relative(Math.Tanh, -11));
        yield return new Probe("ex2.approx.f16", 75, "    cvt.u16.u32 %h0, %a0; ex2.approx.f16 %h1, %h0; cvt.u32.u16 %d0, %h1;", 1, 1, AllHalves(), ResultKind.Half);
        yield return new Probe("tanh.approx.f16", 75, "    cvt.u16.u32 %h0, %a0; tanh.approx.f16 %h1, %h0; cvt.u32.u16 %d0, %h1;", 1, 1, AllHalves(), ResultKind.Half);
    }

    /// <summary>IEEE 754 says it all, subnormals and NaN's place in min and max included.</summary>
    private static IEnumerable<Probe> Arithmetic()
    {
        foreach (string ftz in (string[])["", ".ftz"])
        {
            yield return Defined(Binary($"add{ftz}.f32", null));
            yield return Defined(Binary($"mul{ftz}.f32", null));
            yield return Defined(Binary($"min{ftz}.f32", null));
            yield return Defined(Binary($"max{ftz}.f32", null));
            yield return Defined(Unary($"sqrt.rn{ftz}.f32", Sweep.Magnitudes(-149, 127, signed: false), null));
            yield return Defined(Binary($"div.rn{ftz}.f32", null));
            yield return Defined(new Probe($"fma.rn{ftz}.f32", 75, Floats(3, $"fma.rn{ftz}.f32 %u3, %u0, %u1, %u2;"), 3, 1, Sweep.Triples(), ResultKind.Single));
        }

        // Below the smallest normal number by less than half a last place, by three quarters, and at it: an H200 flushes by what the rounded result would be if the exponent had no end.
        uint[] factors = [0x00800000, 0x3F7FFFFF, 0x00800001, 0x3F7FFFFE, 0x00800001, 0x3F7FFFFF, 0x00FFFFFF, 0x3F000000, 0x00FFFFFF, 0x3F000001, 0x00800000, 0x3F800000];
        uint[] triples = [0x80800000, 0x32800000, 0x00800000, 0x80800000, 0x33000000, 0x00800000, 0x80800000, 0x33400000, 0x00800000, 0x80800000, 0x33800000, 0x00800000];
        yield return new Probe("mul.ftz.f32: about the smallest normal", 75, Floats(2, "mul.ftz.f32 %u3, %u0, %u1;"), 2, 1, Repeated(factors, 2 * 32), ResultKind.Single);
        yield return new Probe("fma.rn.ftz.f32: about the smallest normal", 75, Floats(3, "fma.rn.ftz.f32 %u3, %u0, %u1, %u2;"), 3, 1, Repeated(triples, 3 * 32), ResultKind.Single);

        yield return Defined(Binary("min.NaN.f32", null) with { Architecture = 80 });
        yield return Defined(Binary("max.NaN.f32", null) with { Architecture = 80 });
    }

    private static IEnumerable<Probe> Conversions()
    {
        foreach (string rounding in (string[])["rn", "rz"])
        {
            yield return Defined(new Probe(
                $"cvt.{rounding}.f16.f32", 75, $"    mov.b32 %u0, %a0; cvt.{rounding}.f16.f32 %h0, %u0; cvt.u32.u16 %d0, %h0;", 1, 1, Sweep.Magnitudes(-27, 17), ResultKind.Half));
        }

        yield return Defined(new Probe("cvt.f32.f16", 75, "    cvt.u16.u32 %h0, %a0; cvt.f32.f16 %u0, %h0; mov.b32 %d0, %u0;", 1, 1, AllHalves(), ResultKind.Single));
        yield return Defined(new Probe("cvt.rna.tf32.f32", 80, "    mov.b32 %u0, %a0; cvt.rna.tf32.f32 %d0, %u0;", 1, 1, Sweep.Magnitudes(-140, 127), ResultKind.Single));
        yield return Defined(new Probe(
            "cvt.rn.f16x2.f32", 80, "    mov.b32 %u0, %a0; mov.b32 %u1, %a1; cvt.rn.f16x2.f32 %d0, %u0, %u1;", 2, 1, [.. Sweep.Magnitudes(-27, 17), .. Sweep.Even(-70000, 70000)], ResultKind.Bits));
        foreach (string form in (string[])["rni.s32", "rzi.s32", "rmi.s32", "rpi.s32", "rni.u32", "rzi.u32"])
        {
            yield return Defined(new Probe($"cvt.{form}.f32", 75, $"    mov.b32 %u0, %a0; cvt.{form}.f32 %d0, %u0;", 1, 1, Sweep.Magnitudes(-3, 34), ResultKind.Bits));
        }

        foreach (string form in (string[])["rn.f32.s32", "rn.f32.u32"])
        {
            yield return Defined(new Probe($"cvt.{form}", 75, $"    cvt.{form} %u0, %a0; mov.b32 %d0, %u0;", 1, 1, Sweep.Bits(16384), ResultKind.Single));
        }

        yield return Defined(new Probe("cvt.rni.f32.f32", 75, "    mov.b32 %u0, %a0; cvt.rni.f32.f32 %u1, %u0; mov.b32 %d0, %u1;", 1, 1, Sweep.Magnitudes(-3, 25), ResultKind.Single));
        yield return Defined(new Probe("cvt.sat.f32.f32", 75, "    mov.b32 %u0, %a0; cvt.sat.f32.f32 %u1, %u0; mov.b32 %d0, %u1;", 1, 1, Sweep.Magnitudes(-130, 3), ResultKind.Single));
    }

    /// <summary>Values and predicates of every mode, whole warps and segments, source lanes in and out of range.</summary>
    private static IEnumerable<Probe> Shuffles() =>
        from mode in (string[])["up", "down", "bfly", "idx"]
        from clamp in (int[])[0x1F, 0, 0x181F, 0x1800, 0x1C07]
        select Defined(new Probe(
            $"shfl.sync.{mode}, c = 0x{clamp:X}",
            75,
            $"    and.b32 %t1, %a1, 63; shfl.sync.{mode}.b32 %d0|%p0, %a0, %t1, {clamp}, -1; selp.u32 %d1, 1, 0, %p0;",
            2,
            2,
            Sweep.Bits(2 * 32 * 16, clamp),
            ResultKind.Bits));

    /// <summary>Which lane gets which words: lane r of every eight gives the address of a row, lane l gets row l/4, columns 2·(l mod 4) and the next.</summary>
    private static IEnumerable<Probe> MatrixLoads()
    {
        foreach ((string transposition, Func<uint[], int, uint> element) in ((string, Func<uint[], int, uint>)[])[("", Straight), (".trans", Transposed)])
        {
            yield return Defined(new Probe(
                $"ldmatrix.x4{transposition}",
                75,
                $$"""
                    mov.u32 %t1, buffer;
                    mad.lo.u32 %t1, %lane, 16, %t1;
                    st.shared.v4.u32 [%t1], {%a0, %a1, %a2, %a3};
                    bar.sync 0;
                    ldmatrix.sync.aligned.m8n8.x4{{transposition}}.shared.b16 {%d0, %d1, %d2, %d3}, [%t1];
                """,
                4,
                4,
                Sweep.Bits(4 * 32),
                ResultKind.Bits)) with
            {
                Prescribed = words => [.. Enumerable.Range(0, 128).Select(result => element(words, result))],
            };
        }

        static uint Straight(uint[] words, int result) => words[(4 * ((8 * (result % 4)) + (result / 16))) + (result / 4 % 4)];

        static uint Transposed(uint[] words, int result)
        {
            int row = (8 * (result % 4)) + (2 * (result / 4 % 4)), column = result / 16;
            return Element(words, row, column) | (Element(words, row + 1, column) << 16);
        }

        static uint Element(uint[] words, int row, int column) => (words[(4 * row) + (column / 2)] >> (16 * (column % 2))) & 0xFFFF;
    }

    /// <summary>Data after the wait, the older of two groups, and zeros where less is read than copied.</summary>
    private static IEnumerable<Probe> AsynchronousCopies()
    {
        const string Address = """
                mov.u32 %t1, buffer;
                mad.lo.u32 %t1, %lane, 16, %t1;
                st.shared.v4.u32 [%t1], {%lane, %lane, %lane, %lane};
                bar.sync 0;
            """;
        const string Read = """

                ld.shared.v4.u32 {%d0, %d1, %d2, %d3}, [%t1];
            """;
        foreach ((string name, string copy, Func<int, int, uint[], uint> word) in ((string, string, Func<int, int, uint[], uint>)[])
        [
            ("cp.async.cg 16", "cp.async.cg.shared.global [%t1], [%mine], 16; cp.async.commit_group; cp.async.wait_group 0;", (_, i, own) => own[i]),
            ("cp.async.ca 4", "cp.async.ca.shared.global [%t1], [%mine], 4; cp.async.commit_group; cp.async.wait_group 0;", (lane, i, own) => i < 1 ? own[i] : (uint)lane),
            ("cp.async.ca 8", "cp.async.ca.shared.global [%t1], [%mine], 8; cp.async.commit_group; cp.async.wait_group 0;", (lane, i, own) => i < 2 ? own[i] : (uint)lane),
            ("cp.async.cg 16, 4 read", "cp.async.cg.shared.global [%t1], [%mine], 16, 4; cp.async.wait_all;", (_, i, own) => i < 1 ? own[i] : 0),
            ("cp.async.cg 16, 0 read", "mov.u32 %t2, 0; cp.async.cg.shared.global [%t1], [%mine], 16, %t2; cp.async.wait_all;", (_, _, _) => 0),
            ("cp.async: the older group", """
                cp.async.ca.shared.global [%t1], [%mine], 8; cp.async.commit_group;
                cp.async.ca.shared.global [%t1+512], [%mine+8], 8; cp.async.commit_group; cp.async.wait_group 1;
             """, (lane, i, own) => i < 2 ? own[i] : (uint)lane),
        ])
        {
            yield return Defined(new Probe(name, 80, $"{Address}\n    {copy}{Read}", 4, 4, Sweep.Bits(4 * 32 * 4), ResultKind.Bits)) with
            {
                Prescribed = words => [.. Enumerable.Range(0, 128).Select(result => word(result / 4, result % 4, words[(result / 4 * 4)..((result / 4 * 4) + 4)]))],
            };
        }
    }

    private static Probe Defined(Probe probe) => probe with { IsDefined = true };

    private static Probe Unary(string name, uint[] values, Promise? promise) =>
        new(name, 75, Floats(1, $"{name.Split(':')[0]} %u3, %u0;"), 1, 1, values, ResultKind.Single) { Promise = promise };

    private static Probe Binary(string name, Promise? promise) =>
        new(name, 75, Floats(2, $"{name} %u3, %u0, %u1;"), 2, 1, Sweep.Pairs(), ResultKind.Single) { Promise = promise };

    private static string Floats(int inputs, string instruction) =>
        $"    {string.Concat(Enumerable.Range(0, inputs).Select(i => $"mov.b32 %u{i}, %a{i}; "))}{instruction} mov.b32 %d0, %u3;";

    private static uint[] Repeated(uint[] words, int count) => [.. Enumerable.Range(0, count).Select(i => words[i % words.Length])];

    private static uint[] AllHalves() => [.. Enumerable.Range(0, 1 << 16).Select(i => (uint)i)];

    private static Promise Ulps(Func<double, double> function, double bound) => Of(function, Ulp, bound, "ulp");

    private static Promise Relative(Func<double, double> function, double exponent) => Of(function, Math.Abs, Math.Pow(2, exponent), "of the value");

    /// <summary>
    /// PTX ISA 9.1 says 2^-20.5 in [−2π, 2π] of both. An H200 keeps that in its sine and misses it in its cosine, by 3 % in 4 of 16 361 angles: that of the angle as it is
    /// rounded in turns is within 2^-20.88, and the rounding adds to it.
    /// </summary>
    private static Promise Angle(Func<double, double> function, double exponent) =>
        Of(function, _ => 1, Math.Pow(2, exponent), "absolute; the ISA says 6.743E-07", x => Math.Abs(x) <= 2 * Math.PI);

    /// <summary>Absolute 2^-22 between ½ and 2, relative 2^-22 elsewhere: in units of the absolute one there.</summary>
    private static Promise Logarithm() => new(
        (inputs, result) => Normal(inputs[result]) is double x and > 0 ? (Math.Log2(x), x is > 0.5 and < 2 ? 1 : Math.Abs(Math.Log2(x))) : null, Math.ScaleB(1, -22), "absolute in (½, 2), of the value elsewhere");

    private static Promise Quotient() => new(
        (inputs, result) =>
            Normal(inputs[2 * result]) is double a && Normal(inputs[(2 * result) + 1]) is double b && Math.Abs(b) <= Math.ScaleB(1, 126) && IsNormal(a / b) ? (a / b, Ulp(a / b)) : null,
        2,
        "ulp");

    private static Promise Of(Func<double, double> function, Func<double, double> unit, double bound, string name, Func<double, bool>? domain = null) => new(
        (inputs, result) => Normal(inputs[result]) is double x && domain?.Invoke(x) != false && IsNormal(function(x)) ? (function(x), unit(function(x))) : null, bound, name);

    /// <summary>A normal number or zero is taken as it is; what else there is has rules of its own.</summary>
    private static double? Normal(uint bits) => BitConverter.UInt32BitsToSingle(bits) is float x && float.IsNormal(x) ? x : null;

    private static bool IsNormal(double x) => Math.Abs(x) is >= SmallestNormal and <= float.MaxValue;

    /// <summary>Distance of float32 numbers at a value.</summary>
    private static double Ulp(double x) => Math.ScaleB(1, Math.ILogB(x) - 23);
}
