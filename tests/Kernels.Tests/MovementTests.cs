using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Transposition, gathering and patches.</summary>
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

    [TestCase(2, 3, 32, 48, 8, StorageType.Half)]
    [TestCase(1, 1, 19, 38, 19, StorageType.Float)]
    [TestCase(3, 3, 10, 15, 5, StorageType.Tf32)]
    [TestCase(1, 3, 80, 64, 16, StorageType.Half)]
    [TestCase(1, 1, 1, 1, 1, StorageType.Half)]
    public void Pictures_are_cut_into_patches(int pictures, int channels, int height, int width, int patch, StorageType type)
    {
        int rows = height / patch, columns = width / patch, m = pictures * rows * columns, k = channels * patch * patch, stride = ((k + 7) / 8 * 8) + 8;
        float[] image = TestData.Values(pictures * channels * height * width, seed: 1);
        // Any order of a patch's values is a table: here they go backwards.
        int[] order = [.. Enumerable.Range(0, k).Reverse()];
        int[] distances = [.. order.Select(i => 4 * ((((i / (patch * patch)) * height) + (i / patch % patch)) * width + (i % patch)))];
        float[] expected = new float[m * stride];
        for (int p = 0; p < m; p++)
        {
            int picture = p / (rows * columns), row = p / columns % rows, column = p % columns;
            for (int i = 0; i < k; i++)
            {
                int channel = order[i] / (patch * patch), y0 = (row * patch) + (order[i] / patch % patch), x0 = (column * patch) + (order[i] % patch);
                expected[(p * stride) + i] = Rounding.To(type, image[((((picture * channels) + channel) * height) + y0) * width + x0]);
            }
        }

        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(m * stride, type);
        bench.Run("patches", new LaunchSize(DeviceBench.Blocks(m * stride / 4, PatchArguments.Threads)), new PatchArguments
        {
            X = bench.Place(image).Address,
            Distances = bench.Place(distances).Address,
            Y = y.Address,
            RowUnits = Divisor.Of(stride / 4),
            PatchColumns = Divisor.Of(columns),
            PatchesPerPicture = Divisor.Of(rows * columns),
            Rows = m,
            K = k,
            YStride = stride,
            PictureBytes = channels * height * width * 4,
            PatchRowBytes = patch * width * 4,
            PatchColumnBytes = patch * 4,
            Type = type,
        });
        Assert.That(bench.Read(y), Is.EqualTo(expected));
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
