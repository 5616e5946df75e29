using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Sums, means, maxima and softmax against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class ReductionTests(string architecture)
{
    [Test]
    public void Rows_are_added_up([Values(1, 3, 63, 257, 4099)] int length, [Values(1, ReduceArguments.BlockWarps)] int teamWarps)
    {
        float[] x = TestData.Values(9 * length, seed: length);
        double[] expected = [.. Enumerable.Range(0, 9).Select(r => x.Skip(r * length).Take(length).Average(v => (double)v))];
        double size = x.Average(Math.Abs);
        TestData.AssertClose(Rows(x, 9, length, ReduceOperation.Sum, 1f / length, teamWarps), expected, 1e-6 * size, 2e-7);
    }

    [Test]
    public void The_largest_of_a_row_is_found_wherever_it_is([Values(1, 40, 300)] int length, [Values(1, ReduceArguments.BlockWarps)] int teamWarps)
    {
        // Row i has its maximum at place i: every lane and every chain has it once.
        float[] x = [.. Enumerable.Range(0, length * length).Select(i => i / length == i % length ? -1f : -2 - (i % 7))];
        Assert.That(Rows(x, length, length, ReduceOperation.Max, 1, teamWarps), Has.All.EqualTo(-1f));
    }

    [Test]
    public void NaN_wins_wherever_it_is([Values(1, ReduceArguments.BlockWarps)] int teamWarps)
    {
        float[] x = [.. Enumerable.Range(0, 300 * 300).Select(i => i / 300 == i % 300 ? float.NaN : i % 5 == 0 ? float.PositiveInfinity : i % 11)];
        Assert.That(Rows(x, 300, 300, ReduceOperation.Max, 1, teamWarps), Has.All.NaN);
    }

    [TestCase(2, 10007, 512)]
    [TestCase(1, 65536, 4096)]
    [TestCase(3, 100, 33)]
    public void A_long_row_is_reduced_in_parts(int rows, int length, int partLength)
    {
        using DeviceBench bench = new(architecture);
        float[] x = TestData.Values(rows * length, seed: 3);
        int parts = (length + partLength - 1) / partLength;
        DeviceArray partial = bench.Unwritten(rows * parts), y = bench.Unwritten(rows);
        ReduceArguments arguments = RowReduction(rows, length, ReduceOperation.Max, 1, ReduceArguments.BlockWarps) with
        {
            X = bench.Place(x).Address,
            Y = partial.Address,
            Parts = Divisor.Of(parts),
            PartLength = partLength,
        };
        bench.Run("reduce_rows", RowGrid(arguments), arguments);
        arguments = RowReduction(rows, parts, ReduceOperation.Max, 1, 1) with { X = partial.Address, Y = y.Address };
        bench.Run("reduce_rows", RowGrid(arguments), arguments);
        Assert.That(bench.Read(y), Is.EqualTo(Enumerable.Range(0, rows).Select(r => x.AsSpan(r * length, length).ToArray().Max())));
    }

    [TestCase(5, 49, 64, 1, ReduceOperation.Sum)]
    [TestCase(1, 1, 1, 1, ReduceOperation.Sum)]
    [TestCase(2, 3, 257, 1, ReduceOperation.Sum)]
    [TestCase(3, 17, 63, 1, ReduceOperation.Max)]
    [TestCase(2, 257, 17, 9, ReduceOperation.Sum)]
    [TestCase(1, 63, 3, 4, ReduceOperation.Max)]
    [TestCase(2, 1000, 33, 7, ReduceOperation.Max)]
    [TestCase(1, 12544, 48, 112, ReduceOperation.Sum)]
    public void The_middle_extent_is_reduced(int outer, int length, int inner, int parts, ReduceOperation operation)
    {
        using DeviceBench bench = new(architecture);
        float[] x = TestData.Values(outer * length * inner, seed: inner);
        DeviceArray y = bench.Unwritten(outer * inner), workspace = bench.Unwritten(outer * parts * inner);
        bool sum = operation == ReduceOperation.Sum;
        int tiles = DeviceBench.Blocks(inner, ReduceArguments.Columns);
        ReduceArguments arguments = new()
        {
            X = bench.Place(x).Address,
            Y = workspace.Address,
            OuterStride = length * inner,
            Outer = outer,
            Length = length,
            Inner = inner,
            ColumnTiles = Divisor.Of(tiles),
            LengthStride = inner,
            Parts = Divisor.Of(parts),
            PartLength = DeviceBench.Blocks(length, parts),
            Operation = operation,
            Scale = 1,
        };
        bench.Run("reduce_columns", new LaunchSize(outer * parts * tiles), arguments);
        bench.Run("reduce_columns", new LaunchSize(outer * tiles), arguments with
        {
            X = workspace.Address,
            Y = y.Address,
            OuterStride = parts * inner,
            Length = parts,
            Parts = Divisor.Of(1),
            PartLength = parts,
            Scale = sum ? 1f / length : 1,
        });
        IEnumerable<double[]> columns = from o in Enumerable.Range(0, outer)
                                        from i in Enumerable.Range(0, inner)
                                        select Enumerable.Range(0, length).Select(k => (double)x[(((o * length) + k) * inner) + i]).ToArray();
        TestData.AssertClose(bench.Read(y), [.. columns.Select(c => sum ? c.Average() : c.Max())], 1e-6 * x.Average(Math.Abs), 2e-7);
    }

    [TestCase(1, 1, StorageType.Float)]
    [TestCase(5, 3, StorageType.Float)]
    [TestCase(4, 257, StorageType.Float)]
    [TestCase(2, 1000, StorageType.Half)]
    public void Softmax_of_rows(int rows, int width, StorageType type)
    {
        using DeviceBench bench = new(architecture);
        float[] x = TestData.Values(rows * width, seed: width, type);
        DeviceArray y = bench.Unwritten(rows * width);
        bench.Run("softmax", new LaunchSize(DeviceBench.Blocks(rows, RowArguments.RowsPerBlock)), new RowArguments
        {
            X = bench.Place(x, type).Address,
            Y = y.Address,
            Rows = rows,
            Width = width,
            XStride = width,
            YStride = width,
            XType = type,
        });
        double[] expected = [.. Enumerable.Range(0, rows).SelectMany(r => Softmax(x.AsSpan(r * width, width).ToArray()))];
        TestData.AssertClose(bench.Read(y), expected, 1e-9, 3e-6);
    }

    [TestCase(1, 1, StorageType.Float)]
    [TestCase(5, 3, StorageType.Float)]
    [TestCase(4, 257, StorageType.Float)]
    [TestCase(2, 512, StorageType.Half)]
    public void Squash_of_rows(int rows, int width, StorageType type)
    {
        using DeviceBench bench = new(architecture);
        float[] x = TestData.Values(rows * width, seed: width, type);
        DeviceArray y = bench.Unwritten(rows * width);
        bench.Run("squash", new LaunchSize(DeviceBench.Blocks(rows, RowArguments.RowsPerBlock)), new RowArguments
        {
            X = bench.Place(x, type).Address,
            Y = y.Address,
            Rows = rows,
            Width = width,
            XStride = width,
            YStride = width,
            XType = type,
        });
        IEnumerable<double> expected = x.Chunk(width).SelectMany(row =>
        {
            double square = row.Sum(v => (double)v * v), norm = Math.Sqrt(square);
            return row.Select(v => square / (1 + square) * (v / norm));
        });
        TestData.AssertClose(bench.Read(y), [.. expected], 0, 1e-6);
    }

    [Test]
    public void Squash_of_nothing_is_not_a_number()
    {
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Place((float[])[0, 0, 0, 3, 4, 0]);
        bench.Run("squash", new LaunchSize(1), new RowArguments { X = y.Address, Y = y.Address, Rows = 2, Width = 3, XStride = 3, YStride = 3 });
        float[] actual = bench.Read(y);
        Assert.That(actual[..3], Has.All.NaN);
        TestData.AssertClose(actual[3..], [25.0 / 26 * 0.6, 25.0 / 26 * 0.8, 0], 5e-7);
    }

    [Test]
    public void Softmax_survives_logits_that_would_overflow_and_passes_NaN_on()
    {
        using DeviceBench bench = new(architecture);
        float[] x = [3e4f, 2.9999e4f, -3e38f, 1, 2, float.NaN, float.NegativeInfinity, 0, 0];
        DeviceArray y = bench.Place(x);
        bench.Run("softmax", new LaunchSize(1), new RowArguments { X = y.Address, Y = y.Address, Rows = 3, Width = 3, XStride = 3, YStride = 3 });
        float[] actual = bench.Read(y);
        TestData.AssertClose(actual[..3], [.. Softmax(x[..3])], 1e-7);
        Assert.That(actual[3..6], Has.All.NaN);
        TestData.AssertClose(actual[6..], [0, 0.5, 0.5], 1e-7);
    }

    private static IEnumerable<double> Softmax(float[] x)
    {
        double[] terms = [.. x.Select(v => Math.Exp((double)v - x.Max()))];
        return terms.Select(t => t / terms.Sum());
    }

    private static ReduceArguments RowReduction(int rows, int length, ReduceOperation operation, float scale, int teamWarps) => new()
    {
        OuterStride = length,
        Outer = rows,
        Length = length,
        Inner = 1,
        LengthStride = 1,
        Parts = Divisor.Of(1),
        PartLength = length,
        TeamWarps = teamWarps,
        Operation = operation,
        Scale = scale,
    };

    private static LaunchSize RowGrid(ReduceArguments a)
    {
        int parts = a.Outer * a.Parts.Value;
        return new(a.TeamWarps == 1 ? DeviceBench.Blocks(parts, ReduceArguments.BlockWarps) : parts);
    }

    private float[] Rows(float[] x, int rows, int length, ReduceOperation operation, float scale, int teamWarps)
    {
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Unwritten(rows);
        ReduceArguments arguments = RowReduction(rows, length, operation, scale, teamWarps) with { X = bench.Place(x).Address, Y = y.Address };
        bench.Run("reduce_rows", RowGrid(arguments), arguments);
        return bench.Read(y);
    }
}
