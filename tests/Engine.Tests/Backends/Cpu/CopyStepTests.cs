using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
internal sealed class CopyStepTests
{
    private static readonly (int[] Shape, int[] Permutation)[] Permutations =
    [
        ([1], [0]),
        ([63], [0]),
        ([17, 63], [1, 0]),
        ([257, 3], [1, 0]),
        ([3, 257], [1, 0]),
        ([1, 300, 310], [0, 2, 1]),
        ([2, 3, 17, 19], [0, 2, 3, 1]),
        ([2, 17, 19, 3], [0, 3, 1, 2]),
        ([2, 49, 4, 8], [0, 2, 1, 3]),
        ([3, 5, 7, 9], [3, 1, 0, 2]),
        ([2, 3, 2, 3, 2, 3, 2, 5], [7, 1, 5, 3, 4, 2, 6, 0]),
        ([300, 257], [0, 1]),
    ];

    [Test]
    public void Permutes([ValueSource(nameof(Permutations))] (int[] Shape, int[] Permutation) example)
    {
        (int[] shape, int[] permutation) = example;
        float[] x = StepTestData.Values(shape.Aggregate(1, (a, b) => a * b), seed: 1);
        int[] permuted = [.. permutation.Select(d => shape[d])];
        long[] sourceStrides = StridedLoops.RowMajor(shape, shape[^1]);
        long[] permutedStrides = [.. permutation.Select(d => sourceStrides[d])];
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, x.Length);
        StepRunner.Matrix y = runner.Output(1, x.Length);

        runner.Run(new CopyStep(y.Ref, source.Ref, permuted, StridedLoops.RowMajor(permuted, permuted[^1]), permutedStrides));

        Assert.That(runner.Read(y), Is.EqualTo(Reference(x, permuted, permutedStrides)));
    }

    [Test]
    public void Permutes_from_the_destination_side([ValueSource(nameof(Permutations))] (int[] Shape, int[] Permutation) example)
    {
        // The same copy with its loops in the source's order: only the strides tell that it is a transposition.
        (int[] shape, int[] permutation) = example;
        float[] x = StepTestData.Values(shape.Aggregate(1, (a, b) => a * b), seed: 1);
        int[] permuted = [.. permutation.Select(d => shape[d])];
        long[] sourceStrides = StridedLoops.RowMajor(shape, shape[^1]);
        long[] written = StridedLoops.RowMajor(permuted, permuted[^1]);
        long[] destinationStrides = new long[shape.Length];
        for (int d = 0; d < shape.Length; d++)
            destinationStrides[permutation[d]] = written[d];

        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, x.Length);
        StepRunner.Matrix y = runner.Output(1, x.Length);

        runner.Run(new CopyStep(y.Ref, source.Ref, shape, destinationStrides, sourceStrides));

        Assert.That(runner.Read(y), Is.EqualTo(Reference(x, permuted, [.. permutation.Select(d => sourceStrides[d])])));
    }

    [Test]
    public void Copies_a_slice_into_a_slice()
    {
        // Tokens 1 … 16 of (3, 17, 63) behind one row of each image of (3, 20, 63): a Slice and a Concat at once.
        float[] x = StepTestData.Values(3 * 17 * 63, seed: 1);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, 63, padding: 2);
        StepRunner.Matrix y = runner.Output(3 * 20, 63, padding: 1);

        long[] written = [20 * y.Stride, y.Stride, 1];
        long[] read = [17 * source.Stride, source.Stride, 1];
        runner.Run(new CopyStep(y.Ref.Shift(y.Stride), source.Ref.Shift(source.Stride), [3, 16, 63], written, read));

        float[] expected = [.. Enumerable.Repeat(float.NaN, 3 * 20 * 63)];
        for (int image = 0; image < 3; image++)
            x.AsSpan(((image * 17) + 1) * 63, 16 * 63).CopyTo(expected.AsSpan(((image * 20) + 1) * 63));

        Assert.That(runner.Read(y), Is.EqualTo(expected));
    }

    [Test]
    public void Repeats_and_skips()
    {
        float[] x = StepTestData.Values(3 * 7, seed: 1);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, x.Length);
        StepRunner.Matrix repeated = runner.Output(1, 3 * 5);
        StepRunner.Matrix skipped = runner.Output(1, 9);

        runner.Run(new CopyStep(repeated.Ref, source.Ref, [3, 5], [5, 1], [7, 0]));
        runner.Run(new CopyStep(skipped.Ref, source.Ref, [5], [2], [3]));

        Assert.That(runner.Read(repeated), Is.EqualTo(Reference(x, [3, 5], [7, 0])));
        Assert.That(
            runner.Read(skipped), Is.EqualTo(new[] { x[0], float.NaN, x[3], float.NaN, x[6], float.NaN, x[9], float.NaN, x[12] }));
    }

    private static float[] Reference(float[] source, int[] extents, long[] strides)
    {
        float[] result = new float[extents.Aggregate(1, (a, b) => a * b)];
        for (int i = 0; i < result.Length; i++)
        {
            int rest = i;
            long offset = 0;
            for (int d = extents.Length - 1; d >= 0; d--, rest /= extents[d + 1])
                offset += rest % extents[d] * strides[d];

            result[i] = source[offset];
        }

        return result;
    }
}
