using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

public sealed unsafe class AttentionStepTests
{
    private static readonly int[][] Shapes =
    [
        [1, 1, 1, 1, 8, 8],
        [2, 3, 5, 2, 9, 7],
        [3, 49, 49, 2, 32, 64],
        [1, 63, 17, 3, 17, 33],
        [1, 257, 257, 2, 64, 64],
        [1, 5, 1100, 1, 16, 24],
        [1, 700, 40, 1, 128, 128],
        [2, 13, 700, 1, 20, 12],
    ];

    [Test]
    public void Equals_the_reference([ValueSource(nameof(Shapes))] int[] extents, [Values] bool rowTiles, [Values(1f, 30f)] float scale)
    {
        AttentionShape shape = new(extents[0], extents[1], extents[2], extents[3], extents[4], extents[5]);
        using Case data = new(shape, rowTiles, scale, seed: 1);
        data.Run(threads: 2);
        data.AssertEqualsReference(tolerance: 4e-6 * scale);
        data.Y.AssertNothingWrittenOutside();
    }

    [Test]
    public void Logits_of_ten_thousand_saturate_without_nan([Values(40, 1100)] int keys)
    {
        using Case data = new(new AttentionShape(1, 20, keys, 1, 8, 8), rowTiles: false, scale: 1, seed: 3);
        for (int key = 0; key < keys; key++)
        {
            for (int i = 0; i < 8; i++)
                data.K[key, i] = (key == keys / 3 ? 1250 : -1250) + (key % 7);
        }

        for (int query = 0; query < 20; query++)
        {
            for (int i = 0; i < 8; i++)
                data.Q[query, i] = query % 2 == 0 ? 1 : -1;
        }

        data.Run(threads: 1);
        data.AssertEqualsReference(tolerance: 1e-2);
    }

    [Test]
    public void Operands_may_be_columns_of_one_matrix()
    {
        AttentionShape shape = new(2, 17, 17, 3, 16, 24);
        const int Stride = (3 * (16 + 16 + 24)) + 1;
        using GuardedMatrix fused = GuardedMatrix.Random(new Random(4), 34, Stride);
        using Case data = new(shape, rowTiles: false, scale: 0.25f, seed: 5);
        for (int row = 0; row < 34; row++)
        {
            for (int i = 0; i < 48; i++)
                (data.Q[row, i], data.K[row, i]) = (fused[row, i], fused[row, 48 + i]);
            for (int i = 0; i < 72; i++)
                data.V[row, i] = fused[row, 96 + i];
        }

        data.Run(threads: 2);
        using GuardedMatrix y = new(34, 72, stride: 80);
        AttentionStep step = new(shape, 0.25f, fused.Ref, fused.Ref.Shift(48), fused.Ref.Shift(96), y.Ref);
        WorkerTeam.Shared.RunAll([step], default, 2);
        Assert.That(y.ToArray(), Is.EqualTo(data.Y.ToArray()));
        y.AssertNothingWrittenOutside();
    }

    [Test]
    public void Bits_depend_neither_on_threads_nor_on_the_place_in_the_batch_nor_on_the_number_of_queries([Values(49, 600)] int keys)
    {
        AttentionShape shape = new(3, 49, keys, 2, 16, 16);
        using Case data = new(shape, rowTiles: false, scale: 1, seed: 6);
        foreach (GuardedMatrix matrix in new[] { data.K, data.V })
        {
            for (int row = keys; row < 3 * keys; row++)
            {
                for (int i = 0; i < 32; i++)
                    matrix[row, i] = matrix[row % keys, i];
            }
        }

        for (int row = 1; row < 3 * 49; row++)
        {
            for (int i = 0; i < 32; i++)
                data.Q[row, i] = data.Q[0, i];
        }

        float[]? expected = null;
        for (int threads = 1; threads <= 4; threads++)
        {
            data.Run(threads);
            float[] all = data.Y.ToArray();
            expected ??= all[..32];
            for (int row = 0; row < 3 * 49; row++)
                Assert.That(all.AsSpan(row * 32, 32).SequenceEqual(expected), $"row {row}, {threads} threads");
        }

        using GuardedMatrix single = new(1, 32);
        WorkerTeam.Shared.RunAll([new AttentionStep(shape with { Batch = 1, Queries = 1 }, 1, data.Q.Ref, data.K.Ref, data.V.Ref, single.Ref)], default, 1);
        Assert.That(single.ToArray(), Is.EqualTo(expected));
    }

    private sealed class Case : IDisposable
    {
        private readonly AttentionShape _shape;
        private readonly float _scale;
        private readonly AttentionStep _step;

        public Case(AttentionShape shape, bool rowTiles, float scale, int seed)
        {
            Random random = new(seed);
            _shape = shape;
            _scale = scale;
            Q = GuardedMatrix.Random(random, shape.Batch * shape.Queries, shape.Heads * shape.KeyWidth, stride: (shape.Heads * shape.KeyWidth) + 3);
            K = GuardedMatrix.Random(random, shape.Batch * shape.Keys, shape.Heads * shape.KeyWidth);
            V = GuardedMatrix.Random(random, shape.Batch * shape.Keys, shape.Heads * shape.ValueWidth, stride: (shape.Heads * shape.ValueWidth) + 1);
            Y = new GuardedMatrix(shape.Batch * shape.Queries, shape.Heads * shape.ValueWidth, rowTiles);
            _step = new AttentionStep(shape, scale, Q.Ref, K.Ref, V.Ref, Y.Ref, rowTiles);
        }

        public GuardedMatrix Q { get; }

        public GuardedMatrix K { get; }

        public GuardedMatrix V { get; }

        public GuardedMatrix Y { get; }

        public void Run(int threads) => WorkerTeam.Shared.RunAll([_step], default, threads);

        public void AssertEqualsReference(double tolerance)
        {
            double[] logits = new double[_shape.Keys];
            for (int b = 0; b < _shape.Batch; b++)
            {
                for (int h = 0; h < _shape.Heads; h++)
                {
                    for (int query = b * _shape.Queries; query < (b + 1) * _shape.Queries; query++)
                    {
                        for (int key = 0; key < logits.Length; key++)
                        {
                            logits[key] = 0;
                            for (int i = h * _shape.KeyWidth; i < (h + 1) * _shape.KeyWidth; i++)
                                logits[key] += (double)_scale * Q[query, i] * K[(b * _shape.Keys) + key, i];
                        }

                        double maximum = logits.Max();
                        double sum = logits.Sum(s => Math.Exp(s - maximum));
                        for (int i = h * _shape.ValueWidth; i < (h + 1) * _shape.ValueWidth; i++)
                        {
                            double expected = 0;
                            for (int key = 0; key < logits.Length; key++)
                                expected += Math.Exp(logits[key] - maximum) / sum * V[(b * _shape.Keys) + key, i];
                            Assert.That(Y[query, i], Is.EqualTo(expected).Within(tolerance), $"query {query}, column {i}");
                        }
                    }
                }
            }
        }

        public void Dispose()
        {
            Q.Dispose();
            K.Dispose();
            V.Dispose();
            Y.Dispose();
        }
    }
}
