using KernelAD.Backends.Cpu;
using KernelAD.Graph;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class GatheringStepTests
{
    [Test]
    public void Patches_become_rows(
        [Values] PatchOrder order, [Values(1, 3)] int images, [Values(1, 3)] int channels, [Values(1, 3, 8, 16)] int patch)
    {
        int height = 3 * patch;
        int width = 5 * patch;
        float[] x = StepTestData.Values(images * channels * height * width, seed: 1);
        int rows = images * 15;
        int columns = channels * patch * patch;
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, width, padding: 3);
        StepRunner.Matrix tiles = runner.Output(1, (int)RowTiles.Size(rows, columns));

        runner.Run(new PatchRowsStep(tiles.Ref, source.Ref, order, images, channels, height, width, patch));

        float[] actual = runner.Read(tiles);
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                (int c, int pixel) = order == PatchOrder.ChannelRowColumn
                    ? Math.DivRem(column, patch * patch)
                    : (column % channels, column / channels);
                int y = (row % 15 / 5 * patch) + (pixel / patch);
                int left = row % 5 * patch;
                float expected = x[(((((row / 15 * channels) + c) * height) + y) * width) + left + (pixel % patch)];
                Assert.That(actual[RowTiles.Index(row, column, columns)], Is.EqualTo(expected), $"row {row}, column {column}");
            }
        }
    }

    [Test]
    public void Gathers_rows_slice_by_slice([Values(1, 3)] int images, [Values(1, 4, 5)] int count, [Values(1, 17, 512)] int width)
    {
        const int Lists = 5;
        const int PerList = 7;
        const int TableRows = 11;
        Random random = new(1);
        int[] indices = [.. Enumerable.Range(0, Lists * PerList).Select(_ => random.Next(TableRows))];
        float[] table = StepTestData.Values(images * TableRows * width, seed: 1);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(table, width, padding: 1);
        StepRunner.Matrix y = runner.Output(images * Lists * PerList, width);
        BufferRef sliced = BufferRef.InArena(y.Start * sizeof(float), y.Stride, (long)count * PerList * y.Stride);
        GatherStep step = new(sliced, source.Ref, indices, PerList, images, TableRows, width, count);

        for (int slice = 0; slice * count < images * Lists; slice++)
            runner.Run(step, slice);

        float[] expected = new float[images * Lists * PerList * width];
        for (int row = 0; row < images * Lists * PerList; row++)
        {
            int from = (row / indices.Length * TableRows) + indices[row % indices.Length];
            table.AsSpan(from * width, width).CopyTo(expected.AsSpan(row * width));
        }

        Assert.That(runner.Read(y), Is.EqualTo(expected));
    }

    [TestCase(-1)]
    [TestCase(11)]
    public void An_index_outside_of_the_table_is_refused(int index)
    {
        BufferRef any = BufferRef.InArena(0, 4);
        Assert.That(
            () => new GatherStep(any, any, [0, index], 2, 1, 11, 4, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
