using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class ReduceStepTests
{
    [Test]
    public void Matches_the_definition(
        [Values] Reduction reduction, [Values(1, 3)] int outer, [Values(1, 3, 49, 1030)] int axis, [Values(1, 3, 17, 64, 257)] int inner)
    {
        float[] x = StepTestData.Values(outer * axis * inner, seed: axis + inner, mean: -500);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, inner == 1 ? axis : inner, padding: 3);
        StepRunner.Matrix y = inner == 1 ? runner.Output(1, outer) : runner.Output(outer, inner, padding: 1);

        runner.Run(new ReduceStep(y.Ref, source.Ref, reduction, outer, axis, inner));

        (double[] expected, double magnitude) = Reference(x, reduction, outer, axis, inner);
        StepTestData.AssertClose(runner.Read(y), expected, absolute: reduction == Reduction.Max ? 0 : 5e-7 * magnitude);
    }

    [Test]
    public void A_mean_of_sums_counts_their_terms([Values(1, 17)] int inner)
    {
        float[] sums = StepTestData.Values(5 * inner, seed: inner);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(sums, inner == 1 ? 5 : inner);
        StepRunner.Matrix y = runner.Output(1, inner);

        runner.Run(new ReduceStep(y.Ref, source.Ref, Reduction.Mean, 1, 5, inner, terms: 3));

        (double[] means, double magnitude) = Reference(sums, Reduction.Mean, 1, 5, inner);
        StepTestData.AssertClose(runner.Read(y), [.. means.Select(mean => mean / 3)], absolute: 5e-7 * magnitude);
    }

    [Test]
    public void The_maximum_keeps_a_NaN_wherever_it_is([Values(1, 5)] int inner, [Values(0, 1, 15, 40, 299, 300)] int position)
    {
        float[] x = [.. Enumerable.Repeat(float.PositiveInfinity, 301 * inner)];
        x[position * inner] = float.NaN;
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, inner == 1 ? 301 : inner);
        StepRunner.Matrix y = runner.Output(1, inner);

        runner.Run(new ReduceStep(y.Ref, source.Ref, Reduction.Max, 1, 301, inner));

        float[] expected = [.. Enumerable.Repeat(float.PositiveInfinity, inner)];
        expected[0] = float.NaN;
        Assert.That(runner.Read(y), Is.EqualTo(expected));
    }

    private static (double[] Result, double Magnitude) Reference(float[] x, Reduction reduction, int outer, int axis, int inner)
    {
        double[] result = new double[outer * inner];
        double magnitude = 0;
        for (int i = 0; i < result.Length; i++)
        {
            double[] values = [.. Enumerable.Range(0, axis).Select(a => (double)x[(((i / inner * axis) + a) * inner) + (i % inner)])];
            double divisor = reduction == Reduction.Mean ? axis : 1;
            result[i] = reduction == Reduction.Max ? values.Max() : values.Sum() / divisor;
            magnitude = Math.Max(magnitude, values.Sum(Math.Abs) / divisor);
        }

        return (result, magnitude);
    }
}
