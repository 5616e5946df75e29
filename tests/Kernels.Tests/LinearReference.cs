using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>What Linear layers are launched with, and what they must give.</summary>
internal static class LinearReference
{
    /// <summary>The blocks of a product.</summary>
    public static LaunchSize Grid(int m, int n, int tile) => new((n + tile - 1) / tile, (m + tile - 1) / tile);

    /// <summary>The arguments of y = x·Wᵀ, both operands placed as the kernels want them.</summary>
    public static LinearArguments Arguments(DeviceBench bench, StorageType operand, float[] x, float[] w, DeviceArray y, int m, int n, int k) => new()
    {
        X = bench.Place(
            TestData.Padded(x, k, (k + 7) / 8 * 8).Select(v => float.IsNaN(v) ? 0 : v).Zip(PadMask(x, k), (v, nan) => nan ? float.NaN : v).ToArray(), operand).Address,
        Weight = bench.Place(WeightPanels.Pack(w, n, k, operand, operand == StorageType.Float), operand).Address,
        Y = y.Address,
        M = m,
        N = n,
        K = k,
        XStride = (k + 7) / 8 * 8,
        YStride = n,
        TilesPerSplit = int.MaxValue,
        Vectors = n % 4 == 0 ? 1 : 0,
    };

    /// <summary>Where the padded rows hold a NaN that was asked for.</summary>
    private static IEnumerable<bool> PadMask(float[] x, int k) =>
        x.Chunk(k).SelectMany(row => row.Select(float.IsNaN).Concat(Enumerable.Repeat(false, ((k + 7) / 8 * 8) - k)));

    /// <summary>The epilogue's functions.</summary>
    public static double Apply(EpilogueFunction function, double x) => function switch
    {
        EpilogueFunction.Relu => Math.Max(x, 0),
        EpilogueFunction.Gelu => x * NormalDistribution(x),
        EpilogueFunction.Swish => x / (1 + Math.Exp(-x)),
        EpilogueFunction.Sigmoid => 1 / (1 + Math.Exp(-x)),
        EpilogueFunction.Tanh => Math.Tanh(x),
        EpilogueFunction.Softplus => Softplus(x),
        _ => x,
    };

    /// <summary>log(1 + e^x); where e^x is lost beside 1, it is the result.</summary>
    public static double Softplus(double x) => x > 30 ? x : x < -30 ? Math.Exp(x) : Math.Log(1 + Math.Exp(x));

    /// <summary>Φ(x) by its power series, or its asymptotic limit far out.</summary>
    private static double NormalDistribution(double x)
    {
        if (Math.Abs(x) > 7)
        {
            return x < 0 ? 0 : 1;
        }

        double term = x, sum = x;
        for (int n = 1; n < 200; n++)
        {
            term *= x * x / ((2 * n) + 1);
            sum += term;
        }

        return 0.5 + (sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
    }

    /// <summary>
    /// Where a result is not the product in float64, in words; null if it is everywhere. A sum of k terms may be off by their magnitude times k roundings, in
    /// practice far less; but a tensor core cuts off what it has added up, after every eight or sixteen terms, at 2⁻²³ of the sum (measured on an H200).
    /// </summary>
    public static string? Deviation(
        StorageType operand, float[] y, float[] x, float[] w, int m, int n, int k, Func<int, int, double, double> finish, double resultError = 0, double gain = 1)
    {
        double roundings = (1e-7 * Math.Sqrt(k + 4)) + (operand == StorageType.Float ? 0 : Math.ScaleB(k / 8.0, -23));
        Assert.That(y, Has.Length.EqualTo(m * n));
        for (int row = 0; row < m; row++)
        {
            for (int column = 0; column < n; column++)
            {
                double sum = 0, magnitude = 0;
                for (int i = 0; i < k; i++)
                {
                    double product = (double)x[(row * k) + i] * w[(column * k) + i];
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                double expected = finish(row, column, sum);
                double bound = (gain * magnitude * roundings) + (Math.Abs(expected) * (resultError + 3e-7)) + 2e-6;
                double found = y[(row * n) + column];
                if (!(Math.Abs(found - expected) <= bound))
                {
                    return $"row {row}, column {column}: {found:R}, expected {expected:R} ± {bound:E1}";
                }
            }
        }

        return null;
    }
}
