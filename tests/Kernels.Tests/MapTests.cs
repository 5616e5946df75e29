using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Distance maps and gradient similarity against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class MapTests(string architecture)
{
    [TestCase(1, 1, 1)]
    [TestCase(2, 9, 17)]
    [TestCase(1, 25, 384)]
    [TestCase(3, 3, 257)]
    public void Cosine_distances_of_unrelated_tokens(int batch, int tokens, int width)
    {
        float[] a = TestData.Values(batch * tokens * width, seed: 1), b = TestData.Values(batch * tokens * width, seed: 2);
        float[] actual = Distances(a, b, batch, tokens, width, DistanceMeasure.Cosine);
        TestData.AssertClose(actual, Pairs(a, b, width, Cosine), 1e-7, 1e-6);
    }

    [TestCase(1e-2f)]
    [TestCase(1e-3f)]
    [TestCase(0)]
    public void A_small_cosine_distance_keeps_its_digits(float noise)
    {
        // Distances around noise²: a difference from 1 would be off by 1e-7, a thousandth or a tenth of them.
        float[] a = TestData.Values(12 * 384, seed: 1), n = TestData.Values(12 * 384, seed: 2, outliers: false);
        float[] b = [.. a.Zip(n, (u, v) => u * (1 + (noise * v)))], actual = Distances(a, b, 1, 12, 384, DistanceMeasure.Cosine);
        foreach ((float distance, double expected) in actual.Zip(Pairs(a, b, 384, Cosine)))
        {
            Assert.That(distance, Is.EqualTo(expected).Within((2e-7 * Math.Sqrt(Math.Abs(expected))) + 1e-14));
        }
    }

    [Test]
    public void Norms_are_clamped_and_what_is_not_finite_gives_NaN()
    {
        float[] one = [1, 0, 0], tiny = [1e-9f, 0, 0], zero = [0, 0, 0];
        float[] huge = [1e30f, 1, 1], infinite = [1, float.PositiveInfinity, 1], nan = [1, float.NaN, 1];
        float[] a = [.. one, .. one, .. tiny, .. zero, .. one, .. one, .. one, .. one];
        float[] b = [.. one, .. tiny, .. tiny, .. zero, .. zero, .. huge, .. infinite, .. nan];
        float[] actual = Distances(a, b, 1, 8, 3, DistanceMeasure.Cosine);
        TestData.AssertClose(actual[..5], [0, 0.9, 0.99, 1, 1], 1e-6);
        Assert.That(actual[5..], Has.All.NaN);
    }

    [Test]
    public void Tokens_are_found_by_their_strides_and_distances_added_to_what_is_there()
    {
        // a has a class token before the others, rows of b are wider than needed; both are said by addresses and strides alone.
        const int Batch = 2, Tokens = 5, Width = 20;
        using DeviceBench bench = new(architecture);
        float[] a = TestData.Values(Batch * (Tokens + 1) * Width, seed: 1), b = TestData.Values(Batch * Tokens * Width, seed: 2);
        float[] start = TestData.Values(Batch * Tokens, seed: 3);
        DeviceArray left = bench.Place(a), y = bench.Place(start);
        bench.Run("token_distance", new LaunchSize(1, Batch), new DistanceArguments
        {
            A = left.At(Width),
            B = bench.Place(TestData.Padded(b, Width, Width + 3)).Address,
            Addend = y.Address,
            Y = y.Address,
            ABatchStride = (Tokens + 1) * Width,
            BBatchStride = Tokens * (Width + 3),
            Tokens = Tokens,
            Width = Width,
            AStride = Width,
            BStride = Width + 3,
            Measure = DistanceMeasure.Cosine,
            Scale = 1f / 9,
        });
        float[] patches = [.. a.Chunk(Width).Where((_, i) => i % (Tokens + 1) != 0).SelectMany(r => r)];
        TestData.AssertClose(bench.Read(y), [.. Pairs(patches, b, Width, Cosine).Zip(start, (d, s) => s + (d / 9))], 2e-7, 1e-6);
    }

    [TestCase(2, 9, 17)]
    [TestCase(1, 40, 272)]
    public void Euclidean_distances_of_tokens_and_of_planes_agree(int batch, int tokens, int width)
    {
        float[] a = TestData.Values(batch * tokens * width, seed: 1), b = TestData.Values(batch * tokens * width, seed: 2);
        double[] expected = Pairs(a, b, width, Euclidean);
        TestData.AssertClose(Distances(a, b, batch, tokens, width, DistanceMeasure.Euclidean), expected, 0, 1e-6);

        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Unwritten(batch * tokens);
        bench.Run("plane_distance", new LaunchSize(DeviceBench.Blocks(tokens, 32), batch), new DistanceArguments
        {
            A = bench.Place(Planes(a, tokens, width)).Address,
            B = bench.Place(Planes(b, tokens, width)).Address,
            Y = y.Address,
            ABatchStride = tokens * width,
            BBatchStride = tokens * width,
            Tokens = tokens,
            Width = width,
            AStride = tokens,
            BStride = tokens,
            Measure = DistanceMeasure.Euclidean,
            Scale = 1,
        });
        TestData.AssertClose(bench.Read(y), expected, 0, 1e-6);
    }

    [TestCase(1, 1, 1)]
    [TestCase(3, 17, 3)]
    [TestCase(2, 8, 65)]
    [TestCase(1, 33, 130)]
    public void Gradient_similarity(int planes, int height, int width)
    {
        // Pixels in [0, 1], a flat region among them, where the similarity is 1.
        Random random = new(width);
        float[] a = [.. Enumerable.Range(0, planes * height * width).Select(i => i % width < 5 ? 0.25f : random.NextSingle())];
        float[] b = [.. a.Select((v, i) => i % width < 4 ? v : v + (0.3f * random.NextSingle()))];
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Unwritten(a.Length);
        LaunchSize grid = new(
            DeviceBench.Blocks(width, GradientSimilarityArguments.Threads),
            DeviceBench.Blocks(height, GradientSimilarityArguments.StripRows),
            planes);
        bench.Run("gradient_similarity", grid, new GradientSimilarityArguments
        {
            A = bench.Place(a).Address,
            B = bench.Place(b).Address,
            Y = y.Address,
            Height = height,
            Width = width,
            C = 0.0026f,
        });
        TestData.AssertClose(bench.Read(y), Similarity(a, b, planes, height, width, 0.0026), 2e-6);
    }

    private static double[] Pairs(float[] a, float[] b, int width, Func<double[], double[], double> distance) =>
        [.. a.Chunk(width).Zip(b.Chunk(width), (u, v) => distance([.. u.Select(x => (double)x)], [.. v.Select(x => (double)x)]))];

    private static double Cosine(double[] a, double[] b)
    {
        double dot = a.Zip(b, (u, v) => u * v).Sum(), left = Math.Sqrt(a.Sum(u => u * u)), right = Math.Sqrt(b.Sum(v => v * v));
        return 1 - (dot / (Math.Max(left, 1e-8) * Math.Max(right, 1e-8)));
    }

    private static double Euclidean(double[] a, double[] b) => Math.Sqrt(a.Zip(b, (u, v) => (u - v) * (u - v)).Sum());

    private static float[] Planes(float[] tokens, int count, int width) =>
    [
        .. from picture in tokens.Chunk(count * width)
           from c in Enumerable.Range(0, width)
           from t in Enumerable.Range(0, count)
           select picture[(t * width) + c],
    ];

    private static double[] Similarity(float[] a, float[] b, int planes, int height, int width, double c)
    {
        double[] y = new double[a.Length];
        for (int i = 0; i < y.Length; i++)
        {
            double g = Magnitude(a, i), h = Magnitude(b, i);
            y[i] = ((2 * g * h) + c) / ((g * g) + (h * h) + c + 1e-12);
        }

        return y;

        double Magnitude(float[] x, int i)
        {
            int plane = i / (height * width), row = i / width % height, column = i % width;
            double horizontal = 0, vertical = 0;
            for (int d = -1; d <= 1; d++)
            {
                horizontal += At(d, -1) - At(d, 1);
                vertical += At(-1, d) - At(1, d);
            }

            return Math.Sqrt((horizontal * horizontal / 9) + (vertical * vertical / 9) + 1e-12);

            double At(int down, int right) =>
                row + down >= 0 && row + down < height && column + right >= 0 && column + right < width
                    ? x[(((plane * height) + row + down) * width) + column + right]
                    : 0;
        }
    }

    private float[] Distances(float[] a, float[] b, int batch, int tokens, int width, DistanceMeasure measure)
    {
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Unwritten(batch * tokens);
        bench.Run("token_distance", new LaunchSize(DeviceBench.Blocks(tokens, DistanceArguments.TokensPerBlock), batch), new DistanceArguments
        {
            A = bench.Place(a).Address,
            B = bench.Place(b).Address,
            Y = y.Address,
            ABatchStride = tokens * width,
            BBatchStride = tokens * width,
            Tokens = tokens,
            Width = width,
            AStride = width,
            BStride = width,
            Measure = measure,
            Scale = 1,
        });
        return bench.Read(y);
    }
}
