namespace KernelAD.Kernels.Tests;

/// <summary>Transposed convolutions on tensor cores, which are products of windows with blocks of results, against float64.</summary>
[TestFixture("sm_75", "fp16")]
[TestFixture("sm_80", "fp16")]
[TestFixture("sm_80", "tf32")]
[TestFixture("sm_90", "fp16")]
internal sealed class TransposedProductTests(string architecture, string precision)
{
    private StorageType Operand => precision == "fp16" ? StorageType.Half : StorageType.Tf32;

    /// <summary>Channels of which one table entry speaks.</summary>
    private int Unit => 16 / DeviceArray.ElementBytes(Operand);

    private string[] Tiles => architecture == "sm_75" ? ["64"] : ["64", "128of8"];

    // maps, height, width, channels, outputs, kernel, stride, padding, and pixels from a window to the next
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0, 1)]
    [TestCase(2, 5, 7, 8, 16, 3, 2, 1, 1)]
    [TestCase(1, 5, 6, 8, 12, 4, 2, 1, 2)]
    [TestCase(2, 4, 6, 17, 20, 9, 3, 1, 1)]
    [TestCase(1, 3, 4, 32, 32, 7, 5, 1, 1)]
    [TestCase(1, 9, 13, 12, 16, 9, 2, 0, 1)]
    [TestCase(1, 9, 21, 16, 8, 6, 1, 0, 4)]
    [TestCase(1, 5, 6, 8, 3, 11, 1, 0, 4)]
    [TestCase(2, 4, 5, 9, 3, 4, 1, 0, 5)]
    [TestCase(1, 3, 2, 5, 4, 2, 4, 0, 1)]
    [TestCase(1, 3, 3, 4, 6, 1, 3, 1, 1)]
    [TestCase(1, 6, 9, 24, 3, 9, 2, 3, 2)]
    [TestCase(1, 5, 4, 3, 5, 3, 3, 2, 2)]
    [TestCase(1, 4, 4, 2, 3, 2, 1, 1, 3)]
    [TestCase(1, 2, 3, 2, 1, 16, 1, 0, 1)]
    public void Every_pixel_is_spread_over_the_result(int maps, int height, int width, int channels, int outputs, int kernel, int stride, int padding, int pixels)
    {
        TransposedReference reference = new(maps, height, width, channels, outputs, kernel, stride, padding);
        float[] x = TestData.Values(maps * height * width * channels, seed: 1, Operand), w = TestData.Values(kernel * kernel * channels * outputs, seed: 2, Operand);
        float[] bias = TestData.Values(outputs, seed: 3);
        (double[] sums, double[] magnitudes) = reference.Sums(x, w, bias);
        foreach (string tile in Tiles)
        {
            foreach (StorageType type in (StorageType[])[StorageType.Float, Operand])
            {
                using DeviceBench bench = new(architecture);
                DeviceArray y = bench.Poisoned(reference.Count, type);
                TransposedProductArguments a = Arguments(bench, reference, pixels, x, w, bias, y);
                LinearArguments product = a.Convolution.Linear;
                bench.Run($"transposed_convolution_{precision}_{tile}", LinearReference.Grid(product.M, product.N, tile == "64" ? 64 : 128), a);
                float[] found = bench.Read(y);

                // Operands are exact, and so are their products; see LinearReference.Deviation for what adding them up loses.
                double roundings = (1e-7 * Math.Sqrt(product.K + 4)) + Math.ScaleB(product.K / 8.0, -23);
                for (int i = 0; i < found.Length; i++)
                {
                    double expected = Math.Max(sums[i], 0), bound = (magnitudes[i] * roundings) + (Math.Abs(expected) * (Rounding.Unit(type) + 3e-7)) + 2e-6;
                    Assert.That(found[i], Is.EqualTo(expected).Within(bound), $"{tile}, {type}, element {i}");
                }
            }
        }
    }

    /// <summary>The arguments, with windows and weights from which results meet which pixels.</summary>
    private TransposedProductArguments Arguments(
        DeviceBench bench, TransposedReference r, int pixels, float[] x, float[] w, float[] bias, DeviceArray y)
    {
        int side = pixels * r.Stride, shift = r.Outputs % 4 == 0 ? Math.Min(r.Padding, side - 1) : 0, padded = DeviceBench.Blocks(r.Channels, Unit) * Unit;

        // Pixel j spreads tap u over the result j·s − p + u; the first block begins some results before y.
        int Tap(int result, int pixel) => result - shift + r.Padding - (pixel * r.Stride);
        int[] met = [.. from pixel in Enumerable.Range(-r.Kernel, (2 * r.Kernel) + side + r.Padding)
                        where Enumerable.Range(0, side).Any(result => Tap(result, pixel) >= 0 && Tap(result, pixel) < r.Kernel)
                        select pixel];
        int first = met[0], window = met[^1] - first + 1, k = window * window * padded;
        int elements = side * r.Outputs, rowColumns = DeviceBench.Blocks(elements, 4) * 4, n = side * rowColumns;
        float[] rows = new float[n * k], biases = new float[n];
        for (int column = 0; column < n; column++)
        {
            int row = column / rowColumns, inRow = column % rowColumns / r.Outputs, output = column % rowColumns % r.Outputs;
            if (inRow >= side)
            {
                continue;
            }

            biases[column] = bias[output];
            for (int i = 0; i < k; i++)
            {
                int tapRow = Tap(row, first + (i / padded / window)), tapColumn = Tap(inRow, first + (i / padded % window)), channel = i % padded;
                if (tapRow >= 0 && tapRow < r.Kernel && tapColumn >= 0 && tapColumn < r.Kernel && channel < r.Channels)
                {
                    rows[(column * k) + i] = w[(((((tapRow * r.Kernel) + tapColumn) * r.Channels) + channel) * r.Outputs) + output];
                }
            }
        }

        int elementBytes = DeviceArray.ElementBytes(Operand), pixelBytes = padded * elementBytes, rowBytes = r.Width * pixelBytes, units = padded / Unit;
        List<int> table = [];
        for (int i = 0; i < window * window * units; i++)
        {
            int row = i / units / window, column = i / units % window;
            table.Add((row * rowBytes) + (column * pixelBytes) + (i % units * 16));
            table.Add(ConvolutionArguments.TapFlags(row, column));
        }

        const int EntriesPerTile = 4;
        int entries = (DeviceBench.Blocks(table.Count / 2, EntriesPerTile) + ConvolutionArguments.TableTiles) * EntriesPerTile;
        table.AddRange(new int[(2 * entries) - table.Count]);
        int blockRows = DeviceBench.Blocks(r.YHeight + shift, side), blockColumns = DeviceBench.Blocks(r.YWidth + shift, side);
        float[] widened = [.. x.Chunk(r.Channels).SelectMany(c => c.Concat(new float[padded - r.Channels]))];
        return new TransposedProductArguments
        {
            Convolution = new ConvolutionArguments
            {
                Linear = new LinearArguments
                {
                    X = bench.Place(widened, Operand).Address + (first * rowBytes) + (first * pixelBytes),
                    Weight = bench.Place(WeightPanels.Pack(rows, n, k, Operand, exact: false), Operand).Address,
                    Bias = bench.Place(WeightPanels.Pad(biases)).Address,
                    Y = y.Address,
                    M = r.Maps * blockRows * blockColumns,
                    N = n,
                    K = k,
                    TilesPerSplit = int.MaxValue,
                    Function = EpilogueFunction.Relu,
                    Type = y.Type,
                    Vectors = elements % 4 == 0 && r.YWidth * r.Outputs % 4 == 0 ? 1 : 0,
                },
                Taps = bench.Place([.. table]).Address,
                Columns = Divisor.Of(blockColumns),
                Pixels = Divisor.Of(blockRows * blockColumns),
                PictureBytes = r.Height * rowBytes,
                WindowRowBytes = pixels * rowBytes,
                WindowColumnBytes = pixels * pixelBytes,
                Stride = pixels,
                Top = -first,
                Left = -first,
                Height = r.Height,
                Width = r.Width,
            },
            RowColumns = Divisor.Of(rowColumns),
            RowElements = elements,
            BlockRows = side,
            RowsAbove = shift,
            ElementsBefore = shift * r.Outputs,
            YRows = r.YHeight,
            YRowElements = r.YWidth * r.Outputs,
        };
    }
}
