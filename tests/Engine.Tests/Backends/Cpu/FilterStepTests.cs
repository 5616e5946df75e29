using KernelAD.Backends.Cpu;
using KernelAD.Graph;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class FilterStepTests
{
    [Test]
    public void A_separable_filter_matches_the_definition(
        [Values] Border border,
        [Values(1, 7, 33)] int taps,
        [Values(1, 3, 17, 70)] int height,
        [Values(1, 3, 63, 130)] int width)
    {
        const int Planes = 2;
        float[] x = StepTestData.Values(Planes * height * width, seed: height + width);
        float[] filter = StepTestData.Values(taps, seed: taps, scale: 1f / taps, outliers: false);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, width, padding: 3);
        StepRunner.Matrix y = runner.Output(Planes * height, width, padding: 1);

        runner.Run(new SeparableFilterStep(y.Ref, source.Ref, filter, border, Planes, height, width));

        double[] expected = Filter(Filter([.. x], filter, border, height, width), filter, border, width, 1);
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 2e-6 * x.Max(MathF.Abs));
    }

    [Test]
    public void Reflection_repeats_the_edge_pixel_and_starts_again()
    {
        // A filter whose only tap is off the centre by more than the width of the map: … 4 | 4 3 2 1 | 1 2 3 4 | 4 3 2 1 | 1 …
        float[] x = [1, 2, 3, 4];
        float[] extended = [4, 4, 3, 2, 1, 1, 2, 3, 4, 4, 3, 2, 1, 1];
        for (int reach = -5; reach <= 5; reach++)
        {
            float[] filter = new float[11];
            filter[5 + reach] = 1;
            using StepRunner runner = new();
            StepRunner.Matrix source = runner.Input(x, 4);
            StepRunner.Matrix y = runner.Output(1, 4);
            runner.Run(new SeparableFilterStep(y.Ref, source.Ref, filter, Border.Reflect, 1, 1, 4));
            Assert.That(runner.Read(y), Is.EqualTo(extended.AsSpan(reach + 5, 4).ToArray()));
        }
    }

    [Test]
    public void An_even_number_of_taps_is_refused()
    {
        BufferRef any = BufferRef.InArena(0, 4);
        Assert.That(
            () => new SeparableFilterStep(any, any, [1, 1], Border.Zero, 1, 4, 4), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static double[] Filter(double[] x, float[] taps, Border border, int extent, int stride)
    {
        double[] y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int position = i / stride % extent;
            for (int k = 0; k < taps.Length; k++)
            {
                int at = position + k - (taps.Length / 2);
                bool inside = at >= 0 && at < extent;
                while (at < 0 || at >= extent)
                    at = at < 0 ? -1 - at : (2 * extent) - 1 - at;

                if (inside || border == Border.Reflect)
                    y[i] += taps[k] * x[i + ((at - position) * stride)];
            }
        }

        return y;
    }
}
