using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>Steps on channels-last pictures other than convolutions, against their definitions in double precision.</summary>
[Category("SimdTier")]
internal sealed class ChannelStepTests
{
    [TestCase(1, 1, 0, 1, 1, 1)]
    [TestCase(3, 2, 1, 17, 63, 17)]
    [TestCase(3, 2, 1, 16, 14, 64)]
    [TestCase(2, 2, 0, 9, 8, 3)]
    [TestCase(5, 3, 2, 11, 7, 257)]
    [TestCase(3, 1, 1, 1, 1, 5)]
    public void Maximum_pooling_matches_the_definition(int kernel, int stride, int padding, int height, int width, int channels)
    {
        const int Images = 2;
        int outputHeight = ((height + (2 * padding) - kernel) / stride) + 1, outputWidth = ((width + (2 * padding) - kernel) / stride) + 1;
        float[] x = StepTestData.Values(Images * height * width * channels, seed: 1, mean: -300);
        x[x.Length / 2] = float.NaN;
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, channels);
        StepRunner.Matrix y = runner.Output(Images * outputHeight * outputWidth, channels);

        runner.Run(new MaxPoolStep(y.Ref, source.Ref, Images, height, width, channels, kernel, stride, padding));

        double[] expected = new double[Images * outputHeight * outputWidth * channels];
        for (int i = 0; i < expected.Length; i++)
        {
            int c = i % channels, pixel = i / channels;
            int left = (pixel % outputWidth * stride) - padding, top = (pixel / outputWidth % outputHeight * stride) - padding;
            int image = pixel / (outputWidth * outputHeight);
            expected[i] = double.NegativeInfinity;
            for (int row = Math.Max(top, 0); row < Math.Min(top + kernel, height); row++)
            {
                for (int column = Math.Max(left, 0); column < Math.Min(left + kernel, width); column++)
                    expected[i] = Math.Max(expected[i], x[(((((image * height) + row) * width) + column) * channels) + c]);
            }
        }

        StepTestData.AssertClose(runner.Read(y), expected, absolute: 0);
    }

    [Test]
    public void Resizing_equals_the_one_of_planes(
        [Values(1, 3, 17)] int height, [Values(1, 14, 63)] int width, [Values(1, 7, 40)] int outputHeight, [Values] bool alignCorners)
    {
        const int Images = 2, Channels = 19;
        int outputWidth = outputHeight + 3;
        float[] x = StepTestData.Values(Images * Channels * height * width, seed: 2);
        using StepRunner runner = new();
        StepRunner.Matrix planes = runner.Input(x, width);
        StepRunner.Matrix pixels = runner.Input(Transpose(x, Channels, height * width), Channels);
        StepRunner.Matrix resizedPlanes = runner.Output(Images * Channels * outputHeight, outputWidth);
        StepRunner.Matrix resizedPixels = runner.Output(Images * outputHeight * outputWidth, Channels);

        runner.Run(new ResizeStep(resizedPlanes.Ref, planes.Ref, Images * Channels, height, width, outputHeight, outputWidth, alignCorners));
        runner.Run(new ResizeChannelsStep(resizedPixels.Ref, pixels.Ref, Images, height, width, Channels, outputHeight, outputWidth, alignCorners));

        double[] expected = [.. Transpose(runner.Read(resizedPlanes), Channels, outputHeight * outputWidth)];
        StepTestData.AssertClose(runner.Read(resizedPixels), expected, absolute: 3e-7 * x.Max(MathF.Abs));
    }

    [Test]
    public void Batch_normalisation_matches_the_definition([Values(1, 3, 300)] int rows, [Values(1, 17, 63, 257)] int channels)
    {
        float[] x = StepTestData.Values(rows * channels, seed: 1, mean: 1000);
        float[] w = StepTestData.Values(channels, seed: 2), b = StepTestData.Values(channels, seed: 3);
        float[] mean = StepTestData.Values(channels, seed: 4, mean: 1000), variance = [.. StepTestData.Values(channels, seed: 5).Select(MathF.Abs)];
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, channels);
        StepRunner.Matrix y = runner.Output(rows, channels);

        runner.Run(new BatchNormStep(
            y.Ref,
            source.Ref,
            runner.Input(w, channels).Ref,
            runner.Input(b, channels).Ref,
            runner.Input(mean, channels).Ref,
            runner.Input(variance, channels).Ref,
            rows,
            channels,
            1e-3f));

        double[] expected = [.. x.Select((v, i) =>
        {
            int c = i % channels;
            return (((double)v - mean[c]) / Math.Sqrt(variance[c] + 1e-3) * w[c]) + b[c];
        })];
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-5, relative: 5e-7);
    }

    [Test]
    public void Softmax_matches_the_definition([Values(1, 3, 300)] int rows, [Values(1, 10, 63, 257)] int width, [Values(0, 3)] int padding)
    {
        float[] x = StepTestData.Values(rows * width, seed: width, mean: -1000);
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, width, padding);
        StepRunner.Matrix y = runner.Output(rows, width, 2 * padding);

        runner.Run(new SoftmaxStep(y.Ref, source.Ref, rows, width));

        double[] expected = new double[x.Length];
        for (int row = 0; row < rows; row++)
        {
            float[] values = x[(row * width)..((row + 1) * width)];
            double sum = values.Sum(v => Math.Exp((double)v - values.Max()));
            for (int j = 0; j < width; j++)
                expected[(row * width) + j] = Math.Exp((double)values[j] - values.Max()) / sum;
        }

        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-37, relative: 2e-6);
    }

    [Test]
    public void Squashing_matches_the_definition([Values(1, 3, 300)] int rows, [Values(1, 8, 17, 257)] int width)
    {
        float[] x = StepTestData.Values(rows * width, seed: width);
        x.AsSpan(0, width).Clear();
        using StepRunner runner = new();
        StepRunner.Matrix source = runner.Input(x, width, padding: 3);
        StepRunner.Matrix y = runner.Output(rows, width);

        runner.Run(new SquashStep(y.Ref, source.Ref, rows, width));

        double[] expected = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            double square = x.AsSpan(i / width * width, width).ToArray().Sum(v => (double)v * v);
            expected[i] = square / (1 + square) * x[i] / Math.Sqrt(square);
        }

        Assert.That(expected[0], Is.NaN, "a zero vector has no direction");
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-12, relative: 2e-6);
    }

    [Test]
    public void Euclidean_distance_matches_the_definition([Values(1, 3, 300)] int rows, [Values(1, 3, 17, 63, 257, 272)] int width)
    {
        float[] a = StepTestData.Values(rows * width, seed: 1, mean: 1000), b = StepTestData.Values(rows * width, seed: 2, mean: 1000);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, width, padding: 3);
        StepRunner.Matrix right = runner.Input(b, width, padding: 1);
        StepRunner.Matrix y = runner.Output(1, rows);

        runner.Run(new EuclideanDistanceStep(y.Ref, left.Ref, right.Ref, rows, width));

        double[] expected = [.. Enumerable.Range(0, rows).Select(
            row => Math.Sqrt(Enumerable.Range(row * width, width).Sum(i => ((double)a[i] - b[i]) * ((double)a[i] - b[i]))))];
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 0, relative: 2e-6);
    }

    [Test]
    public void Mixture_likelihood_matches_the_definition(
        [Values(1, 3, 63)] int tokens, [Values(1, 17, 64)] int dimensions, [Values(1, 10, 150)] int gaussians, [Values] bool logSumExp)
    {
        float[] x = StepTestData.Values(tokens * dimensions, seed: 1, outliers: false);
        float[] pi = [.. StepTestData.Values(tokens * gaussians, seed: 2).Select(v => MathF.Abs(v) / gaussians)];
        float[] mean = StepTestData.Values(tokens * dimensions * gaussians, seed: 3), v = StepTestData.Values(mean.Length, seed: 4, outliers: false);
        using StepRunner runner = new();
        StepRunner.Matrix y = runner.Output(1, tokens);

        runner.Run(new MixtureLikelihoodStep(
            y.Ref,
            runner.Input(x, dimensions).Ref,
            runner.Input(pi, gaussians, padding: 1).Ref,
            runner.Input(mean, dimensions * gaussians).Ref,
            runner.Input(v, dimensions * gaussians).Ref,
            tokens,
            dimensions,
            gaussians,
            logSumExp));

        double[] expected = new double[tokens];
        for (int token = 0; token < tokens; token++)
        {
            double[] likelihoods = new double[gaussians];
            for (int i = 0; i < dimensions * gaussians; i++)
            {
                double deviation = (double)x[(token * dimensions) + (i / gaussians)] - mean[(token * dimensions * gaussians) + i];
                double logVariance = v[(token * dimensions * gaussians) + i];
                likelihoods[i % gaussians] += 0.5 * (logVariance + (deviation * deviation * Math.Exp(-logVariance)));
            }

            // The smallest is taken out of the exponentials, all of which vanish otherwise.
            double constant = 0.5 * Math.Log(2 * Math.PI), least = likelihoods.Min();
            expected[token] = logSumExp
                ? least + (dimensions * constant) - Math.Log(likelihoods.Select((l, k) => pi[(token * gaussians) + k] * Math.Exp(least - l)).Sum())
                : likelihoods.Select((l, k) => pi[(token * gaussians) + k] * (l + constant)).Sum();
        }

        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-4, relative: 2e-6);
    }

    [Test]
    public void Structural_similarity_matches_the_definition([Values(1, 11)] int taps, [Values(1, 3, 17, 40)] int height, [Values(1, 16, 63, 130)] int width)
    {
        const int Planes = 2;
        const double C1 = 1e-4, C2 = 9e-4;
        float[] a = [.. StepTestData.Values(Planes * height * width, seed: 1, outliers: false).Select(v => Math.Clamp(v, 0, 1))];
        float[] b = [.. StepTestData.Values(Planes * height * width, seed: 2, outliers: false).Select(v => Math.Clamp(v + 0.5f, 0, 1))];
        float[] window = KernelAD.Graph.SeparableFilter.Gaussian(1.5, taps / 2);
        using StepRunner runner = new();
        StepRunner.Matrix left = runner.Input(a, width, padding: 3);
        StepRunner.Matrix right = runner.Input(b, width, padding: 1);
        StepRunner.Matrix y = runner.Output(Planes * height, width, padding: 2);

        runner.Run(new StructuralSimilarityStep(y.Ref, left.Ref, right.Ref, window, (float)C1, (float)C2, Planes, height, width));

        double[] expected = new double[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            (double x, double z, double xx, double zz, double xz) = (0, 0, 0, 0, 0);
            for (int k = 0; k < taps * taps; k++)
            {
                int row = (i / width % height) + (k / taps) - (taps / 2), column = (i % width) + (k % taps) - (taps / 2);
                if (row < 0 || row >= height || column < 0 || column >= width)
                    continue;
                int from = (((i / width / height * height) + row) * width) + column;
                double weight = (double)window[k / taps] * window[k % taps], u = a[from], v = b[from];
                (x, z) = (x + (weight * u), z + (weight * v));
                (xx, zz, xz) = (xx + (weight * u * u), zz + (weight * v * v), xz + (weight * u * v));
            }

            expected[i] = ((2 * x * z) + C1) * ((2 * (xz - (x * z))) + C2) / (((x * x) + (z * z) + C1) * (xx - (x * x) + zz - (z * z) + C2));
        }

        // Variances are differences of numbers up to 1, and c₂ is the least that they are compared with.
        StepTestData.AssertClose(runner.Read(y), expected, absolute: 1e-3);
    }

    /// <summary>(N, rows, columns) → (N, columns, rows).</summary>
    private static float[] Transpose(float[] x, int rows, int columns)
    {
        float[] y = new float[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int item = i / (rows * columns), row = i / columns % rows, column = i % columns;
            y[(item * rows * columns) + (column * rows) + row] = x[i];
        }

        return y;
    }
}
