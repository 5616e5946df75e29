using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class PoolStepTests
{
    [TestCase(1, 1, 0, 1, 1)]
    [TestCase(1, 1, 0, 17, 63)]
    [TestCase(2, 2, 0, 16, 64)]
    [TestCase(2, 2, 0, 17, 63)]
    [TestCase(3, 1, 1, 1, 1)]
    [TestCase(3, 1, 1, 17, 63)]
    [TestCase(3, 2, 1, 17, 63)]
    [TestCase(4, 4, 0, 64, 68)]
    [TestCase(5, 3, 2, 40, 257)]
    [TestCase(16, 1, 0, 16, 16)]
    [TestCase(16, 1, 0, 63, 257)]
    [TestCase(21, 1, 10, 33, 35)]
    public void Matches_the_definition(int kernel, int stride, int padding, int height, int width)
    {
        const int Planes = 3;
        float[] x = StepTestData.Values(Planes * height * width, seed: width, mean: -3);
        int outputHeight = ((height + (2 * padding) - kernel) / stride) + 1;
        int outputWidth = ((width + (2 * padding) - kernel) / stride) + 1;
        foreach (Pooling pooling in Enum.GetValues<Pooling>())
        {
            using StepRunner runner = new();
            StepRunner.Matrix source = runner.Input(x, width, padding: 3);
            StepRunner.Matrix y = runner.Output(Planes * outputHeight, outputWidth, padding: 1);

            runner.Run(new PoolStep(y.Ref, source.Ref, pooling, Planes, height, width, kernel, stride, padding));

            double[] expected = Reference(x, pooling, height, width, kernel, stride, padding, outputHeight, outputWidth);
            StepTestData.AssertClose(runner.Read(y), expected, absolute: pooling == Pooling.Max ? 0 : 3e-7 * x.Max(MathF.Abs));
        }
    }

    [Test]
    public void Max_pooling_keeps_a_NaN([Values(1, 2)] int stride)
    {
        float[] x = new float[9 * 40];
        x[(4 * 40) + 20] = float.NaN;
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, 40);
        StepRunner.Matrix y = runner.Output(((9 - 2) / stride) + 1, ((40 - 2) / stride) + 1);

        runner.Run(new PoolStep(y.Ref, source.Ref, Pooling.Max, 1, 9, 40, 2, stride, 0));

        Assert.That(runner.Read(y).Count(float.IsNaN), Is.EqualTo(4 / (stride * stride)));
    }

    [TestCase(3, 1, 2)]
    [TestCase(9, 1, 0)]
    public void A_window_that_sees_nothing_but_padding_is_refused(int kernel, int stride, int padding)
    {
        BufferRef any = BufferRef.InArena(0, 4);
        Assert.That(
            () => new PoolStep(any, any, Pooling.Average, 1, 8, 8, kernel, stride, padding),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static double[] Reference(
        float[] x, Pooling pooling, int height, int width, int kernel, int stride, int padding, int outputHeight, int outputWidth)
    {
        double[] y = new double[x.Length / (height * width) * outputHeight * outputWidth];
        for (int i = 0; i < y.Length; i++)
        {
            int plane = i / (outputHeight * outputWidth);
            int top = (i / outputWidth % outputHeight * stride) - padding;
            int left = (i % outputWidth * stride) - padding;
            List<double> window = [];
            for (int row = Math.Max(top, 0); row < Math.Min(top + kernel, height); row++)
            {
                for (int column = Math.Max(left, 0); column < Math.Min(left + kernel, width); column++)
                    window.Add(x[(((plane * height) + row) * width) + column]);
            }

            y[i] = pooling == Pooling.Max ? window.Max() : window.Sum() / (kernel * kernel);
        }

        return y;
    }
}
