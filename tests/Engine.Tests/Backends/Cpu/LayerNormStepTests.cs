using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class LayerNormStepTests
{
    [Test]
    public void Matches_the_definition(
        [Values(1, 3, 17, 130)] int rows,
        [Values(1, 3, 16, 17, 63, 257, 384)] int width,
        [Values(0f, 1e4f)] float mean,
        [Values] bool tiled)
    {
        using StepRunner runner = new();
        float[] x = StepTestData.Values(rows * width, seed: rows + width, mean: mean);
        float[] weight = StepTestData.Values(width, seed: 1);
        float[] bias = StepTestData.Values(width, seed: 2);
        StepRunner.Matrix source = runner.Input(x, width, padding: 5);
        StepRunner.Matrix y = tiled ? runner.Output(1, (int)RowTiles.Size(rows, width)) : runner.Output(rows, width, padding: 3);
        StepRunner.Matrix w = runner.Input(weight, width);
        StepRunner.Matrix b = runner.Input(bias, width);

        runner.Run(new LayerNormStep(y.Ref, source.Ref, w.Ref, b.Ref, rows, width, 1e-6f, tiled));

        float[] actual = runner.Read(y);
        if (tiled)
            actual = Untile(actual, rows, width);

        // The weights' outliers multiply the error of a normalised value, which is a few units in the last place.
        double scale = weight.Max(MathF.Abs) * Math.Sqrt(width);
        StepTestData.AssertClose(actual, Reference(x, weight, bias, width, 1e-6), absolute: 1e-6 + (2e-7 * scale), relative: 1e-6);
    }

    [Test]
    public void A_constant_row_gives_the_bias([Values(1, 17, 384)] int width)
    {
        using StepRunner runner = new();
        float[] x = [.. Enumerable.Repeat(12345.678f, width)];
        float[] bias = StepTestData.Values(width, seed: 2);
        StepRunner.Matrix source = runner.Input(x, width);
        StepRunner.Matrix y = runner.Output(1, width);
        StepRunner.Matrix w = runner.Input([.. Enumerable.Repeat(1f, width)], width);
        StepRunner.Matrix b = runner.Input(bias, width);

        runner.Run(new LayerNormStep(y.Ref, source.Ref, w.Ref, b.Ref, 1, width, 1e-6f, tiled: false));

        Assert.That(runner.Read(y), Is.EqualTo(bias));
    }

    [Test]
    public void Adds_the_residual_in_place_first([Values(1, 3, 130)] int rows, [Values(17, 257, 512)] int width)
    {
        using StepRunner runner = new();
        float[] x = StepTestData.Values(rows * width, seed: 3);
        float[] r = StepTestData.Values(rows * width, seed: 4);
        float[] weight = StepTestData.Values(width, seed: 1, outliers: false);
        float[] bias = StepTestData.Values(width, seed: 2);
        StepRunner.Matrix source = runner.Input(x, width, padding: 1);
        StepRunner.Matrix residual = runner.Input(r, width);
        StepRunner.Matrix y = runner.Output(rows, width);
        StepRunner.Matrix w = runner.Input(weight, width);
        StepRunner.Matrix b = runner.Input(bias, width);
        runner.MakeWritable(source);

        runner.Run(new LayerNormStep(y.Ref, source.Ref, w.Ref, b.Ref, rows, width, 1e-5f, tiled: false, residual.Ref, source.Ref));

        float[] sum = [.. x.Zip(r, (a, c) => a + c)];
        Assert.That(runner.Read(source), Is.EqualTo(sum));
        StepTestData.AssertClose(runner.Read(y), Reference(sum, weight, bias, width, 1e-5), absolute: 2e-5, relative: 1e-6);
    }

    [Test]
    public void A_residual_without_a_buffer_for_the_sum_is_refused()
    {
        BufferRef any = BufferRef.InArena(0, 4);
        Assert.That(
            () => new LayerNormStep(any, any, any, any, 1, 4, 1e-6f, tiled: false, residual: any), Throws.ArgumentException);
    }

    private static float[] Untile(float[] tiles, int rows, int width)
    {
        float[] values = new float[rows * width];
        for (int i = 0; i < values.Length; i++)
            values[i] = tiles[RowTiles.Index(i / width, i % width, width)];

        return values;
    }

    private static double[] Reference(float[] x, float[] weight, float[] bias, int width, double epsilon)
    {
        double[] y = new double[x.Length];
        for (int start = 0; start < x.Length; start += width)
        {
            float[] row = x[start..(start + width)];
            double mean = row.Average(v => (double)v);
            double scale = 1 / Math.Sqrt(row.Average(v => (v - mean) * (v - mean)) + epsilon);
            for (int j = 0; j < width; j++)
                y[start + j] = ((row[j] - mean) * scale * weight[j]) + bias[j];
        }

        return y;
    }
}
