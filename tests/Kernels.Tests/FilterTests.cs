using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Separable filters, pooling and interpolation against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class FilterTests(string architecture)
{
    [Test, Sequential]
    public void Filters_reach_beyond_the_border(
        [Values(1, 2, 1, 3, 1)] int planes, [Values(1, 17, 9, 7, 33)] int height, [Values(1, 63, 130, 3, 65)] int width, [Values(0, 1, 3, 16, 16)] int radius)
    {
        foreach (FilterBorder border in Enum.GetValues<FilterBorder>())
        {
            float[] x = TestData.Values(planes * height * width, seed: width);
            float[] taps = TestData.Values((2 * radius) + 1, seed: radius, scale: 0.1f, outliers: false);
            double size = x.Max(Math.Abs) * Math.Pow(taps.Sum(t => Math.Abs((double)t)), 2);
            TestData.AssertClose(Filter(x, taps, border, planes, height, width), Filtered(x, taps, border, planes, height, width), 1e-6 * size);
        }
    }

    [Test]
    public void An_infinity_reaches_no_further_than_the_taps()
    {
        float[] x = new float[20 * 20];
        x[(9 * 20) + 10] = float.PositiveInfinity;
        float[] y = Filter(x, [0.25f, 0.5f, 0.25f], FilterBorder.Reflect, 1, 20, 20);
        IEnumerable<bool> reached = Enumerable.Range(0, 400).Select(i => Math.Abs((i / 20) - 9) <= 1 && Math.Abs((i % 20) - 10) <= 1);
        Assert.That(y, Is.EqualTo(reached.Select(r => r ? float.PositiveInfinity : 0)));
    }

    [Test]
    public void The_map_s_Gaussian_reads_a_pixel_a_few_times_only_and_meets_no_bank_conflicts()
    {
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        DeviceArray x = bench.Place(TestData.Values(256 * 256, seed: 1)), y = bench.Unwritten(256 * 256), taps = bench.Place(TestData.Values(33, seed: 2));
        LaunchCounters counters = bench.Count("separable_filter", new LaunchSize(4, 32), new FilterArguments
        {
            X = x.Address,
            Y = y.Address,
            Taps = taps.Address,
            Radius = 16,
            Height = 256,
            Width = 256,
            Border = FilterBorder.Reflect,
        }, FilterArguments.SharedBytes(16));
        Assert.That(counters[CounterNames.GlobalLoadBytes] / (double)(256 * 256 * 4), Is.LessThan(14));
        Assert.That(counters[CounterNames.GlobalStoreSectors], Is.EqualTo(256 * 256 * 4 / 32));
        Assert.That(counters[CounterNames.SharedLoadConflicts] + counters[CounterNames.SharedStoreConflicts], Is.Zero);
    }

    [TestCase(1, 1, 1, 1, 1, 0)]
    [TestCase(2, 8, 12, 2, 2, 0)]
    [TestCase(1, 33, 70, 16, 1, 0)]
    [TestCase(3, 9, 7, 3, 2, 1)]
    [TestCase(1, 64, 64, 16, 16, 0)]
    [TestCase(1, 20, 200, 5, 3, 2)]
    public void Windows_are_pooled(int planes, int height, int width, int kernel, int stride, int padding)
    {
        foreach (PoolOperation operation in Enum.GetValues<PoolOperation>())
        {
            float[] x = TestData.Values(planes * height * width, seed: kernel);
            TestData.AssertClose(
                Pool(x, operation, planes, height, width, kernel, stride, padding),
                Pooled(x, operation, planes, height, width, kernel, stride, padding),
                operation == PoolOperation.Max ? 0 : 1e-6 * x.Max(Math.Abs));
        }
    }

    [Test]
    public void The_maximum_of_a_window_with_NaN_is_NaN()
    {
        float[] x = [1, 2, float.NaN, 3, 4, 5, 6, 7];
        Assert.That(Pool(x, PoolOperation.Max, 1, 2, 4, 2, 2, 0), Is.EqualTo((float[])[5, float.NaN]));
    }

    [Test]
    public void The_score_s_average_reads_a_pixel_a_few_times_only()
    {
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        DeviceArray x = bench.Place(TestData.Values(256 * 256, seed: 1)), y = bench.Poisoned(241 * 241);
        PoolArguments arguments = Pooling(PoolOperation.Average, 256, 256, 16, 1, 0) with { X = x.Address, Y = y.Address };
        LaunchCounters counters = bench.Count("pool", new LaunchSize(4, 31), arguments, PoolArguments.SharedBytes(16, 1, arguments.TileShift));
        Assert.That(counters[CounterNames.GlobalLoadBytes] / (double)(241 * 241 * 4), Is.LessThan(22));
        Assert.That(counters[CounterNames.SharedLoadConflicts] + counters[CounterNames.SharedStoreConflicts], Is.Zero);
    }

    [TestCase(1, 1, 1, 1, 1)]
    [TestCase(1, 16, 16, 256, 256)]
    [TestCase(2, 5, 7, 63, 17)]
    [TestCase(1, 64, 64, 7, 9)]
    [TestCase(1, 3, 1, 5, 4)]
    [TestCase(1, 4, 4, 1, 1)]
    public void Planes_are_interpolated(int planes, int height, int width, int yHeight, int yWidth)
    {
        foreach (bool alignCorners in (bool[])[true, false])
        {
            float[] x = TestData.Values(planes * height * width, seed: height, outliers: false);
            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Unwritten(planes * yHeight * yWidth);
            bench.Run("resize", new LaunchSize(DeviceBench.Blocks(yWidth, ResizeArguments.Threads), yHeight, planes), new ResizeArguments
            {
                X = bench.Place(x).Address,
                Y = y.Address,
                Channels = Divisor.Of(1),
                Height = height,
                Width = width,
                YHeight = yHeight,
                YWidth = yWidth,
                RowStep = ResizeArguments.Step(height, yHeight, alignCorners),
                ColumnStep = ResizeArguments.Step(width, yWidth, alignCorners),
                AlignCorners = alignCorners ? 1 : 0,
                Scale = 0.5f,
            });
            double[] expected = Resized(x, planes, height, width, yHeight, yWidth, alignCorners);
            TestData.AssertClose(bench.Read(y), [.. expected.Select(v => v / 2)], 1e-6);
        }
    }

    [TestCase(2, 16, 16, 3, 5, 7)]
    [TestCase(1, 5, 7, 17, 9, 20)]
    [TestCase(1, 3, 1, 65, 2, 4)]
    public void Maps_are_interpolated_channel_by_channel(int maps, int height, int width, int channels, int yHeight, int yWidth)
    {
        foreach (bool alignCorners in (bool[])[true, false])
        {
            float[] x = TestData.Values(maps * height * width * channels, seed: height, outliers: false);
            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Unwritten(maps * yHeight * yWidth * channels);
            bench.Run("resize", new LaunchSize(DeviceBench.Blocks(yWidth * channels, ResizeArguments.Threads), yHeight, maps), new ResizeArguments
            {
                X = bench.Place(x).Address,
                Y = y.Address,
                Channels = Divisor.Of(channels),
                Height = height,
                Width = width,
                YHeight = yHeight,
                YWidth = yWidth,
                RowStep = ResizeArguments.Step(height, yHeight, alignCorners),
                ColumnStep = ResizeArguments.Step(width, yWidth, alignCorners),
                AlignCorners = alignCorners ? 1 : 0,
                Scale = 1,
            });
            float[] result = bench.Read(y);
            for (int c = 0; c < channels; c++)
            {
                float[] plane = [.. x.Where((_, i) => i % channels == c)], found = [.. result.Where((_, i) => i % channels == c)];
                TestData.AssertClose(found, Resized(plane, maps, height, width, yHeight, yWidth, alignCorners), 1e-6);
            }
        }
    }

    [TestCase(2, 9, 33, 5)]
    [TestCase(1, 17, 40, 0)]
    [TestCase(1, 3, 5, 3)]
    public void Structural_similarity(int planes, int height, int width, int radius)
    {
        // Pixels in [0, 1] of two pictures that agree on the left.
        Random random = new(width);
        float[] a = [.. Enumerable.Range(0, planes * height * width).Select(_ => random.NextSingle())];
        float[] b = [.. a.Select((v, i) => i % width < width / 2 ? v : v + (0.3f * (random.NextSingle() - 0.5f)))];
        double[] weights = [.. Enumerable.Range(-radius, (2 * radius) + 1).Select(d => Math.Exp(-d * d / 4.5))];
        float[] taps = [.. weights.Select(w => (float)(w / weights.Sum()))];
        double[] expected = new double[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            int plane = i / (height * width), row = i / width % height, column = i % width;
            double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
            for (int u = Math.Max(-radius, -row); u <= Math.Min(radius, height - 1 - row); u++)
            {
                for (int v = Math.Max(-radius, -column); v <= Math.Min(radius, width - 1 - column); v++)
                {
                    double tap = (double)taps[radius + u] * taps[radius + v], x = a[i + (u * width) + v], y = b[i + (u * width) + v];
                    ma += tap * x;
                    mb += tap * y;
                    aa += tap * x * x;
                    bb += tap * y * y;
                    ab += tap * x * y;
                }
            }

            expected[i] = ((2 * ma * mb) + 1e-4) * ((2 * (ab - (ma * mb))) + 9e-4) / (((ma * ma) + (mb * mb) + 1e-4) * (aa - (ma * ma) + bb - (mb * mb) + 9e-4));
        }

        using DeviceBench bench = new(architecture);
        DeviceArray result = bench.Unwritten(a.Length);
        LaunchSize grid = new(
            DeviceBench.Blocks(width, StructuralSimilarityArguments.TileColumns), DeviceBench.Blocks(height, StructuralSimilarityArguments.TileRows), planes);
        StructuralSimilarityArguments arguments = new()
        {
            A = bench.Place(a).Address,
            B = bench.Place(b).Address,
            Y = result.Address,
            Taps = bench.Place(taps).Address,
            Columns = Divisor.Of(StructuralSimilarityArguments.TileColumns + (2 * radius)),
            Radius = radius,
            Height = height,
            Width = width,
            C1 = 1e-4f,
            C2 = 9e-4f,
        };
        bench.Run("structural_similarity", grid, arguments, StructuralSimilarityArguments.SharedBytes(radius));

        // The variance is what is left of two numbers up to 1: its error of 2e-7 stands against c₂ = 9e-4.
        TestData.AssertClose(bench.Read(result), expected, 1e-3);
        Assert.That(bench.Read(result).Zip(expected, (f, e) => Math.Abs(f - e)).Average(), Is.LessThan(1e-5));
    }

    private static double[] Filtered(float[] x, float[] taps, FilterBorder border, int planes, int height, int width)
    {
        int radius = taps.Length / 2;
        double[] rows = new double[x.Length], y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            (int plane, int row, int column) = (i / (height * width), i / width % height, i % width);
            rows[i] = taps.Select((t, k) => Beyond(row + k - radius, height) is int r ? (double)t * x[(((plane * height) + r) * width) + column] : 0).Sum();
        }

        for (int i = 0; i < x.Length; i++)
        {
            int column = i % width;
            y[i] = taps.Select((t, k) => Beyond(column + k - radius, width) is int c ? t * rows[i - column + c] : 0).Sum();
        }

        return y;

        // One reflection after the other instead of a remainder.
        int? Beyond(int index, int extent)
        {
            while (index < 0 || index >= extent)
            {
                if (border == FilterBorder.Zero)
                {
                    return null;
                }

                index = index < 0 ? -1 - index : (2 * extent) - 1 - index;
            }

            return index;
        }
    }

    private static double[] Pooled(float[] x, PoolOperation operation, int planes, int height, int width, int kernel, int stride, int padding)
    {
        int yHeight = ((height + (2 * padding) - kernel) / stride) + 1, yWidth = ((width + (2 * padding) - kernel) / stride) + 1;
        IEnumerable<double> windows =
            from p in Enumerable.Range(0, planes)
            from r in Enumerable.Range(0, yHeight)
            from c in Enumerable.Range(0, yWidth)
            let pixels = (from i in Enumerable.Range((r * stride) - padding, kernel)
                          from j in Enumerable.Range((c * stride) - padding, kernel)
                          where i >= 0 && i < height && j >= 0 && j < width
                          select (double)x[(((p * height) + i) * width) + j]).ToArray()
            select operation switch
            {
                PoolOperation.Max => pixels.Max(),
                PoolOperation.AverageInside => pixels.Average(),
                _ => pixels.Sum() / (kernel * kernel),
            };
        return [.. windows];
    }

    private static double[] Resized(float[] x, int planes, int height, int width, int yHeight, int yWidth, bool alignCorners)
    {
        double[] y = new double[planes * yHeight * yWidth];
        for (int i = 0; i < y.Length; i++)
        {
            int plane = i / (yHeight * yWidth);
            (int top, int bottom, double lower) = Source(i / yWidth % yHeight, height, yHeight);
            (int left, int right, double further) = Source(i % yWidth, width, yWidth);
            y[i] = ((1 - lower) * Across(top)) + (lower * Across(bottom));
            double Across(int row) => ((1 - further) * At(row, left)) + (further * At(row, right));
            double At(int row, int column) => x[(((plane * height) + row) * width) + column];
        }

        return y;

        // The coordinate in float32, as it is defined; what follows from it in float64.
        (int Lower, int Upper, double Weight) Source(int index, int input, int output)
        {
            float position = alignCorners
                ? output > 1 ? (float)(input - 1) / (output - 1) * index : 0
                : MathF.Max(((float)input / output * (index + 0.5f)) - 0.5f, 0);
            int lower = Math.Min((int)position, input - 1);
            return (lower, Math.Min(lower + 1, input - 1), Math.Min(position - lower, 1));
        }
    }

    private static PoolArguments Pooling(PoolOperation operation, int height, int width, int kernel, int stride, int padding) => new()
    {
        Height = height,
        Width = width,
        YHeight = ((height + (2 * padding) - kernel) / stride) + 1,
        YWidth = ((width + (2 * padding) - kernel) / stride) + 1,
        Kernel = kernel,
        Stride = stride,
        Padding = padding,
        TileShift = PoolArguments.TileShiftFor(kernel, stride),
        Operation = operation,
    };

    private float[] Filter(float[] x, float[] taps, FilterBorder border, int planes, int height, int width)
    {
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Unwritten(x.Length);
        LaunchSize grid = new(DeviceBench.Blocks(width, FilterArguments.TileColumns), DeviceBench.Blocks(height, FilterArguments.TileRows), planes);
        bench.Run("separable_filter", grid, new FilterArguments
        {
            X = bench.Place(x).Address,
            Y = y.Address,
            Taps = bench.Place(taps).Address,
            Radius = taps.Length / 2,
            Height = height,
            Width = width,
            Border = border,
        }, FilterArguments.SharedBytes(taps.Length / 2));
        return bench.Read(y);
    }

    private float[] Pool(float[] x, PoolOperation operation, int planes, int height, int width, int kernel, int stride, int padding)
    {
        using DeviceBench bench = new(architecture);
        PoolArguments arguments = Pooling(operation, height, width, kernel, stride, padding);
        DeviceArray y = bench.Unwritten(planes * arguments.YHeight * arguments.YWidth);
        LaunchSize grid = new(
            DeviceBench.Blocks(arguments.YWidth, 1 << arguments.TileShift), DeviceBench.Blocks(arguments.YHeight, PoolArguments.TileRows), planes);
        bench.Run("pool", grid, arguments with { X = bench.Place(x).Address, Y = y.Address }, PoolArguments.SharedBytes(kernel, stride, arguments.TileShift));
        return bench.Read(y);
    }
}
