using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>LayerNorm of rows against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class LayerNormTests(string architecture)
{
    [TestCase("layer_norm_row", 5, 4)]
    [TestCase("layer_norm_row", 1, 128)]
    [TestCase("layer_norm_row", 9, 384)]
    [TestCase("layer_norm_row", 3, 508)]
    [TestCase("layer_norm_row", 4, 512)]
    [TestCase("layer_norm_row", 2, 516)]
    [TestCase("layer_norm_row", 3, 1024)]
    [TestCase("layer_norm_loop", 4, 1)]
    [TestCase("layer_norm_loop", 7, 3)]
    [TestCase("layer_norm_loop", 1, 17)]
    [TestCase("layer_norm_loop", 6, 63)]
    [TestCase("layer_norm_loop", 3, 257)]
    [TestCase("layer_norm_loop", 2, 384)]
    [TestCase("layer_norm_loop", 2, 5000)]
    public void Rows_are_normalised(string kernel, int rows, int width)
    {
        float[] x = TestData.Values(rows * width, seed: width);
        Check(kernel, x, width, StorageType.Float, 2e-6);
    }

    [TestCase("layer_norm_row")]
    [TestCase("layer_norm_loop")]
    public void A_large_mean_costs_no_digits(string kernel)
    {
        // The values are exact in float32: what remains of the mean's rounding would show as an error of 1e-3.
        float[] x = [.. TestData.Values(3 * 256, seed: 5, outliers: false).Select(v => 4096 + (MathF.Round(v * 2048) / 2048))];
        Check(kernel, x, 256, StorageType.Float, 4e-6);
    }

    [TestCase("layer_norm_row", StorageType.Half)]
    [TestCase("layer_norm_row", StorageType.Tf32)]
    [TestCase("layer_norm_loop", StorageType.Half)]
    [TestCase("layer_norm_loop", StorageType.Tf32)]
    public void The_result_is_rounded_to_its_type_and_padded_with_zeros(string kernel, StorageType type) =>
        Check(kernel, TestData.Values(5 * 92, seed: 7), 92, type, 2e-6, xPadding: 4, yColumns: 96, yPadding: 8);

    [TestCase("layer_norm_row")]
    [TestCase("layer_norm_loop")]
    public void A_residual_is_added_and_the_sum_stored_where_an_operand_was(string kernel)
    {
        const int Rows = 6, Width = 132, Stride = 136;
        using DeviceBench bench = new(architecture);
        float[] x = TestData.Values(Rows * Width, seed: 1), r = TestData.Values(Rows * Width, seed: 2);
        float[] weight = TestData.Values(Width, seed: 3), bias = TestData.Values(Width, seed: 4);
        float[] sum = [.. x.Zip(r, (a, b) => a + b)];
        DeviceArray source = bench.Place(TestData.Padded(x, Width, Stride)), residual = bench.Place(r);
        DeviceArray y = bench.Unwritten(Rows * Width), plain = bench.Unwritten(Rows * Width);
        bench.Run(kernel, Grid(Rows), new LayerNormArguments
        {
            X = source.Address,
            Residual = residual.Address,
            Sum = residual.Address,
            Weight = bench.Place(weight).Address,
            Bias = bench.Place(bias).Address,
            Y = y.Address,
            Plain = plain.Address,
            Rows = Rows,
            Width = Width,
            Columns = Width,
            XStride = Stride,
            ResidualStride = Width,
            SumStride = Width,
            YStride = Width,
            PlainStride = Width,
            Epsilon = 1e-5f,
            Type = StorageType.Tf32,
        });
        double[] expected = Normalised(sum, weight, bias, 1e-5);
        Assert.That(bench.Read(residual), Is.EqualTo(sum));
        TestData.AssertClose(bench.Read(plain), expected, 2e-6 * 12);
        Assert.That(bench.Read(y), Is.EqualTo(bench.Read(plain).Select(Rounding.ToTf32)));
    }

    [TestCase("layer_norm_row")]
    [TestCase("layer_norm_loop")]
    public void A_row_that_is_not_finite_leaves_the_others_alone(string kernel)
    {
        float[] x = TestData.Values(3 * 64, seed: 9);
        x[64 + 5] = float.NaN;
        x[128 + 63] = float.PositiveInfinity;
        float[] y = Run(kernel, x, 64, Ones(64), new float[64], StorageType.Float, 0, 64, 0);
        Assert.That(y.AsSpan(0, 64).ToArray(), Has.All.Matches<float>(float.IsFinite));
        Assert.That(y.AsSpan(64).ToArray(), Has.All.NaN);
    }

    [Test]
    public void A_row_in_registers_is_read_once_in_whole_sectors()
    {
        const int Rows = 8, Width = 384, RowSectors = Width * sizeof(float) / 32;
        using DeviceBench bench = new(architecture, EmulatorChecks.Memory);
        DeviceArray x = bench.Place(TestData.Values(Rows * Width, seed: 1)), weight = bench.Place(Ones(Width));
        DeviceArray y = bench.Unwritten(Rows * Width, StorageType.Half);
        LaunchCounters counters = bench.Count("layer_norm_row", Grid(Rows), new LayerNormArguments
        {
            X = x.Address,
            Weight = weight.Address,
            Bias = weight.Address,
            Y = y.Address,
            Rows = Rows,
            Width = Width,
            Columns = Width,
            XStride = Width,
            YStride = Width,
            Epsilon = 1e-6f,
            Type = StorageType.Half,
        });
        Assert.That(counters[CounterNames.GlobalLoadSectors], Is.EqualTo(3 * Rows * RowSectors), "x, weight and bias once a row");
        Assert.That(counters[CounterNames.GlobalStoreSectors], Is.EqualTo(Rows * RowSectors / 2));
    }

    private static float[] Ones(int count) => [.. Enumerable.Repeat(1f, count)];

    private static LaunchSize Grid(int rows) => new(DeviceBench.Blocks(rows, LayerNormArguments.RowsPerBlock));

    /// <summary>Layer normalisation in float64.</summary>
    internal static double[] Normalised(float[] x, float[] weight, float[] bias, double epsilon)
    {
        int width = weight.Length;
        double[] y = new double[x.Length];
        for (int row = 0; row < x.Length / width; row++)
        {
            double[] values = [.. x.AsSpan(row * width, width).ToArray().Select(v => (double)v)];
            double mean = values.Average(), variance = values.Average(v => (v - mean) * (v - mean));
            for (int c = 0; c < width; c++)
            {
                y[(row * width) + c] = ((values[c] - mean) / Math.Sqrt(variance + epsilon) * weight[c]) + bias[c];
            }
        }

        return y;
    }

    /// <summary>Runs and compares; <paramref name="relative"/> is what is allowed beside the type's rounding, relative to the largest value of a row.</summary>
    private void Check(string kernel, float[] x, int width, StorageType type, double relative, int xPadding = 0, int? yColumns = null, int yPadding = 0)
    {
        float[] weight = TestData.Values(width, seed: 11), bias = TestData.Values(width, seed: 12);
        int columns = yColumns ?? width;
        float[] actual = Run(kernel, x, width, weight, bias, type, xPadding, columns, yPadding);
        double[] expected = Normalised(x, weight, bias, 1e-6);
        for (int row = 0; row < x.Length / width; row++)
        {
            double[] of = expected[(row * width)..((row + 1) * width)];
            ReadOnlySpan<float> result = actual.AsSpan(row * (columns + yPadding), columns + yPadding);
            TestData.AssertClose(result[..width].ToArray(), of, relative * of.Max(Math.Abs), Rounding.Unit(type));
            Assert.That(result[width..columns].ToArray(), Has.All.Zero);
            Assert.That(result[columns..].ToArray(), Has.All.NaN, "nothing beyond the columns is written");
        }
    }

    private float[] Run(
        string kernel, float[] x, int width, float[] weight, float[] bias, StorageType type, int xPadding, int yColumns, int yPadding)
    {
        using DeviceBench bench = new(architecture);
        int rows = x.Length / width;
        DeviceArray y = bench.Poisoned(rows * (yColumns + yPadding), type);
        bench.Run(kernel, Grid(rows), new LayerNormArguments
        {
            X = bench.Place(TestData.Padded(x, width, width + xPadding)).Address,
            Weight = bench.Place(weight).Address,
            Bias = bench.Place(bias).Address,
            Y = y.Address,
            Rows = rows,
            Width = width,
            Columns = yColumns,
            XStride = width + xPadding,
            YStride = yColumns + yPadding,
            Epsilon = 1e-6f,
            Type = type,
        });
        return bench.Read(y);
    }
}
