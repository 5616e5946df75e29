using KernelAD.Emulator;

namespace KernelAD.Kernels.Tests;

/// <summary>Fused attention against float64, in float32 and on tensor cores.</summary>
[TestFixture("sm_75", StorageType.Float)]
[TestFixture("sm_75", StorageType.Half)]
[TestFixture("sm_80", StorageType.Float)]
[TestFixture("sm_80", StorageType.Half)]
[TestFixture("sm_80", StorageType.Tf32)]
internal sealed class AttentionTests(string architecture, StorageType operands)
{
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
        Check(new AttentionProblem { Queries = queries, Keys = keys, Heads = 2, KeyWidth = 32, ValueWidth = 32 });

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
        Check(new AttentionProblem { Queries = 19, Keys = 70, Heads = 3, KeyWidth = keyWidth, ValueWidth = valueWidth });

    [TestCase(32)]
    [TestCase(64)]
    public void Operands_may_be_columns_of_one_matrix_and_batches_its_rows(int width) =>
        Check(new AttentionProblem { Batch = 3, Queries = 21, Keys = 21, Heads = 2, KeyWidth = width, ValueWidth = width, Joined = true });

    [TestCase(StorageType.Float)]
    [TestCase(StorageType.Tf32)]
    [TestCase(StorageType.Half)]
    public void The_result_has_the_type_that_its_reader_wants(StorageType type)
    {
        Check(new AttentionProblem { Queries = 18, Keys = 40, Heads = 2, KeyWidth = 16, ValueWidth = 32, Type = type });
        Check(new AttentionProblem { Queries = 18, Keys = 40, Heads = 2, KeyWidth = 16, ValueWidth = 31, Type = type });
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
        AttentionProblem problem = new()
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
    public void Masks_work_with_wide_heads() => Check(new AttentionProblem
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
        AttentionProblem problem = new() { Queries = 33, Keys = 130, Heads = 1, KeyWidth = 64, ValueWidth = 32 };
        float[] q = Fill(problem.Queries * 64, 1, 3), k = Fill(problem.Keys * 64, 2, 3), v = Fill(problem.Keys * 32, 3, 1);
        Check(problem with { Scale = 1 }, q, k, v);
    }

    [TestCase(1e-5f)]
    [TestCase(0.3f)]
    [TestCase(8f)]
    public void Logits_of_billions_leave_the_weight_to_the_largest(float scale)
    {
        using DeviceBench bench = new(architecture);
        Assert.That(KernelCases.AttentionToTheLargest(operands, scale)(bench), Is.Null);
    }

    [Test]
    public void A_weight_of_zero_hides_an_outlier()
    {
        AttentionProblem problem = new() { Queries = 20, Keys = 90, Heads = 1, KeyWidth = 32, ValueWidth = 32 };
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
        AttentionProblem problem = new() { Queries = Queries, Keys = Keys, Heads = 2, KeyWidth = Width, ValueWidth = Width };
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
        AttentionProblem problem = new() { Queries = 5, Keys = 70, Heads = 1, KeyWidth = 32, ValueWidth = 32 };
        float[] k = Fill(70 * 32, 11, 1);
        k[(69 * 32) + 31] = float.NaN;
        Assert.That(Run(problem, Fill(5 * 32, 10, 1), k, Fill(70 * 32, 12, 1)), Is.All.NaN);
    }

    [Test]
    public void A_query_that_sees_nothing_is_NaN_and_the_others_are_not()
    {
        AttentionProblem problem = new() { Queries = 9, Keys = 9, Heads = 1, KeyWidth = 32, ValueWidth = 32, Mask = AttentionMask.Others, GridWidth = 3, RowRadius = 1, ColumnRadius = 1 };
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
        AttentionProblem problem = new() { Queries = Queries, Keys = Keys, Heads = 1, KeyWidth = keyWidth, ValueWidth = valueWidth };
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        float[] q = Fill(Queries * keyWidth, 1, 1), k = Fill(Keys * keyWidth, 2, 1), v = Fill(Keys * valueWidth, 3, 1);
        (problem with { Operands = operands }).Run(bench, q, k, v);
        LaunchCounters counters = bench.Counters;
        int tiles = operands == StorageType.Float && keyWidth > 64 ? 2 : 1;
        long bytes = ((Queries * keyWidth) + (tiles * Keys * (keyWidth + valueWidth))) * DeviceArray.ElementBytes(operands);
        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.SharedLoadConflicts], Is.Zero, "shared loads");
            Assert.That(counters[CounterNames.SharedStoreConflicts], Is.Zero, "shared stores");
            Assert.That(counters[CounterNames.GlobalLoadSectors] * SectorBytes, Is.EqualTo(bytes));
        });
    }

    private float[] Fill(int count, int seed, float scale) => [.. TestData.Values(count, seed, scale, outliers: false).Select(x => Rounding.To(operands, x))];

    private void Check(AttentionProblem problem)
    {
        using DeviceBench bench = new(architecture);
        Assert.That((problem with { Operands = operands }).Deviation(bench), Is.Null);
    }

    private void Check(AttentionProblem problem, float[] q, float[] k, float[] v)
    {
        using DeviceBench bench = new(architecture);
        Assert.That((problem with { Operands = operands }).Deviation(bench, q, k, v), Is.Null);
    }

    private float[] Run(AttentionProblem problem, float[] q, float[] k, float[] v)
    {
        using DeviceBench bench = new(architecture);
        return (problem with { Operands = operands }).Run(bench, q, k, v);
    }
}
