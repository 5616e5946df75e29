using KernelAD.Backends.Cpu;
using KernelAD.Graph;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
public sealed unsafe class LinearStepTests
{
    private static readonly (int M, int N, int K)[] Shapes =
        [(1, 1, 1), (3, 17, 5), (13, 33, 16), (12, 32, 64), (63, 63, 63), (257, 96, 40), (49, 257, 31), (300, 5, 520), (13, 70, 2100), (40, 33, 4200)];

    [Test]
    public void Equals_the_reference(
        [ValueSource(nameof(Shapes))] (int M, int N, int K) shape,
        [Values] Activation activation,
        [Values] bool xRowTiles,
        [Values] bool rowTiles,
        [Values] bool residual)
    {
        (int m, int n, int k) = shape;
        Random random = new(m + n + k);
        (float[] weight, float[] bias) = Parameters(random, n, k);
        using MemoryPool memory = new();
        PackedWeights packed = Packing.Pack(memory, weight, n, k, bias);
        using GuardedMatrix x = GuardedMatrix.Random(random, m, k, xRowTiles, stride: k + 3);
        using GuardedMatrix added = GuardedMatrix.Random(random, m, n, stride: n + 5);
        using GuardedMatrix y = new(m, n, rowTiles, stride: n + 2);

        // Outliers: one row and one column a thousand times as large.
        for (int i = 0; i < k; i++)
            x[m / 2, i] *= 1000;
        for (int i = 0; i < m; i++)
            x[i, k / 2] *= 1000;
        WorkerTeam.Shared.RunAll([new LinearStep(m, packed, x.Ref, y.Ref, rowTiles, activation, residual ? added.Ref : null, xRowTiles)], default, 2);

        for (int r = 0; r < m; r++)
        {
            for (int c = 0; c < n; c++)
            {
                double sum = bias[c], magnitude = 1;
                for (int i = 0; i < k; i++)
                {
                    double product = (double)x[r, i] * weight[(c * k) + i];
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                double expected = activation switch
                {
                    Activation.Relu => Math.Max(0, sum),
                    Activation.Gelu => ReferenceGelu(sum),
                    Activation.Swish => sum / (1 + Math.Exp(-sum)),
                    Activation.Sigmoid => 1 / (1 + Math.Exp(-sum)),
                    Activation.Tanh => Math.Tanh(sum),
                    Activation.Softplus => sum > 20 ? sum : Math.Log(1 + Math.Exp(sum)),
                    Activation.None => sum,
                    _ => throw new ArgumentOutOfRangeException(nameof(activation)),
                };
                if (residual)
                    expected += added[r, c];
                Assert.That(y[r, c], Is.EqualTo(expected).Within(((1e-7 * Math.Sqrt(k)) + 5e-7) * magnitude), $"row {r}, column {c}");
            }
        }

        y.AssertNothingWrittenOutside();
    }

    [Test]
    public void A_gate_scales_the_columns_of_each_picture([Values(1, 3)] int images, [Values(1, 7, 50)] int rows, [Values(1, 24, 33)] int n, [Values(5, 64, 1100)] int k)
    {
        int m = images * rows;
        Random random = new(m + n + k);
        (float[] weight, float[] bias) = Parameters(random, n, k);
        using MemoryPool memory = new();
        PackedWeights packed = Packing.Pack(memory, weight, n, k, bias);
        using GuardedMatrix x = GuardedMatrix.Random(random, m, k);
        using GuardedMatrix gate = GuardedMatrix.Random(random, images, k);
        using GuardedMatrix added = GuardedMatrix.Random(random, m, n, stride: n + 5);
        using GuardedMatrix y = new(m, n, stride: n + 2);

        WorkerTeam.Shared.RunAll([new LinearStep(m, packed, x.Ref, y.Ref, residual: added.Ref, xRowTiles: false, gate: gate.Ref, images: images)], default, 2);

        for (int r = 0; r < m; r++)
        {
            for (int c = 0; c < n; c++)
            {
                double sum = bias[c] + (double)added[r, c], magnitude = 1;
                for (int i = 0; i < k; i++)
                {
                    double product = (double)x[r, i] * gate[r / rows, i] * weight[(c * k) + i];
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                Assert.That(y[r, c], Is.EqualTo(sum).Within(((1e-7 * Math.Sqrt(k)) + 5e-7) * magnitude), $"row {r}, column {c}");
            }
        }

        y.AssertNothingWrittenOutside();
    }

    [Test]
    public void The_residual_may_be_the_output()
    {
        const int M = 49, N = 65, K = 24;
        Random random = new(1);
        (float[] weight, float[] bias) = Parameters(random, N, K);
        using MemoryPool memory = new();
        PackedWeights packed = Packing.Pack(memory, weight, N, K, bias);
        using GuardedMatrix x = GuardedMatrix.Random(random, M, K, rowTiles: true);
        using GuardedMatrix apart = GuardedMatrix.Random(new Random(2), M, N);
        using GuardedMatrix together = GuardedMatrix.Random(new Random(2), M, N);
        using GuardedMatrix y = new(M, N);
        WorkerTeam.Shared.RunAll([new LinearStep(M, packed, x.Ref, y.Ref, residual: apart.Ref)], default, 1);
        WorkerTeam.Shared.RunAll([new LinearStep(M, packed, x.Ref, together.Ref, residual: together.Ref)], default, 2);
        Assert.That(together.ToArray(), Is.EqualTo(y.ToArray()));
    }

    [Test]
    public void No_bias_is_a_bias_of_zero()
    {
        Random random = new(3);
        (float[] weight, _) = Parameters(random, 40, 20);
        using MemoryPool memory = new();
        PackedWeights without = Packing.Pack(memory, weight, 40, 20, default);
        PackedWeights zero = Packing.Pack(memory, weight, 40, 20, new float[40]);
        using GuardedMatrix x = GuardedMatrix.Random(random, 5, 20, rowTiles: true);
        using GuardedMatrix y = new(5, 40);
        using GuardedMatrix expected = new(5, 40);
        WorkerTeam.Shared.RunAll([new LinearStep(5, without, x.Ref, y.Ref), new LinearStep(5, zero, x.Ref, expected.Ref)], default, 1);
        Assert.That(y.ToArray(), Is.EqualTo(expected.ToArray()));
    }

    [Test]
    public void Bits_depend_neither_on_threads_nor_on_the_row_nor_on_the_number_of_rows(
        [Values(300, 2500)] int k, [Values(Activation.None, Activation.Relu, Activation.Gelu)] Activation activation, [Values] bool residual)
    {
        const int N = 100;
        Random random = new(4);
        (float[] weight, float[] bias) = Parameters(random, N, k);
        using MemoryPool memory = new();
        PackedWeights packed = Packing.Pack(memory, weight, N, k, bias);
        using GuardedMatrix row = GuardedMatrix.Random(random, 1, k), addend = GuardedMatrix.Random(random, 1, N);
        float[]? expected = null;
        foreach (int m in new[] { 1, 12, 63, 500 })
        {
            using GuardedMatrix x = new(m, k, rowTiles: true), added = new(m, N);
            for (int r = 0; r < m; r++)
            {
                for (int i = 0; i < k; i++)
                    x[r, i] = row[0, i];
                for (int i = 0; i < N; i++)
                    added[r, i] = addend[0, i];
            }

            for (int threads = 1; threads <= 4; threads++)
            {
                using GuardedMatrix y = new(m, N);
                LinearStep step = new(m, packed, x.Ref, y.Ref, activation: activation, residual: residual ? added.Ref : null, threads: threads);
                WorkerTeam.Shared.RunAll([step], default, threads);
                float[] all = y.ToArray();
                expected ??= all;
                for (int r = 0; r < m; r++)
                    Assert.That(all.AsSpan(r * N, N).SequenceEqual(expected.AsSpan(0, N)), $"row {r} of {m}, {threads} threads");
            }
        }
    }

    private static (float[] Weight, float[] Bias) Parameters(Random random, int n, int k) =>
        ([.. Enumerable.Range(0, n * k).Select(_ => random.NextSingle() - 0.5f)], [.. Enumerable.Range(0, n).Select(_ => random.NextSingle() - 0.5f)]);

    /// <summary>x·Φ(x), with Φ integrated by Simpson's rule from 0.</summary>
    private static double ReferenceGelu(double x)
    {
        if (Math.Abs(x) > 9)
            return Math.Max(0, x);
        const int Intervals = 200;
        double step = x / Intervals, sum = 0;
        for (int i = 0; i < Intervals; i++)
        {
            double t = i * step;
            sum += step / 6 * (Density(t) + (4 * Density(t + (step / 2))) + Density(t + step));
        }

        return x * (0.5 + sum);

        static double Density(double t) => Math.Exp(-t * t / 2) / Math.Sqrt(2 * Math.PI);
    }
}
