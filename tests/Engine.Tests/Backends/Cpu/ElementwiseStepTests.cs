using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class ElementwiseStepTests
{
    private static readonly (int[] Left, int[] Right)[] Shapes =
    [
        ([1], [1]),
        ([], [3]),
        ([17, 63], [17, 63]),
        ([2, 17, 63], [63]),
        ([2, 17, 63], [17, 63]),
        ([2, 17, 63], [1]),
        ([63], [3, 17, 63]),
        ([2, 3, 17, 5], [3, 1, 1]),
        ([2, 3, 17, 5], [2, 1, 17, 1]),
        ([17, 1], [1, 63]),
        ([1, 3, 1], [5, 1, 7]),
        ([257, 1], [257, 1]),
        ([2, 1, 2, 1, 2, 1, 3, 1], [1, 3, 1, 2, 1, 2, 1, 2]),
        ([1, 300, 257], [300, 257]),
    ];

    [Test]
    public void Binary_operations_broadcast(
        [ValueSource(nameof(Shapes))] (int[] Left, int[] Right) shapes, [Values] BinaryOperation operation, [Values(0, 3)] int padding)
    {
        int[] shape = Broadcast(shapes.Left, shapes.Right);
        float[] a = StepTestData.Values(Count(shapes.Left), seed: 5);
        float[] b = StepTestData.Values(Count(shapes.Right), seed: 6);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, Columns(shapes.Left), padding);
        StepRunner.Matrix right = runner.Input(b, Columns(shapes.Right), 2 * padding);
        StepRunner.Matrix y = runner.Output(Count(shape) / Columns(shape), Columns(shape), padding);

        runner.Run(new BinaryStep(y.Ref, left.Ref, right.Ref, operation, shapes.Left, shapes.Right));

        double[] expected = new double[Count(shape)];
        for (int i = 0; i < expected.Length; i++)
            expected[i] = Apply(operation, a[Source(i, shape, shapes.Left)], b[Source(i, shape, shapes.Right)]);

        StepTestData.AssertClose(runner.Read(y), expected, absolute: 0, relative: 1e-7);
    }

    [Test]
    public void A_step_may_write_over_its_left_operand()
    {
        float[] a = StepTestData.Values(17 * 63, seed: 5);
        float[] b = StepTestData.Values(63, seed: 6);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, 63, padding: 1);
        StepRunner.Matrix right = runner.Input(b, 63);
        runner.MakeWritable(left);

        runner.Run(new BinaryStep(left.Ref, left.Ref, right.Ref, BinaryOperation.Add, [17, 63], [63]));

        Assert.That(runner.Read(left), Is.EqualTo(a.Select((v, i) => v + b[i % 63])));
    }

    [Test]
    public void Extrema_keep_a_NaN_of_either_operand([Values(BinaryOperation.Max, BinaryOperation.Min)] BinaryOperation operation)
    {
        float[] a = [float.NaN, 1, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.PositiveInfinity, 1];
        float[] b = [1, float.NaN, float.NaN, float.NaN, float.NaN, float.NegativeInfinity, 2];
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, a.Length);
        StepRunner.Matrix right = runner.Input(b, b.Length);
        StepRunner.Matrix y = runner.Output(1, a.Length);

        runner.Run(new BinaryStep(y.Ref, left.Ref, right.Ref, operation, [a.Length], [b.Length]));

        Assert.That(runner.Read(y), Is.EqualTo(a.Zip(b, (v, w) => operation == BinaryOperation.Max ? MathF.Max(v, w) : MathF.Min(v, w))));
    }

    [Test]
    public void Shapes_that_cannot_be_broadcast_are_refused()
    {
        BufferRef any = BufferRef.InArena(0, 4);
        Assert.That(() => new BinaryStep(any, any, any, BinaryOperation.Add, [2, 3], [2]), Throws.ArgumentException);
    }

    [Test]
    public void Unary_operations_match_their_definition(
        [Values] UnaryOperation operation, [Values(1, 3, 300)] int rows, [Values(1, 17, 257)] int columns, [Values(0, 3)] int padding)
    {
        float[] x = StepTestData.Values(rows * columns, seed: 7);
        if (operation is UnaryOperation.Sqrt or UnaryOperation.ReciprocalSqrt)
            x = [.. x.Select(v => MathF.Abs(v) + 1e-3f)];

        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, columns, padding);
        StepRunner.Matrix y = runner.Output(rows, columns, 2 * padding);

        runner.Run(new UnaryStep(y.Ref, source.Ref, operation, rows, columns, scale: -0.75f, offset: 0.5f));

        StepTestData.AssertClose(runner.Read(y), [.. x.Select(v => Apply(operation, v))], absolute: 2e-6, relative: 2e-7);
    }

    [Test]
    public void Relu_keeps_NaN()
    {
        using StepRunner runner = new();
        StepRunner.Matrix x = runner.Input([-1, float.NaN, 2], 3);
        StepRunner.Matrix y = runner.Output(1, 3);
        runner.Run(new UnaryStep(y.Ref, x.Ref, UnaryOperation.Relu, 1, 3));
        Assert.That(runner.Read(y), Is.EqualTo(new[] { 0, float.NaN, 2 }));
    }

    private static double Apply(BinaryOperation operation, double a, double b) => operation switch
    {
        BinaryOperation.Add => a + b,
        BinaryOperation.Subtract => a - b,
        BinaryOperation.Multiply => a * b,
        BinaryOperation.Divide => a / b,
        BinaryOperation.Max => Math.Max(a, b),
        BinaryOperation.Min => Math.Min(a, b),
        _ => throw new ArgumentOutOfRangeException(nameof(operation)),
    };

    private static double Apply(UnaryOperation operation, double x) => operation switch
    {
        UnaryOperation.Affine => (-0.75 * x) + 0.5,
        UnaryOperation.Gelu => x * Normal(x),
        UnaryOperation.Relu => Math.Max(x, 0),
        UnaryOperation.Square => x * x,
        UnaryOperation.Sqrt => Math.Sqrt(x),
        UnaryOperation.Swish => x / (1 + Math.Exp(-x)),
        UnaryOperation.Sigmoid => 1 / (1 + Math.Exp(-x)),
        UnaryOperation.Tanh => Math.Tanh(x),
        UnaryOperation.Softplus => x > 20 ? x : Math.Log(1 + Math.Exp(x)),
        UnaryOperation.Abs => Math.Abs(x),
        UnaryOperation.ReciprocalSqrt => 1 / Math.Sqrt(x),
        _ => throw new ArgumentOutOfRangeException(nameof(operation)),
    };

    /// <summary>The normal distribution function by its series x + x³/3 + x⁵/(3·5) + …, all of whose terms have one sign.</summary>
    private static double Normal(double x)
    {
        if (Math.Abs(x) > 9)
            return x > 0 ? 1 : 0;

        double term = x;
        double sum = x;
        for (int n = 3; Math.Abs(term) > 1e-18 * Math.Abs(sum); n += 2)
            sum += term *= x * x / n;

        return 0.5 + (sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
    }

    private static int Count(int[] shape) => shape.Aggregate(1, (a, b) => a * b);

    private static int Columns(int[] shape) => shape.Length == 0 ? 1 : shape[^1];

    private static int[] Broadcast(int[] left, int[] right)
    {
        int rank = Math.Max(left.Length, right.Length);
        return [.. Enumerable.Range(0, rank).Select(d => Math.Max(Extent(left, rank - d), Extent(right, rank - d)))];
    }

    private static int Extent(int[] shape, int fromEnd) => fromEnd > shape.Length ? 1 : shape[^fromEnd];

    /// <summary>Index into an operand of the element that goes into element i of the result.</summary>
    private static int Source(int i, int[] shape, int[] operand)
    {
        int index = 0;
        int stride = 1;
        for (int fromEnd = 1; fromEnd <= operand.Length; fromEnd++)
        {
            int coordinate = i % shape[^fromEnd];
            i /= shape[^fromEnd];
            index += operand[^fromEnd] == 1 ? 0 : coordinate * stride;
            stride *= operand[^fromEnd];
        }

        return index;
    }
}
