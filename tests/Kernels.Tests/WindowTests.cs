using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Depthwise convolution, max pooling and transposed convolution, channels last, against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class WindowTests(string architecture)
{
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)]
    [TestCase(2, 5, 9, 8, 3, 3, 1, 1, 1, 1, 1)]
    [TestCase(1, 12, 13, 17, 3, 3, 2, 0, 0, 1, 1)]
    [TestCase(1, 9, 11, 20, 5, 5, 2, 1, 1, 2, 2)]
    [TestCase(1, 7, 6, 63, 5, 3, 1, 2, 1, 2, 1)]
    [TestCase(2, 6, 11, 12, 3, 5, 1, 1, 2, 1, 2)]
    [TestCase(1, 9, 7, 17, 5, 5, 1, 2, 0, 2, 3)]
    [TestCase(2, 10, 17, 4, 2, 2, 3, 0, 0, 0, 0)]
    [TestCase(1, 3, 2, 4, 3, 3, 2, 3, 4, 3, 4)]
    public void Depthwise_convolution_and_max_pooling(
        int maps, int height, int width, int channels, int kernelHeight, int kernelWidth, int stride, int top, int left, int bottom, int right)
    {
        int yHeight = ((height + top + bottom - kernelHeight) / stride) + 1, yWidth = ((width + left + right - kernelWidth) / stride) + 1;
        int count = maps * yHeight * yWidth * channels;
        float[] w = TestData.Values(kernelHeight * kernelWidth * channels, seed: 2), bias = TestData.Values(channels, seed: 3), residual = TestData.Values(count, seed: 4);
        foreach ((StorageType from, StorageType to, bool sum) in ((StorageType, StorageType, bool)[])
            [(StorageType.Float, StorageType.Float, false), (StorageType.Half, StorageType.Half, true), (StorageType.Tf32, StorageType.Tf32, true)])
        {
            float[] x = TestData.Values(maps * height * width * channels, seed: 1, from);
            double[] expected = new double[count], size = new double[count];
            for (int i = 0; i < count; i++)
            {
                double total = bias[i % channels], magnitude = Math.Abs(total);
                foreach ((int tap, int element) in Window(i))
                {
                    double product = (double)w[(tap * channels) + (i % channels)] * x[element];
                    total += product;
                    magnitude += Math.Abs(product);
                }

                expected[i] = sum ? Swish(total + residual[i]) : Swish(total) + residual[i];
                size[i] = magnitude + Math.Abs(residual[i]);
            }

            using DeviceBench bench = new(architecture);
            DeviceArray y;
            WindowArguments arguments = Arguments(channels) with
            {
                X = bench.Place(x, from).Address,
                XType = from,
                Weight = bench.Place(w).Address,
                Bias = bench.Place(bias).Address,
                Residual = bench.Place(residual).Address,
                ResidualStride = channels,
                Type = to,
                Function = EpilogueFunction.Swish,
                ActivateSum = sum ? 1 : 0,
            };
            string[] kernels = stride == 1 && kernelWidth is (3 or 5) ? ["depthwise", $"depthwise_{kernelWidth}"] : ["depthwise"];
            foreach (string kernel in kernels)
            {
                bench.Run(kernel, new LaunchSize(DeviceBench.Blocks(arguments.Units, WindowArguments.Threads)), arguments with { Y = (y = bench.Poisoned(count, to)).Address });
                float[] found = bench.Read(y);
                for (int i = 0; i < count; i++)
                {
                    double within = (1e-6 * size[i]) + (Rounding.Unit(to) * Math.Abs(expected[i])) + 1e-6;
                    Assert.That(found[i], Is.EqualTo(expected[i]).Within(within), $"{kernel}, {from}, element {i}");
                }
            }
        }

        double[] largest = new double[count];
        float[] pixels = TestData.Values(maps * height * width * channels, seed: 5);
        pixels[^1] = float.NaN;
        for (int i = 0; i < count; i++)
        {
            float[] window = [.. Window(i).Select(t => pixels[t.Element])];
            largest[i] = window.Any(float.IsNaN) ? double.NaN : window.DefaultIfEmpty(float.NegativeInfinity).Max();
        }

        using DeviceBench pool = new(architecture);
        DeviceArray result = pool.Poisoned(count);
        WindowArguments pooling = Arguments(channels) with { X = pool.Place(pixels).Address, Y = result.Address };
        pool.Run("max_pool", new LaunchSize(DeviceBench.Blocks(pooling.Units, WindowArguments.Threads)), pooling);
        TestData.AssertClose(pool.Read(result), largest, 0);

        IEnumerable<(int Tap, int Element)> Window(int i)
        {
            int pixel = i / channels, firstRow = (pixel / yWidth % yHeight * stride) - top, firstColumn = (pixel % yWidth * stride) - left;
            for (int tap = 0; tap < kernelHeight * kernelWidth; tap++)
            {
                int row = firstRow + (tap / kernelWidth), column = firstColumn + (tap % kernelWidth);
                if (row >= 0 && row < height && column >= 0 && column < width)
                {
                    yield return (tap, (((((pixel / (yHeight * yWidth) * height) + row) * width) + column) * channels) + (i % channels));
                }
            }
        }

        WindowArguments Arguments(int distance)
        {
            bool vectors = channels % 4 == 0;
            int channelUnits = vectors ? channels / 4 : channels, columnUnits = DeviceBench.Blocks(yWidth, WindowArguments.Columns);
            return new WindowArguments
            {
                ChannelUnits = Divisor.Of(channelUnits),
                ColumnUnits = Divisor.Of(columnUnits),
                YHeight = Divisor.Of(yHeight),
                Units = maps * yHeight * columnUnits * channelUnits,
                Height = height,
                Width = width,
                YWidth = yWidth,
                XStride = distance,
                YStride = distance,
                KernelHeight = kernelHeight,
                KernelWidth = kernelWidth,
                Stride = stride,
                Top = top,
                Left = left,
                Channels = channels,
                Vectors = vectors ? 1 : 0,
            };
        }
    }

    [TestCase(1, 1, 1, 1, 1, 1, 1, 0)]
    [TestCase(2, 3, 5, 9, 3, 3, 2, 1)]
    [TestCase(1, 4, 6, 8, 16, 9, 3, 1)]
    [TestCase(1, 3, 4, 17, 20, 7, 5, 1)]
    [TestCase(1, 5, 70, 12, 17, 9, 2, 0)]
    [TestCase(1, 6, 140, 8, 8, 6, 1, 0)]
    [TestCase(1, 9, 7, 8, 3, 11, 1, 0)]
    [TestCase(1, 3, 2, 5, 4, 2, 4, 0)]
    [TestCase(2, 5, 131, 16, 9, 5, 1, 2)]
    [TestCase(1, 6, 9, 24, 3, 9, 2, 3)]
    public void Transposed_convolution(int maps, int height, int width, int channels, int outputs, int kernel, int stride, int padding)
    {
        TransposedReference reference = new(maps, height, width, channels, outputs, kernel, stride, padding);
        int yHeight = reference.YHeight, yWidth = reference.YWidth, count = reference.Count, columns = (outputs + 7) / 8 * 8;
        float[] w = TestData.Values(kernel * kernel * channels * outputs, seed: 2), bias = TestData.Values(outputs, seed: 3);
        foreach (StorageType type in (StorageType[])[StorageType.Float, StorageType.Half])
        {
            float[] x = TestData.Values(maps * height * width * channels, seed: 1, type);
            (double[] sums, double[] size) = reference.Sums(x, w, bias);
            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Poisoned(count);
            int group = outputs > 4 ? 8 : 4, tiles = DeviceBench.Blocks(DeviceBench.Blocks(yWidth, stride), TransposedConvolutionArguments.TileColumns);
            LaunchSize grid = new(
                tiles * DeviceBench.Blocks(outputs, group),
                DeviceBench.Blocks(DeviceBench.Blocks(yHeight, stride), TransposedConvolutionArguments.TileRows),
                maps * stride * stride);
            TransposedConvolutionArguments arguments = new()
            {
                X = bench.Place(x, type).Address,
                XType = type,
                Weight = bench.Place([.. w.Chunk(outputs).SelectMany(c => c.Concat(new float[columns - outputs]))]).Address,
                Bias = bench.Place([.. bias, .. new float[columns - outputs]]).Address,
                Y = y.Address,
                ColumnTiles = Divisor.Of(tiles),
                Stride = Divisor.Of(stride),
                Phases = Divisor.Of(stride * stride),
                Padding = padding,
                Kernel = kernel,
                Height = height,
                Width = width,
                Channels = channels,
                XStride = channels,
                YHeight = yHeight,
                YWidth = yWidth,
                YChannels = outputs,
                YStride = outputs,
                WeightColumns = columns,
                Vectors = outputs % 4 == 0 ? 1 : 0,
                PixelVectors = channels % 8 == 0 ? 1 : 0,
                Function = EpilogueFunction.Relu,
            };
            bench.Run($"transposed_convolution_{group}", grid, arguments, TransposedConvolutionArguments.SharedBytes(kernel, stride, group));
            float[] found = bench.Read(y);
            for (int i = 0; i < count; i++)
            {
                Assert.That(found[i], Is.EqualTo(Math.Max(sums[i], 0)).Within((2e-6 * size[i]) + 1e-6), $"{type}, element {i}");
            }
        }
    }

    [TestCase(1, 1, 1)]
    [TestCase(3, 17, 10)]
    [TestCase(2, 33, 150)]
    [TestCase(1, 5, 257)]
    public void Likelihoods_of_mixtures(int rows, int width, int components)
    {
        float[] x = TestData.Values(rows * width, seed: 1), means = TestData.Values(rows * width * components, seed: 2, outliers: false);
        float[] variances = [.. TestData.Values(rows * width * components, seed: 3, outliers: false).Select(v => (float)LinearReference.Softplus(v))];
        float[] shares = [.. TestData.Values(rows * components, seed: 4, outliers: false).Chunk(components).SelectMany(row =>
        {
            double[] e = [.. row.Select(v => Math.Exp(v))];
            return e.Select(v => (float)(v / e.Sum()));
        })];
        foreach (bool logSumExp in (bool[])[false, true])
        {
            double constant = Math.Log(2 * Math.PI) * (logSumExp ? width : 1);
            double[] expected = new double[rows];
            for (int row = 0; row < rows; row++)
            {
                double[] likelihoods = new double[components];
                for (int k = 0; k < components; k++)
                {
                    double sum = constant;
                    for (int d = 0; d < width; d++)
                    {
                        int at = (((row * width) + d) * components) + k;
                        double distance = (double)x[(row * width) + d] - means[at];
                        sum += variances[at] + (distance * distance * Math.Exp(-variances[at]));
                    }

                    likelihoods[k] = sum / 2;
                }

                double least = likelihoods.Min();
                expected[row] = logSumExp
                    ? least - Math.Log(likelihoods.Select((l, k) => shares[(row * components) + k] * Math.Exp(least - l)).Sum())
                    : likelihoods.Select((l, k) => shares[(row * components) + k] * l).Sum();
            }

            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Poisoned(rows);
            bench.Run(
                "mixture_likelihood",
                new LaunchSize(rows),
                new MixtureLikelihoodArguments
                {
                    X = bench.Place(x).Address,
                    Shares = bench.Place(shares).Address,
                    Means = bench.Place(means).Address,
                    LogVariances = bench.Place(variances).Address,
                    Y = y.Address,
                    Width = width,
                    Components = components,
                    Constant = (float)constant,
                    LogSumExp = logSumExp ? 1 : 0,
                },
                MixtureLikelihoodArguments.SharedBytes(components));
            TestData.AssertClose(bench.Read(y), expected, 1e-5, 2e-6);
        }
    }

    private static double Swish(double x) => x / (1 + Math.Exp(-x));
}
