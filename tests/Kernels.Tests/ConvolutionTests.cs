using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Dense convolutions, which are products over windows, against float64.</summary>
[TestFixture("sm_75", "fp32")]
[TestFixture("sm_75", "fp16")]
[TestFixture("sm_80", "fp32")]
[TestFixture("sm_80", "fp16")]
[TestFixture("sm_80", "tf32")]
internal sealed class ConvolutionTests(string architecture, string precision)
{
    private StorageType Operand => precision switch { "fp16" => StorageType.Half, "tf32" => StorageType.Tf32, _ => StorageType.Float };

    /// <summary>Values of which one table entry speaks.</summary>
    private int Unit => precision switch { "fp16" => 8, "tf32" => 4, _ => 1 };

    public static IEnumerable<TestCaseData> Shapes()
    {
        // tile, maps, height, width, channels, outputs, kernel height and width, stride, top, left, bottom, right
        yield return Shape("one pixel", 64, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0);
        yield return Shape("3×3", 64, 2, 5, 7, 8, 20, 3, 3, 1, 1, 1, 1, 1);
        yield return Shape("a picture, asymmetric padding", 64, 1, 12, 9, 3, 17, 3, 3, 2, 0, 0, 1, 1);
        yield return Shape("7×7 of a picture", 64, 1, 17, 15, 3, 63, 7, 7, 2, 3, 3, 3, 3);
        yield return Shape("1×1 with a stride", 64, 3, 7, 5, 17, 36, 1, 1, 2, 0, 0, 0, 0);
        yield return Shape("not square", 64, 1, 6, 20, 5, 24, 1, 5, 1, 0, 4, 0, 1);
        yield return Shape("16×16", 64, 1, 16, 18, 2, 3, 16, 16, 1, 0, 0, 0, 0);
        yield return Shape("windows beyond the border", 64, 1, 2, 3, 4, 4, 3, 2, 3, 4, 5, 4, 5);
        yield return Shape("large tile", 128, 1, 11, 13, 24, 130, 3, 3, 1, 1, 1, 1, 1);

        static TestCaseData Shape(string name, params int[] numbers) => new TestCaseData(numbers).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Shapes))]
    public void Windows_times_columns(int[] shape)
    {
        (int tile, int n, int k, float[] x, float[] w, float[] windows) = Problem(shape);
        using DeviceBench bench = new(architecture);
        int m = windows.Length / k;
        string[] kernels = Tile(tile) == 128 && architecture != "sm_75" ? [Kernel(tile), Kernel(tile) + "of8"] : [Kernel(tile)];
        foreach (string kernel in kernels)
        {
            DeviceArray y = bench.Poisoned(m * n);
            bench.Run(kernel, LinearReference.Grid(m, n, Tile(tile)), Arguments(bench, shape, x, w, y));
            AssertProduct(bench.Read(y), windows, w, m, n, k, (_, _, sum) => sum);
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public void The_epilogue_adds_and_activates(bool activateSum)
    {
        int[] shape = [64, 1, 9, 8, 16, 36, 3, 3, 1, 1, 1, 1, 1];
        (int tile, int n, int k, float[] x, float[] w, float[] windows) = Problem(shape);
        int m = windows.Length / k;
        float[] bias = TestData.Values(n, seed: 3), residual = TestData.Values(m * n, seed: 4);
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(m * n);
        ConvolutionArguments a = Arguments(bench, shape, x, w, y);
        a.Linear.Bias = bench.Place(WeightPanels.Pad(bias)).Address;
        a.Linear.Residual = bench.Place(residual).Address;
        a.Linear.ResidualStride = n;
        a.Linear.Function = EpilogueFunction.Relu;
        a.Linear.ActivateSum = activateSum ? 1 : 0;
        bench.Run(Kernel(tile), LinearReference.Grid(m, n, Tile(tile)), a);
        AssertProduct(bench.Read(y), windows, w, m, n, k, (row, column, sum) => activateSum
            ? Math.Max(sum + bias[column] + residual[(row * n) + column], 0)
            : Math.Max(sum + bias[column], 0) + residual[(row * n) + column]);
    }

    [Test]
    public void Splits_of_K_add_up()
    {
        const int Splits = 3;
        int[] shape = [64, 1, 5, 6, 40, 21, 3, 3, 1, 1, 1, 1, 1];
        (int tile, int n, int k, float[] x, float[] w, float[] windows) = Problem(shape);
        int m = windows.Length / k, stride = (n + 3) / 4 * 4, tiles = DeviceBench.Blocks(9 * DeviceBench.Blocks(40, Unit) * Unit, TileLength);
        using DeviceBench bench = new(architecture);
        DeviceArray workspace = bench.Poisoned(Splits * m * stride), y = bench.Poisoned(m * n);
        ConvolutionArguments partial = Arguments(bench, shape, x, w, workspace);
        partial.Linear.YStride = stride;
        partial.Linear.TilesPerSplit = DeviceBench.Blocks(tiles, Splits);
        bench.Run(Kernel(tile), LinearReference.Grid(m, n, Tile(tile)) with { Z = Splits }, partial);
        bench.Run("linear_reduce", new LaunchSize(DeviceBench.Blocks(m * stride / 4, 256)), new LinearArguments
        {
            X = workspace.Address,
            Y = y.Address,
            M = m,
            N = n,
            K = Splits,
            XStride = stride,
            YStride = n,
        });
        AssertProduct(bench.Read(y), windows, w, m, n, k, (_, _, sum) => sum);
    }

    [Test]
    public void Maps_are_padded_with_zeros_whatever_lies_around_them()
    {
        // The pixel that is not a number stays in the windows that hold it: 4 of 9 at a corner.
        int[] shape = [64, 1, 3, 3, 8, 4, 3, 3, 1, 1, 1, 1, 1];
        (int tile, int n, int k, float[] x, float[] w, float[] windows) = Problem(shape);
        x[0] = float.NaN;
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(9 * n);
        bench.Run(Kernel(tile), LinearReference.Grid(9, n, Tile(tile)), Arguments(bench, shape, x, w, y));
        Assert.That(bench.Read(y).Chunk(n).Select(pixel => pixel.All(float.IsNaN)), Is.EqualTo((bool[])[true, true, false, true, true, false, false, false, false]));
        Assert.That(bench.Read(y).Count(float.IsNaN), Is.EqualTo(4 * n));
        Assert.That(windows, Has.Length.EqualTo(9 * k));
    }

    private int TileLength => precision switch { "fp16" => 32, _ => 16 };

    private string Kernel(int tile) => $"convolution_{precision}_{Tile(tile)}";

    /// <summary>fp32 has the small tile only.</summary>
    private int Tile(int tile) => precision == "fp32" ? 64 : tile;

    /// <summary>Maps, weights in rows of (tap, channel), and the windows written out.</summary>
    private (int Tile, int N, int K, float[] X, float[] W, float[] Windows) Problem(int[] shape)
    {
        (int maps, int height, int width, int channels, int n, int kernelHeight, int kernelWidth) = (shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7]);
        (int stride, int top, int left) = (shape[8], shape[9], shape[10]);
        (int yHeight, int yWidth) = Results(shape);
        int k = kernelHeight * kernelWidth * channels;
        float[] x = TestData.Values(maps * height * width * channels, seed: height, Operand), w = TestData.Values(n * k, seed: n, Operand);
        float[] windows = new float[maps * yHeight * yWidth * k];
        for (int i = 0; i < windows.Length; i++)
        {
            int pixel = i / k, tap = i % k / channels, channel = i % channels;
            int row = (pixel / yWidth % yHeight * stride) - top + (tap / kernelWidth), column = (pixel % yWidth * stride) - left + (tap % kernelWidth);
            bool inside = row >= 0 && row < height && column >= 0 && column < width;
            windows[i] = inside ? x[(((((pixel / (yHeight * yWidth) * height) + row) * width) + column) * channels) + channel] : 0;
        }

        return (shape[0], n, k, x, w, windows);
    }

    private static (int Height, int Width) Results(int[] s) => (((s[2] + s[9] + s[11] - s[6]) / s[8]) + 1, ((s[3] + s[10] + s[12] - s[7]) / s[8]) + 1);

    private ConvolutionArguments Arguments(DeviceBench bench, int[] shape, float[] x, float[] w, DeviceArray y)
    {
        (int maps, int height, int width, int channels, int n, int kernelHeight, int kernelWidth) = (shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7]);
        (int stride, int top, int left) = (shape[8], shape[9], shape[10]);
        (int yHeight, int yWidth) = Results(shape);
        int padded = DeviceBench.Blocks(channels, Unit) * Unit, taps = kernelHeight * kernelWidth, k = taps * padded, units = padded / Unit;
        int pixel = padded * DeviceArray.ElementBytes(Operand), row = width * pixel;
        float[] Widen(float[] values) => [.. values.Chunk(channels).SelectMany(c => c.Concat(new float[padded - channels]))];
        List<int> table = [];
        for (int i = 0; i < taps * units; i++)
        {
            int tapRow = i / units / kernelWidth, tapColumn = i / units % kernelWidth;
            table.Add((tapRow * row) + (tapColumn * pixel) + (i % units * Unit * DeviceArray.ElementBytes(Operand)));
            table.Add(ConvolutionArguments.TapFlags(tapRow, tapColumn));
        }

        int tileUnits = TileLength / Unit;
        table.AddRange(new int[(2 * (DeviceBench.Blocks(taps * units, tileUnits) + ConvolutionArguments.TableTiles) * tileUnits) - table.Count]);
        return new ConvolutionArguments
        {
            Linear = new LinearArguments
            {
                X = bench.Place(Widen(x), Operand).Address - (top * row) - (left * pixel),
                Weight = bench.Place(WeightPanels.Pack(Widen(w), n, k, Operand, precision == "fp32"), Operand).Address,
                Y = y.Address,
                M = maps * yHeight * yWidth,
                N = n,
                K = k,
                YStride = n,
                TilesPerSplit = int.MaxValue,
                Vectors = n % 4 == 0 ? 1 : 0,
            },
            Taps = bench.Place([.. table]).Address,
            Columns = Divisor.Of(yWidth),
            Pixels = Divisor.Of(yHeight * yWidth),
            PictureBytes = height * row,
            WindowRowBytes = stride * row,
            WindowColumnBytes = stride * pixel,
            Stride = stride,
            Top = top,
            Left = left,
            Height = height,
            Width = width,
        };
    }

    private void AssertProduct(float[] y, float[] x, float[] w, int m, int n, int k, Func<int, int, double, double> finish)
    {
        if (LinearReference.Deviation(Operand, y, x, w, m, n, k, finish) is string deviation)
        {
            Assert.Fail(deviation);
        }
    }
}
