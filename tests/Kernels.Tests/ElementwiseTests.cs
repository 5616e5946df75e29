using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>The elementwise kernel: its functions, its axes, its types.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class ElementwiseTests(string architecture)
{
    private static readonly int[] Permutation = [4, 1, 5, 0, 3, 2];

    [Test]
    public void Functions_follow_their_formulas([Values] ElementFunction function, [Values(1, 257, 1028)] int count)
    {
        float[] x = TestData.Values(count, seed: count);
        x[0] = -0.5f;
        if (function is ElementFunction.Sqrt or ElementFunction.ReciprocalSqrt)
        {
            x = [.. x.Select(MathF.Abs)];
        }

        TestData.AssertClose(Dense(x, function), [.. x.Select(v => Reference(function, v))], 6e-7, 4e-7);
    }

    [Test]
    public void Functions_keep_NaN_and_take_infinities_to_their_limits([Values] ElementFunction function)
    {
        float[] x = [float.NaN, float.PositiveInfinity, 60000, 1e-30f];
        TestData.AssertClose(Dense(x, function), [.. x.Select(v => Reference(function, v))], 1e-7, 4e-7);
    }

    [TestCase(Combination.Add)]
    [TestCase(Combination.Subtract)]
    [TestCase(Combination.Multiply)]
    [TestCase(Combination.Divide)]
    public void Operands_are_combined_scaled_and_shifted(Combination combination)
    {
        float[] a = TestData.Values(1000, seed: 1), b = TestData.Values(1000, seed: 2);
        double[] expected = [.. a.Zip(b, (u, v) => (0.5 * Combined(combination, u, v) * Combined(combination, u, v)) + 3)];
        float[] y = Strided([1000], (a, [1]), (b, [1]), [1], 1000, combination, ElementFunction.Square, 0.5f, 3);
        TestData.AssertClose(y, expected, 0, 4e-7);
    }

    [Test]
    public void Quotients_are_those_of_IEEE_754()
    {
        float[] a = [1, -1, 0, 1, 3e38f, 1e-38f, float.PositiveInfinity, 5, 1e-40f, float.NaN];
        float[] b = [0, 0, 0, 3, 1e-3f, 1e20f, float.PositiveInfinity, float.NegativeInfinity, 1e-40f, 1];
        float[] y = Strided([10], (a, [1]), (b, [1]), [1], 10, Combination.Divide, ElementFunction.None, 1, 0);
        Assert.That(y, Is.EqualTo(a.Zip(b, (u, v) => u / v)));
    }

    [Test]
    public void Softplus_and_tanh_keep_digits_of_small_results()
    {
        float[] x = [-20, -10, -5, -3.9f, -1, -0.25f, -1e-3f, 1e-6f, 0.1f, 0.249f, 0.251f, 19.9f, 20.1f, 88];
        TestData.AssertClose(Dense(x, ElementFunction.Softplus), [.. x.Select(v => LinearReference.Softplus(v))], 0, 3e-5);
        TestData.AssertClose(Dense(x, ElementFunction.Tanh), [.. x.Select(v => Math.Tanh(v))], 0, 1e-6);
    }

    [TestCase(new[] { 3, 17 }, new[] { 1, 17 }, Description = "a row for all rows")]
    [TestCase(new[] { 3, 16 }, new[] { 1, 16 }, Description = "the same in vectors")]
    [TestCase(new[] { 3, 16 }, new[] { 3, 1 }, Description = "a number a row, in vectors")]
    [TestCase(new[] { 2, 1, 7, 1, 12 }, new[] { 1, 5, 1, 3, 12 }, Description = "both repeat")]
    [TestCase(new[] { 2, 3, 4, 5, 6, 7 }, new[] { 1, 3, 1, 5, 1, 7 }, Description = "six axes")]
    [TestCase(new[] { 1 }, new[] { 257 }, Description = "a number for all")]
    public void Shapes_are_broadcast(int[] left, int[] right)
    {
        int[] shape = [.. left.Zip(right, Math.Max)];
        float[] a = TestData.Values(left.Aggregate(1, (p, e) => p * e), seed: 3), b = TestData.Values(right.Aggregate(1, (p, e) => p * e), seed: 4);
        int[] aStrides = Broadcast(left), bStrides = Broadcast(right);
        double[] expected = [.. Indices(shape).Select(i => (double)(a[Offset(i, aStrides)] - b[Offset(i, bStrides)]))];
        float[] y = Strided(shape, (a, aStrides), (b, bStrides), RowMajor(shape), expected.Length, Combination.Subtract, ElementFunction.None, 1, 0);
        Assert.That(y, Is.EqualTo(expected.Select(v => (float)v)));
    }

    [TestCase(StorageType.Float, StorageType.Half)]
    [TestCase(StorageType.Half, StorageType.Float)]
    [TestCase(StorageType.Float, StorageType.Tf32)]
    [TestCase(StorageType.Half, StorageType.Half)]
    public void Copies_permute_and_convert(StorageType from, StorageType to)
    {
        int[] extents = [2, 3, 5, 1, 4, 7];
        float[] x = TestData.Values(2 * 3 * 5 * 4 * 7, seed: 8, from);
        int[] source = RowMajor(extents), shape = [.. Permutation.Select(p => extents[p])], strides = [.. Permutation.Select(p => source[p])];
        float[] y = Strided(shape, (x, strides), null, RowMajor(shape), x.Length, Combination.None, ElementFunction.None, 1, 0, from, to);
        Assert.That(y, Is.EqualTo(Indices(shape).Select(i => Rounding.To(to, x[Offset(i, strides)]))));
    }

    [TestCase(17, 24)]
    [TestCase(20, 24)]
    public void Rows_are_padded_with_zeros(int columns, int padded)
    {
        float[] x = TestData.Values(3 * columns, seed: 6);
        float[] y = Strided([3, padded], (x, [columns, 1]), null, [padded, 1], 3 * padded, Combination.None, ElementFunction.None, 1, 0, columns: columns);
        Assert.That(y, Is.EqualTo(Enumerable.Range(0, 3 * padded).Select(i => i % padded < columns ? x[(i / padded * columns) + (i % padded)] : 0)));
    }

    [Test]
    public void A_part_is_put_into_its_place_of_a_concatenation_and_nothing_else_is_written()
    {
        float[] x = TestData.Values(4 * 6, seed: 5);
        float[] y = Strided([4, 6], (x, [6, 1]), null, [15, 1], (3 * 15) + 6, Combination.None, ElementFunction.None, 1, 0);
        Assert.That(y, Is.EqualTo(Enumerable.Range(0, (3 * 15) + 6).Select(i => i % 15 < 6 ? x[(i / 15 * 6) + (i % 15)] : float.NaN)));
    }

    [Test]
    public void The_result_may_lie_over_an_operand()
    {
        using DeviceBench bench = new(architecture);
        float[] a = TestData.Values(513, seed: 1), b = TestData.Values(513, seed: 2);
        DeviceArray sum = bench.Place(a);
        bench.Run("elementwise", Grid(513), Arguments([513], [1], [1], [1]) with
        {
            A = sum.Address,
            B = bench.Place(b).Address,
            Y = sum.Address,
            Combination = Combination.Add,
            Columns = 513,
        });
        Assert.That(bench.Read(sum), Is.EqualTo(a.Zip(b, (u, v) => u + v)));
    }

    [Test]
    public void Dense_operands_are_read_and_written_in_whole_sectors()
    {
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        DeviceArray a = bench.Place(TestData.Values(4096, seed: 1)), y = bench.Poisoned(4096);
        ElementwiseArguments arguments = Arguments([4096], [1], [0], [1], vectors: true) with { A = a.Address, Y = y.Address, Columns = 4096 };
        LaunchCounters counters = bench.Count("elementwise", Grid(1024), arguments);
        Assert.That(counters[CounterNames.GlobalLoadSectors], Is.EqualTo(4096 * 4 / 32));
        Assert.That(counters[CounterNames.GlobalStoreSectors], Is.EqualTo(4096 * 4 / 32));
    }

    private static double Combined(Combination combination, double a, double b) => combination switch
    {
        Combination.Add => a + b,
        Combination.Subtract => a - b,
        Combination.Multiply => a * b,
        Combination.Divide => a / b,
        _ => a,
    };

    private static double Reference(ElementFunction function, double x) => function switch
    {
        ElementFunction.Relu => double.IsNaN(x) ? x : Math.Max(x, 0),
        ElementFunction.Gelu => x * Phi(x),
        ElementFunction.Swish => x / (1 + Math.Exp(-x)),
        ElementFunction.Square => x * x,
        ElementFunction.Sqrt => Math.Sqrt(x),
        ElementFunction.Sigmoid => 1 / (1 + Math.Exp(-x)),
        ElementFunction.Tanh => Math.Tanh(x),
        ElementFunction.Softplus => LinearReference.Softplus(x),
        ElementFunction.Abs => Math.Abs(x),
        ElementFunction.ReciprocalSqrt => 1 / Math.Sqrt(x),
        _ => x,
    };

    /// <summary>Φ by its power series, beyond ±6 by its limits: x·Φ(x) is then off by less than 1e-8.</summary>
    private static double Phi(double x)
    {
        if (double.IsNaN(x) || Math.Abs(x) > 6)
        {
            return double.IsNaN(x) ? x : x > 0 ? 1 : 0;
        }

        double term = x, sum = x;
        for (int n = 1; n < 120; n++)
        {
            term *= x * x / ((2 * n) + 1);
            sum += term;
        }

        return 0.5 + (Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI) * sum);
    }

    private static int[] RowMajor(int[] extents)
    {
        int[] strides = new int[extents.Length];
        int stride = 1;
        for (int d = extents.Length - 1; d >= 0; d--)
        {
            strides[d] = stride;
            stride *= extents[d];
        }

        return strides;
    }

    private static int[] Broadcast(int[] extents) => [.. RowMajor(extents).Select((s, d) => extents[d] == 1 ? 0 : s)];

    private static IEnumerable<int[]> Indices(int[] extents)
    {
        int[] strides = RowMajor(extents);
        return Enumerable.Range(0, extents.Aggregate(1, (p, e) => p * e)).Select(i => extents.Select((e, d) => i / strides[d] % e).ToArray());
    }

    private static int Offset(int[] index, int[] strides) => index.Zip(strides, (i, s) => i * s).Sum();

    private static LaunchSize Grid(int units) => new(DeviceBench.Blocks(units, ElementwiseArguments.Threads));

    private static Strides ToStrides(int[] strides)
    {
        int[] inner = [.. strides.Reverse(), .. new int[6 - strides.Length]];
        return new Strides { Axis0 = inner[0], Axis1 = inner[1], Axis2 = inner[2], Axis3 = inner[3], Axis4 = inner[4], Axis5 = inner[5] };
    }

    /// <summary>Arguments for extents and strides with the outermost axis first.</summary>
    private static ElementwiseArguments Arguments(int[] extents, int[] aStrides, int[] bStrides, int[] yStrides, bool vectors = false)
    {
        int[] inner = [.. extents.Reverse(), 1, 1, 1, 1, 1];
        inner[0] /= vectors ? 4 : 1;
        return new ElementwiseArguments
        {
            AStrides = ToStrides(aStrides),
            BStrides = ToStrides(bStrides),
            YStrides = ToStrides(yStrides),
            Extent0 = Divisor.Of(inner[0]),
            Extent1 = Divisor.Of(inner[1]),
            Extent2 = Divisor.Of(inner[2]),
            Extent3 = Divisor.Of(inner[3]),
            Extent4 = Divisor.Of(inner[4]),
            Axes = extents.Length,
            Units = extents.Aggregate(1, (p, e) => p * e) / (vectors ? 4 : 1),
            Vectors = vectors ? 1 : 0,
            Scale = 1,
        };
    }

    private float[] Dense(float[] x, ElementFunction function) =>
        Strided([x.Length], (x, [1]), null, [1], x.Length, Combination.None, function, 1, 0);

    /// <summary>Runs the kernel without vectors and, where the operands allow them, with; both have to agree.</summary>
    private float[] Strided(
        int[] extents,
        (float[] Values, int[] Strides) a,
        (float[] Values, int[] Strides)? b,
        int[] yStrides,
        int yCount,
        Combination combination,
        ElementFunction function,
        float scale,
        float offset,
        StorageType from = StorageType.Float,
        StorageType to = StorageType.Float,
        int? columns = null)
    {
        float[] Run(bool vectors)
        {
            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Poisoned(yCount, to);
            ElementwiseArguments arguments = Arguments(extents, a.Strides, b?.Strides ?? [], yStrides, vectors) with
            {
                A = bench.Place(a.Values, from).Address,
                B = b is null ? 0 : bench.Place(b.Value.Values).Address,
                Y = y.Address,
                Columns = columns ?? extents[^1],
                Combination = combination,
                Function = function,
                Scale = scale,
                Offset = offset,
                AType = from,
                Type = to,
            };
            bench.Run("elementwise", Grid(arguments.Units), arguments);
            return bench.Read(y);
        }

        float[] scalar = Run(vectors: false);
        int[][] strides = [a.Strides, b?.Strides ?? [], yStrides];
        bool aligned = extents[^1] % 4 == 0 && (columns ?? 0) % 4 == 0 && yStrides[^1] == 1
            && strides.All(s => s.Length == 0 || (s[^1] <= 1 && s[..^1].All(d => d % 4 == 0)));
        if (aligned)
        {
            Assert.That(Run(vectors: true), Is.EqualTo(scalar));
        }

        return scalar;
    }
}
