using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Fused attention against float64, in float32 and on tensor cores.</summary>
[TestFixture("sm_75", StorageType.Float)]
[TestFixture("sm_75", StorageType.Half)]
[TestFixture("sm_80", StorageType.Float)]
[TestFixture("sm_80", StorageType.Half)]
[TestFixture("sm_80", StorageType.Tf32)]
internal sealed class AttentionTests(string architecture, StorageType operands)
{
    private readonly StorageType _operands = operands;

    [TestCase(1, 1)]
    [TestCase(3, 1)]
    [TestCase(1, 3)]
    [TestCase(17, 17)]
    [TestCase(49, 49)]
    [TestCase(63, 64)]
    [TestCase(64, 63)]
    [TestCase(65, 65)]
    [TestCase(17, 257)]
    [TestCase(257, 17)]
    public void Any_number_of_queries_attends_to_any_number_of_keys(int queries, int keys) =>
        Check(new Problem { Queries = queries, Keys = keys, Heads = 2, KeyWidth = 32, ValueWidth = 32 });

    [TestCase(1, 1)]
    [TestCase(4, 4)]
    [TestCase(5, 3)]
    [TestCase(8, 8)]
    [TestCase(16, 24)]
    [TestCase(24, 16)]
    [TestCase(32, 64)]
    [TestCase(33, 7)]
    [TestCase(64, 32)]
    [TestCase(64, 64)]
    [TestCase(80, 80)]
    [TestCase(128, 40)]
    [TestCase(20, 128)]
    [TestCase(128, 128)]
    public void Heads_have_any_width(int keyWidth, int valueWidth) =>
        Check(new Problem { Queries = 19, Keys = 70, Heads = 3, KeyWidth = keyWidth, ValueWidth = valueWidth });

    [TestCase(32)]
    [TestCase(64)]
    public void Operands_may_be_columns_of_one_matrix_and_batches_its_rows(int width) =>
        Check(new Problem { Batch = 3, Queries = 21, Keys = 21, Heads = 2, KeyWidth = width, ValueWidth = width, Joined = true });

    [TestCase(StorageType.Float)]
    [TestCase(StorageType.Tf32)]
    [TestCase(StorageType.Half)]
    public void The_result_has_the_type_that_its_reader_wants(StorageType type)
    {
        Check(new Problem { Queries = 18, Keys = 40, Heads = 2, KeyWidth = 16, ValueWidth = 32, Type = type });
        Check(new Problem { Queries = 18, Keys = 40, Heads = 2, KeyWidth = 16, ValueWidth = 31, Type = type });
    }

    [TestCase(1, 1, 0, 0)]
    [TestCase(1, 9, 0, 2)]
    [TestCase(9, 1, 2, 0)]
    [TestCase(5, 5, 1, 1)]
    [TestCase(5, 9, 1, 3)]
    [TestCase(9, 5, 0, 1)]
    [TestCase(14, 14, 3, 3)]
    [TestCase(12, 25, 1, 30)]
    public void A_query_sees_its_neighbours_only_or_all_the_others(int rows, int columns, int rowRadius, int columnRadius)
    {
        Problem problem = new()
        {
            Queries = rows * columns,
            Keys = rows * columns,
            Heads = 1,
            KeyWidth = 32,
            ValueWidth = 32,
            GridWidth = columns,
            RowRadius = rowRadius,
            ColumnRadius = columnRadius,
        };
        Check(problem with { Mask = AttentionMask.Neighbours });
        Check(problem with { Mask = AttentionMask.Others });
    }

    [Test]
    public void Masks_work_with_wide_heads() => Check(new Problem
    {
        Queries = 77,
        Keys = 77,
        Heads = 2,
        KeyWidth = 72,
        ValueWidth = 48,
        Mask = AttentionMask.Others,
        GridWidth = 11,
        RowRadius = 2,
        ColumnRadius = 1,
    });

    [Test]
    public void Large_logits_neither_overflow_nor_lose_their_differences()
    {
        // Logits of ±80 and more: e⁸⁰ alone would be in range in float32, its sums with e⁻⁸⁰ and the half weights would not.
        Problem problem = new() { Queries = 33, Keys = 130, Heads = 1, KeyWidth = 64, ValueWidth = 32 };
        float[] q = Fill(problem.Queries * 64, 1, 3), k = Fill(problem.Keys * 64, 2, 3), v = Fill(problem.Keys * 32, 3, 1);
        Check(problem with { Scale = 1 }, q, k, v);
    }

    [Test]
    public void A_weight_of_zero_hides_an_outlier()
    {
        Problem problem = new() { Queries = 20, Keys = 90, Heads = 1, KeyWidth = 32, ValueWidth = 32 };
        float[] q = Fill(problem.Queries * 32, 4, 1), k = Fill(problem.Keys * 32, 5, 1), v = Fill(problem.Keys * 32, 6, 1);
        for (int i = 0; i < problem.Queries; i++)
        {
            q[i * 32] = 100;
        }

        k[70 * 32] = -100;
        v.AsSpan(70 * 32, 32).Fill(30000);
        Check(problem, q, k, v);
    }

    [Test]
    public void NaN_reaches_what_depends_on_it_and_nothing_else()
    {
        const int Queries = 40, Keys = 70, Width = 32;
        Problem problem = new() { Queries = Queries, Keys = Keys, Heads = 2, KeyWidth = Width, ValueWidth = Width };
        float[] q = Fill(Queries * 2 * Width, 7, 1), k = Fill(Keys * 2 * Width, 8, 1), v = Fill(Keys * 2 * Width, 9, 1);
        q[(17 * 2 * Width) + 3] = float.NaN;
        v[(69 * 2 * Width) + Width + 5] = float.NaN;
        float[] o = Run(problem, q, k, v);
        for (int i = 0; i < o.Length; i++)
        {
            int query = i / (2 * Width), column = i % (2 * Width);
            bool expected = (query == 17 && column < Width) || column == Width + 5;
            Assert.That(float.IsNaN(o[i]), Is.EqualTo(expected), $"query {query}, column {column}");
        }
    }

    [Test]
    public void A_NaN_key_makes_all_of_its_head_NaN()
    {
        Problem problem = new() { Queries = 5, Keys = 70, Heads = 1, KeyWidth = 32, ValueWidth = 32 };
        float[] k = Fill(70 * 32, 11, 1);
        k[(69 * 32) + 31] = float.NaN;
        Assert.That(Run(problem, Fill(5 * 32, 10, 1), k, Fill(70 * 32, 12, 1)), Is.All.NaN);
    }

    [Test]
    public void A_query_that_sees_nothing_is_NaN_and_the_others_are_not()
    {
        Problem problem = new() { Queries = 9, Keys = 9, Heads = 1, KeyWidth = 32, ValueWidth = 32, Mask = AttentionMask.Others, GridWidth = 3, RowRadius = 1, ColumnRadius = 1 };
        float[] o = Run(problem, Fill(9 * 32, 1, 1), Fill(9 * 32, 2, 1), Fill(9 * 32, 3, 1));
        Assert.That(Enumerable.Range(0, o.Length).Where(i => float.IsNaN(o[i])), Is.EqualTo(Enumerable.Range(4 * 32, 32)));
    }

    [TestCase(32, 32)]
    [TestCase(32, 64)]
    [TestCase(64, 64)]
    [TestCase(128, 128)]
    public void Shared_memory_meets_no_bank_conflict_and_global_memory_is_read_in_whole_sectors(int keyWidth, int valueWidth)
    {
        const int Queries = 64, Keys = 192, SectorBytes = 32;
        Problem problem = new() { Queries = Queries, Keys = Keys, Heads = 1, KeyWidth = keyWidth, ValueWidth = valueWidth };
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        Run(bench, problem, Fill(Queries * keyWidth, 1, 1), Fill(Keys * keyWidth, 2, 1), Fill(Keys * valueWidth, 3, 1));
        LaunchCounters counters = bench.Counters;
        int tiles = _operands == StorageType.Float && keyWidth > 64 ? 2 : 1;
        long bytes = ((Queries * keyWidth) + (tiles * Keys * (keyWidth + valueWidth))) * DeviceArray.ElementBytes(_operands);
        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.SharedLoadConflicts], Is.Zero, "shared loads");
            Assert.That(counters[CounterNames.SharedStoreConflicts], Is.Zero, "shared stores");
            Assert.That(counters[CounterNames.GlobalLoadSectors] * SectorBytes, Is.EqualTo(bytes));
        });
    }

    /// <summary>Values that the operands' type holds exactly, roughly normal.</summary>
    private float[] Fill(int count, int seed, float scale) => [.. TestData.Values(count, seed, scale, outliers: false).Select(x => Rounding.To(_operands, x))];

    private void Check(Problem problem)
    {
        int keyColumns = problem.Heads * problem.KeyWidth, valueColumns = problem.Heads * problem.ValueWidth;
        Check(
            problem,
            Fill(problem.Batch * problem.Queries * keyColumns, 1, 1),
            Fill(problem.Batch * problem.Keys * keyColumns, 2, 1),
            Fill(problem.Batch * problem.Keys * valueColumns, 3, 1));
    }

    private void Check(Problem problem, float[] q, float[] k, float[] v)
    {
        float[] actual = Run(problem, q, k, v);
        (double[] expected, double[] tolerance) = Reference(problem, q, k, v);
        for (int i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= tolerance[i]) && !(float.IsNaN(actual[i]) && double.IsNaN(expected[i])))
            {
                Assert.Fail($"element {i}: {actual[i]:R}, expected {expected[i]:R} ± {tolerance[i]:E1}; {problem}");
            }
        }
    }

    private float[] Run(Problem problem, float[] q, float[] k, float[] v)
    {
        using DeviceBench bench = new(architecture);
        return Run(bench, problem, q, k, v);
    }

    /// <summary>Runs the kernel that the launch rules choose; rows of the result are three elements apart, which nobody may touch.</summary>
    private float[] Run(DeviceBench bench, Problem problem, float[] q, float[] k, float[] v)
    {
        int keyColumns = problem.Heads * problem.KeyWidth, valueColumns = problem.Heads * problem.ValueWidth;
        int size = DeviceArray.ElementBytes(_operands), outputGap = problem.IsAligned(size) ? 4 : 3;
        DeviceArray first, second, third;
        int qOffset = 0, kOffset = 0, vOffset = 0, keyStride = keyColumns, valueStride = valueColumns;
        if (problem.Joined)
        {
            float[] joined = new float[problem.Batch * problem.Keys * ((2 * keyColumns) + valueColumns)];
            kOffset = keyColumns;
            vOffset = 2 * keyColumns;
            keyStride = valueStride = (2 * keyColumns) + valueColumns;
            for (int row = 0; row < problem.Batch * problem.Keys; row++)
            {
                q.AsSpan(row * keyColumns, keyColumns).CopyTo(joined.AsSpan(row * keyStride));
                k.AsSpan(row * keyColumns, keyColumns).CopyTo(joined.AsSpan((row * keyStride) + kOffset));
                v.AsSpan(row * valueColumns, valueColumns).CopyTo(joined.AsSpan((row * keyStride) + vOffset));
            }

            first = second = third = bench.Place(joined, _operands);
        }
        else
        {
            first = bench.Place(q, _operands);
            second = bench.Place(k, _operands);
            third = bench.Place(v, _operands);
        }

        int outputStride = valueColumns + outputGap;
        DeviceArray o = bench.Poisoned(problem.Batch * problem.Queries * outputStride, problem.Type);
        AttentionArguments arguments = new()
        {
            Q = first.At(qOffset),
            K = second.At(kOffset),
            V = third.At(vOffset),
            O = o.Address,
            QBatch = (long)problem.Queries * keyStride,
            KBatch = (long)problem.Keys * keyStride,
            VBatch = (long)problem.Keys * valueStride,
            OBatch = (long)problem.Queries * outputStride,
            QStride = keyStride,
            KStride = keyStride,
            VStride = valueStride,
            OStride = outputStride,
            Queries = problem.Queries,
            Keys = problem.Keys,
            KeyWidth = problem.KeyWidth,
            ValueWidth = problem.ValueWidth,
            Scale = problem.Factor,
            Type = problem.Type,
            Vectors = problem.IsAligned(size) ? 1 : 0,
            Mask = problem.Mask,
            GridWidth = Divisor.Of(Math.Max(1, problem.GridWidth)),
            RowRadius = problem.RowRadius,
            ColumnRadius = problem.ColumnRadius,
        };
        string kernel = AttentionLaunch.Kernel(_operands, arguments);
        int queriesPerBlock = KernelText.Definition(kernel).Threads / 32 * AttentionLaunch.WarpQueries;
        bench.Run(kernel, new LaunchSize((problem.Queries + queriesPerBlock - 1) / queriesPerBlock, problem.Heads, problem.Batch), arguments);

        float[] padded = bench.Read(o), result = new float[problem.Batch * problem.Queries * valueColumns];
        for (int row = 0; row < problem.Batch * problem.Queries; row++)
        {
            Span<float> stored = padded.AsSpan(row * outputStride, outputStride);
            stored[..valueColumns].CopyTo(result.AsSpan(row * valueColumns));
            Assert.That(stored[valueColumns..].ToArray(), Is.All.NaN, "between the rows");
        }

        return result;
    }

    /// <summary>
    /// Attention in float64, mask materialised, with the error that the kernel may have. It multiplies exactly rounded operands; left are float32 sums (ε per logit,
    /// worth its size in the weights) and, on tensor cores, weights rounded to 11 bits, each of its own size.
    /// </summary>
    private (double[] Result, double[] Tolerance) Reference(Problem p, float[] q, float[] k, float[] v)
    {
        double[] result = new double[p.Batch * p.Queries * p.Heads * p.ValueWidth], tolerance = new double[result.Length], logits = new double[p.Keys];
        for (int row = 0; row < p.Batch * p.Queries; row++)
        {
            int query = row % p.Queries, firstKey = row / p.Queries * p.Keys;
            for (int head = 0; head < p.Heads; head++)
            {
                double logitError = 0;
                for (int key = 0; key < p.Keys; key++)
                {
                    double sum = 0, size = 0;
                    for (int i = 0; i < p.KeyWidth; i++)
                    {
                        double product = (double)q[(((row * p.Heads) + head) * p.KeyWidth) + i] * k[((((firstKey + key) * p.Heads) + head) * p.KeyWidth) + i];
                        sum += product;
                        size += Math.Abs(product);
                    }

                    logits[key] = p.Sees(query, key) ? sum * p.Factor : double.NegativeInfinity;
                    logitError = Math.Max(logitError, size * p.Factor * Math.ScaleB(1, -23));
                }

                double highest = logits.Max(), total = logits.Sum(s => Math.Exp(s - highest));
                for (int column = 0; column < p.ValueWidth; column++)
                {
                    double sum = 0, size = 0, values = 0;
                    for (int key = 0; key < p.Keys; key++)
                    {
                        double value = v[((((firstKey + key) * p.Heads) + head) * p.ValueWidth) + column], term = Math.Exp(logits[key] - highest) / total * value;
                        sum += term;
                        size += Math.Abs(term);
                        values += Math.Abs(value);
                    }

                    int index = (((row * p.Heads) + head) * p.ValueWidth) + column;
                    result[index] = sum;
                    // Half weights below 2⁻¹⁴ are rounded to multiples of 2⁻²⁴.
                    double weightError = Rounding.Unit(_operands) + (2 * logitError) + 2e-6;
                    double underflow = _operands == StorageType.Half ? Math.ScaleB(values, -25) : 0;
                    tolerance[index] = (size * weightError) + underflow + (Math.Abs(sum) * Rounding.Unit(p.Type)) + (p.Type == StorageType.Half ? Math.ScaleB(1, -25) : 0);
                }
            }
        }

        return (result, tolerance);
    }

    private sealed record Problem
    {
        public int Batch { get; init; } = 1;

        public required int Queries { get; init; }

        public required int Keys { get; init; }

        public required int Heads { get; init; }

        public required int KeyWidth { get; init; }

        public required int ValueWidth { get; init; }

        public float Scale { get; init; }

        public bool Joined { get; init; }

        public StorageType Type { get; init; }

        public AttentionMask Mask { get; init; }

        public int GridWidth { get; init; }

        public int RowRadius { get; init; }

        public int ColumnRadius { get; init; }

        public float Factor => Scale != 0 ? Scale : 1 / MathF.Sqrt(KeyWidth);

        public bool IsAligned(int elementBytes) => KeyWidth * elementBytes % 16 == 0 && ValueWidth * elementBytes % 16 == 0 && ValueWidth % 4 == 0;

        public bool Sees(int query, int key)
        {
            if (Mask == AttentionMask.None)
            {
                return true;
            }

            int rows = Math.Abs((query / GridWidth) - (key / GridWidth)), columns = Math.Abs((query % GridWidth) - (key % GridWidth));
            return (rows <= RowRadius && columns <= ColumnRadius) == (Mask == AttentionMask.Neighbours);
        }
    }
}
