using KernelAD.Backends.Cpu;
using KernelAD.Graph;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
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
    public void Large_logits_saturate_without_nan([Values(40, 1100)] int keys, [Values(1250, 2_000_000)] int size)
    {
        using Case data = new(new AttentionShape(1, 20, keys, 1, 8, 8), rowTiles: false, scale: 1, seed: 3);
        for (int key = 0; key < keys; key++)
        {
            for (int i = 0; i < 8; i++)
                data.K[key, i] = (key == keys / 3 ? size : -size) + (key % 7);
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
        const int Queries = 205;
        AttentionShape shape = new(3, Queries, keys, 2, 16, 16);
        using Case data = new(shape, rowTiles: false, scale: 1, seed: 6);
        foreach (GuardedMatrix matrix in new[] { data.K, data.V })
        {
            for (int row = keys; row < 3 * keys; row++)
            {
                for (int i = 0; i < 32; i++)
                    matrix[row, i] = matrix[row % keys, i];
            }
        }

        for (int row = 1; row < 3 * Queries; row++)
        {
            for (int i = 0; i < 32; i++)
                data.Q[row, i] = data.Q[0, i];
        }

        float[]? expected = null;
        for (int threads = 1; threads <= 4; threads++)
        {
            WorkerTeam.Shared.RunAll([new AttentionStep(shape, 1, data.Q.Ref, data.K.Ref, data.V.Ref, data.Y.Ref, threads: threads)], default, threads);
            float[] all = data.Y.ToArray();
            expected ??= all[..32];
            for (int row = 0; row < 3 * Queries; row++)
                Assert.That(all.AsSpan(row * 32, 32).SequenceEqual(expected), $"row {row}, {threads} threads");
        }

        using GuardedMatrix single = new(1, 32);
        WorkerTeam.Shared.RunAll([new AttentionStep(shape with { Batch = 1, Queries = 1 }, 1, data.Q.Ref, data.K.Ref, data.V.Ref, single.Ref)], default, 1);
        Assert.That(single.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void A_neighbour_mask_equals_a_materialised_one([Range(1, 9)] int height, [Range(1, 9)] int width)
    {
        for (int radiusY = 0; radiusY <= height / 2; radiusY++)
        {
            for (int radiusX = 0; radiusX <= width / 2; radiusX++)
            {
                NeighborMask mask = new(height, width, radiusY, radiusX);
                if (!mask.LeavesKeys)
                    continue;
                using Case data = new(new AttentionShape(1, height * width, height * width, 2, 8, 9), rowTiles: true, scale: 3, seed: width, mask);
                data.Run(threads: 1);
                data.AssertEqualsReference(tolerance: 1.2e-5);
            }
        }
    }

    [TestCase(14, 14, 3, 3)]
    [TestCase(40, 30, 12, 29)]
    [TestCase(64, 17, 1, 4)]
    [TestCase(9, 130, 0, 60)]
    [TestCase(30, 33, 14, 33, Description = "whole blocks of keys are hidden")]
    public void A_neighbour_mask_works_across_blocks_of_keys(int height, int width, int radiusY, int radiusX)
    {
        NeighborMask mask = new(height, width, radiusY, radiusX);
        using Case data = new(new AttentionShape(2, height * width, height * width, 1, 16, 16), rowTiles: false, scale: 1, seed: 7, mask);
        data.Run(threads: 2);
        data.AssertEqualsReference(tolerance: 4e-6);
        data.Y.AssertNothingWrittenOutside();
    }

    [Test]
    public void A_neighbour_mask_works_where_tiles_are_stored_at_once([Values(6, 1)] int radiusY, [Values(33, 2)] int radiusX, [Values] bool rowTiles)
    {
        // With radii of 6 and 33 the queries in the middle see two ranges of keys, with the others all blocks of keys are seen.
        NeighborMask mask = new(15, 33, radiusY, radiusX);
        using Case data = new(new AttentionShape(2, 15 * 33, 15 * 33, 2, 16, 64), rowTiles, scale: 1, seed: 8, mask);
        data.Run(threads: 2);
        data.AssertEqualsReference(tolerance: 4e-6);
        data.Y.AssertNothingWrittenOutside();
    }

    [Test]
    public void A_query_that_is_no_number_spoils_its_own_row_only([Values(float.NaN, float.PositiveInfinity)] float value)
    {
        using Case data = new(new AttentionShape(1, 12, 20, 1, 8, 64), rowTiles: false, scale: 1, seed: 9);
        for (int key = 0; key < 20; key++)
            data.K[key, 0] = 1;
        data.Q[3, 0] = value;
        data.Run(threads: 1);
        for (int query = 0; query < 12; query++)
        {
            for (int i = 0; i < 64; i++)
                Assert.That(float.IsNaN(data.Y[query, i]), Is.EqualTo(query == 3), $"query {query}");
        }
    }

    [TestCase(49, 49, 64, false)]
    [TestCase(49, 700, 64, false)]
    [TestCase(29, 40, 33, false)]
    [TestCase(195, 195, 64, true)]
    public void Stays_within_its_scratch_memory_and_allocates_nothing(int queries, int keys, int valueWidth, bool masked)
    {
        Random random = new(10);
        using StepRunner runner = new();
        StepRunner.Matrix q = Input(queries, 48), k = Input(keys, 48), v = Input(keys, 2 * valueWidth);
        StepRunner.Matrix rows = runner.Output(queries, 2 * valueWidth, padding: 3), tiles = runner.Output(1, (int)RowTiles.Size(queries, 2 * valueWidth));
        AttentionShape shape = new(1, queries, keys, 2, 24, valueWidth);
        NeighborMask? mask = masked ? new NeighborMask(15, 13, 2, 2) : null;
        foreach (int threads in new[] { 1, 3 })
        {
            runner.Run(new AttentionStep(shape, 0.3f, q.Ref, k.Ref, v.Ref, rows.Ref, yRowTiles: false, mask, threads));
            runner.Run(new AttentionStep(shape, 0.3f, q.Ref, k.Ref, v.Ref, tiles.Ref, yRowTiles: true, mask, threads));
        }

        float[] expected = runner.Read(rows), tiled = runner.Read(tiles);
        for (int i = 0; i < expected.Length; i++)
            Assert.That(tiled[RowTiles.Index(i / (2 * valueWidth), i % (2 * valueWidth), 2 * valueWidth)], Is.EqualTo(expected[i]));

        StepRunner.Matrix Input(int count, int width) => runner.Input([.. Enumerable.Range(0, count * width).Select(_ => random.NextSingle() - 0.5f)], width);
    }

    private sealed class Case : IDisposable
    {
        private readonly AttentionShape _shape;
        private readonly float _scale;
        private readonly AttentionStep _step;
        private readonly NeighborMask? _mask;

        public Case(AttentionShape shape, bool rowTiles, float scale, int seed, NeighborMask? mask = null)
        {
            Random random = new(seed);
            _shape = shape;
            _scale = scale;
            _mask = mask;
            Q = GuardedMatrix.Random(random, shape.Batch * shape.Queries, shape.Heads * shape.KeyWidth, stride: (shape.Heads * shape.KeyWidth) + 3);
            K = GuardedMatrix.Random(random, shape.Batch * shape.Keys, shape.Heads * shape.KeyWidth);
            V = GuardedMatrix.Random(random, shape.Batch * shape.Keys, shape.Heads * shape.ValueWidth, stride: (shape.Heads * shape.ValueWidth) + 1);
            Y = new GuardedMatrix(shape.Batch * shape.Queries, shape.Heads * shape.ValueWidth, rowTiles);
            _step = new AttentionStep(shape, scale, Q.Ref, K.Ref, V.Ref, Y.Ref, rowTiles, mask, threads: 2);
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
                            if (Hides(query - (b * _shape.Queries), key))
                            {
                                logits[key] = double.NegativeInfinity;
                                continue;
                            }

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

        private bool Hides(int query, int key) =>
            _mask is not null
            && Math.Abs((query / _mask.Width) - (key / _mask.Width)) <= _mask.RadiusY
            && Math.Abs((query % _mask.Width) - (key % _mask.Width)) <= _mask.RadiusX;

        public void Dispose()
        {
            Q.Dispose();
            K.Dispose();
            V.Dispose();
            Y.Dispose();
        }
    }
}
