using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Transposition and gathering.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class MovementTests(string architecture)
{
    [TestCase(1, 1, 1)]
    [TestCase(2, 3, 17)]
    [TestCase(1, 32, 32)]
    [TestCase(2, 63, 33)]
    [TestCase(3, 31, 257)]
    public void Matrices_are_transposed(int batch, int rows, int columns)
    {
        float[] x = TestData.Values(batch * rows * columns, seed: rows);
        float[] y = Transpose(x, batch, rows, columns, rows, StorageType.Float, StorageType.Float);
        Assert.That(y, Is.EqualTo(Transposed(x, batch, rows, columns, rows)));
    }

    [TestCase(StorageType.Float, StorageType.Half)]
    [TestCase(StorageType.Half, StorageType.Float)]
    [TestCase(StorageType.Float, StorageType.Tf32)]
    public void They_are_converted_and_padded_with_zeros_on_the_way(StorageType from, StorageType to)
    {
        float[] x = TestData.Values(2 * 30 * 17, seed: 3, from);
        float[] y = Transpose(x, 2, 30, 17, 40, from, to);
        Assert.That(y, Is.EqualTo(Transposed(x, 2, 30, 17, 40).Select(v => Rounding.To(to, v))));
    }

    [Test]
    public void A_transposition_moves_whole_sectors_without_bank_conflicts()
    {
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        DeviceArray x = bench.Place(TestData.Values(64 * 96, seed: 1)), y = bench.Poisoned(64 * 96);
        LaunchCounters counters = bench.Count("transpose", new LaunchSize(3, 2), new TransposeArguments
        {
            X = x.Address,
            Y = y.Address,
            Rows = 64,
            Columns = 96,
            YColumns = 64,
            XStride = 96,
            YStride = 64,
        });
        Assert.That(counters[CounterNames.GlobalLoadSectors], Is.EqualTo(64 * 96 * 4 / 32));
        Assert.That(counters[CounterNames.GlobalStoreSectors], Is.EqualTo(64 * 96 * 4 / 32));
        Assert.That(counters[CounterNames.SharedLoadConflicts] + counters[CounterNames.SharedStoreConflicts], Is.Zero);
    }

    [TestCase(StorageType.Float, 64, 16)]
    [TestCase(StorageType.Float, 17, 4)]
    [TestCase(StorageType.Half, 512, 16)]
    [TestCase(StorageType.Half, 33, 2)]
    [TestCase(StorageType.Half, 34, 4)]
    public void Rows_are_gathered_from_the_picture_that_an_item_belongs_to(StorageType type, int width, int unitBytes)
    {
        const int Pictures = 3, TableRows = 11, Items = 5, PerItem = 4, FirstItem = 4, ItemCount = 9;
        using DeviceBench bench = new(architecture);
        Random random = new(width);
        int[] indices = [.. Enumerable.Range(0, Items * PerItem).Select(_ => random.Next(TableRows))];
        float[] table = TestData.Values(Pictures * TableRows * width, seed: 1, type);
        DeviceArray y = bench.Poisoned(ItemCount * PerItem * width, type);
        int units = width * DeviceArray.ElementBytes(type) / unitBytes, rows = ItemCount * PerItem;
        bench.Run("gather", new LaunchSize(DeviceBench.Blocks(rows, GatherArguments.RowsPerBlock)), new GatherArguments
        {
            X = bench.Place(table, type).Address,
            Indices = bench.Place(indices).Address,
            Y = y.Address,
            IndexCount = Divisor.Of(Items * PerItem),
            FirstRow = FirstItem * PerItem,
            Rows = rows,
            TableRows = TableRows,
            UnitBytes = unitBytes,
            Width = units,
            XStride = units,
            YStride = units,
        });
        Assert.That(bench.Read(y), Is.EqualTo(Enumerable.Range(FirstItem * PerItem, rows)
            .SelectMany(r => table.AsSpan(((r / (Items * PerItem) * TableRows) + indices[r % (Items * PerItem)]) * width, width).ToArray())));
    }

    private static IEnumerable<float> Transposed(float[] x, int batch, int rows, int columns, int padded) =>
        from n in Enumerable.Range(0, batch)
        from c in Enumerable.Range(0, columns)
        from r in Enumerable.Range(0, padded)
        select r < rows ? x[(((n * rows) + r) * columns) + c] : 0;

    private float[] Transpose(float[] x, int batch, int rows, int columns, int padded, StorageType from, StorageType to)
    {
        const int Side = TransposeArguments.Side;
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(batch * columns * padded, to);
        bench.Run("transpose", new LaunchSize(DeviceBench.Blocks(columns, Side), DeviceBench.Blocks(padded, Side), batch), new TransposeArguments
        {
            X = bench.Place(x, from).Address,
            Y = y.Address,
            XBatchStride = rows * columns,
            YBatchStride = columns * padded,
            Rows = rows,
            Columns = columns,
            YColumns = padded,
            XStride = columns,
            YStride = padded,
            XType = from,
            Type = to,
        });
        return bench.Read(y);
    }
}
