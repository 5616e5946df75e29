using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>Resizing, cosine distance and gradient magnitude similarity.</summary>
[Category("SimdTier")]
internal sealed class MapStepTests
{
    private static readonly bool[] BothConventions = [false, true];

    [TestCase(1, 1, 1, 1)]
    [TestCase(1, 1, 17, 63)]
    [TestCase(3, 5, 1, 1)]
    [TestCase(16, 16, 256, 256)]
    [TestCase(17, 63, 17, 63)]
    [TestCase(64, 63, 257, 130)]
    [TestCase(63, 17, 7, 5)]
    public void Resizing_matches_the_definition(int height, int width, int outputHeight, int outputWidth)
    {
        const int Planes = 3;
        float[] x = StepTestData.Values(Planes * height * width, seed: width);
        foreach (bool alignCorners in BothConventions)
        {
            using StepRunner runner = new();
            StepRunner.Matrix source = runner.Input(x, width, padding: 3);
            StepRunner.Matrix y = runner.Output(Planes * outputHeight, outputWidth, padding: 1);

            runner.Run(new ResizeStep(y.Ref, source.Ref, Planes, height, width, outputHeight, outputWidth, alignCorners));

            // Coordinates in float32 are off by up to about a unit in the last place of the largest.
            double tolerance = x.Max(MathF.Abs) * 2e-7 * Math.Max(height, width);
            double[] expected = Resize(x, Planes, height, width, outputHeight, outputWidth, alignCorners);
            StepTestData.AssertClose(runner.Read(y), expected, tolerance);
        }
    }

    [Test]
    public void Resizing_gives_the_numbers_of_torch()
    {
        // torch.nn.functional.interpolate of [[0, 1, 4]] to width 6.
        float[] halfPixel = [0, 0.25f, 0.75f, 1.75f, 3.25f, 4];
        float[] aligned = [0, 0.4f, 0.8f, 1.6f, 2.8f, 4];
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input([0, 1, 4], 3);
        StepRunner.Matrix y = runner.Output(1, 6);
        runner.Run(new ResizeStep(y.Ref, source.Ref, 1, 1, 3, 1, 6, alignCorners: false));
        Assert.That(runner.Read(y), Is.EqualTo(halfPixel).Within(1e-6f));
        runner.Run(new ResizeStep(y.Ref, source.Ref, 1, 1, 3, 1, 6, alignCorners: true));
        Assert.That(runner.Read(y), Is.EqualTo(aligned).Within(1e-6f));
    }

    [Test]
    public void Cosine_distance_matches_the_definition(
        [Values(1, 3, 300)] int rows, [Values(1, 3, 17, 63, 257, 384)] int width, [Values(0f, 1e-3f, 1f)] float difference)
    {
        float[] a = StepTestData.Values(rows * width, seed: width);
        float[] other = StepTestData.Values(rows * width, seed: width + 1);
        float[] b = [.. a.Zip(other, (v, w) => v + (difference * (w - v)))];
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, width, padding: 3);
        StepRunner.Matrix right = runner.Input(b, width, padding: 1);
        StepRunner.Matrix y = runner.Output(1, rows);

        runner.Run(new CosineDistanceStep(y.Ref, left.Ref, right.Ref, rows, width));

        double[] expected = new double[rows];
        for (int row = 0; row < rows; row++)
        {
            (double ab, double aa, double bb) = (0, 0, 0);
            for (int j = row * width; j < (row + 1) * width; j++)
                (ab, aa, bb) = (ab + ((double)a[j] * b[j]), aa + ((double)a[j] * a[j]), bb + ((double)b[j] * b[j]));

            expected[row] = 1 - (ab / (Math.Max(Math.Sqrt(aa), 1e-8) * Math.Max(Math.Sqrt(bb), 1e-8)));
        }

        StepTestData.AssertClose(runner.Read(y), expected, absolute: 2e-7);
    }

    [Test]
    public void The_cosine_distance_of_a_zero_vector_is_1()
    {
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(new float[17], 17);
        StepRunner.Matrix right = runner.Input(StepTestData.Values(17, seed: 1), 17);
        StepRunner.Matrix y = runner.Output(1, 1);
        runner.Run(new CosineDistanceStep(y.Ref, left.Ref, right.Ref, 1, 17));
        Assert.That(runner.Read(y)[0], Is.EqualTo(1f));
    }

    [Test]
    public void Gradient_magnitude_similarity_matches_the_definition(
        [Values(1, 3, 17, 64)] int height, [Values(1, 3, 16, 63, 257)] int width)
    {
        const int Planes = 3;
        float[] a = StepTestData.Values(Planes * height * width, seed: width);
        float[] b = StepTestData.Values(Planes * height * width, seed: width + 1, scale: 0.1f);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, width, padding: 3);
        StepRunner.Matrix right = runner.Input(b, width, padding: 1);
        StepRunner.Matrix y = runner.Output(Planes * height, width, padding: 2);

        runner.Run(new GradientMagnitudeSimilarityStep(y.Ref, left.Ref, right.Ref, Planes, height, width, 0.0026f));

        double[] expected = new double[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            (double x, double z) = (SquaredMagnitude(a, i, height, width), SquaredMagnitude(b, i, height, width));
            expected[i] = ((2 * Math.Sqrt(x) * Math.Sqrt(z)) + 0.0026) / (x + z + 0.0026 + 1e-12);
        }

        // Next to an outlier the small gradient is a difference of large numbers.
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-5);
    }

    [Test]
    public void Equal_pictures_are_similar_throughout()
    {
        float[] a = StepTestData.Values(17 * 63, seed: 1);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, 63);
        StepRunner.Matrix y = runner.Output(17, 63);
        runner.Run(new GradientMagnitudeSimilarityStep(y.Ref, left.Ref, left.Ref, 1, 17, 63, 0.0026f));
        Assert.That(runner.Read(y), Is.All.EqualTo(1f).Within(3e-7f));
    }

    private static double SquaredMagnitude(float[] x, int i, int height, int width)
    {
        (double horizontal, double vertical) = (0, 0);
        for (int dy = -1; dy <= 1; dy++)
        {
            for (int dx = -1; dx <= 1; dx++)
            {
                (int row, int column) = ((i / width % height) + dy, (i % width) + dx);
                bool inside = row >= 0 && row < height && column >= 0 && column < width;
                double value = inside ? x[i + (dy * width) + dx] / 3.0 : 0;
                horizontal -= dx * value;
                vertical -= dy * value;
            }
        }

        return (horizontal * horizontal) + (vertical * vertical) + 1e-12;
    }

    private static double[] Resize(float[] x, int planes, int height, int width, int outputHeight, int outputWidth, bool alignCorners)
    {
        double[] y = new double[planes * outputHeight * outputWidth];
        for (int i = 0; i < y.Length; i++)
        {
            int plane = i / (outputHeight * outputWidth);
            double row = Coordinate(i / outputWidth % outputHeight, height, outputHeight, alignCorners);
            double column = Coordinate(i % outputWidth, width, outputWidth, alignCorners);
            (int top, int left) = ((int)row, (int)column);
            for (int corner = 0; corner < 4; corner++)
            {
                (int down, int right) = (corner / 2, corner % 2);
                double weight = (down == 1 ? row - top : 1 - row + top) * (right == 1 ? column - left : 1 - column + left);
                y[i] += weight * x[(((plane * height) + Math.Min(top + down, height - 1)) * width) + Math.Min(left + right, width - 1)];
            }
        }

        return y;
    }

    private static double Coordinate(int i, int input, int output, bool alignCorners)
    {
        double aligned = output > 1 ? i * (input - 1.0) / (output - 1) : 0;
        double coordinate = alignCorners ? aligned : Math.Max(((i + 0.5) * input / output) - 0.5, 0);
        return Math.Min(coordinate, input - 1);
    }
}
