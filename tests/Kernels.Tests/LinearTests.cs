using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Linear layers against float64.</summary>
[TestFixture("sm_75", "fp32")]
[TestFixture("sm_75", "fp16")]
[TestFixture("sm_80", "fp32")]
[TestFixture("sm_80", "fp16")]
[TestFixture("sm_80", "tf32")]
public class LinearTests(string architecture, string precision)
{
    private bool Exact => precision == "fp32";

    private StorageType Operand => precision switch { "fp16" => StorageType.Half, "tf32" => StorageType.Tf32, _ => StorageType.Float };

    /// <summary>The kernels of a tile; Turing has none of eight warps.</summary>
    private string[] Kernels(int tile) =>
        tile == 128 && !Exact && architecture != "sm_75" ? [$"linear_{precision}_128", $"linear_{precision}_128of8"] : [$"linear_{precision}_{tile}"];

    [TestCase(64, 1, 1, 8)]
    [TestCase(64, 3, 17, 40)]
    [TestCase(64, 17, 63, 64)]
    [TestCase(64, 64, 64, 200)]
    [TestCase(64, 65, 130, 16)]
    [TestCase(64, 257, 72, 384)]
    [TestCase(128, 1, 3, 8)]
    [TestCase(128, 63, 17, 72)]
    [TestCase(128, 129, 257, 48)]
    [TestCase(128, 128, 128, 32)]
    public void Rows_times_columns(int tile, int m, int n, int k)
    {
        float[] x = TestData.Values(m * k, seed: m + k, Operand), w = TestData.Values(n * k, seed: n, Operand);
        using DeviceBench bench = new(architecture);
        foreach (string kernel in Kernels(tile))
        {
            DeviceArray y = bench.Poisoned(m * n);
            bench.Run(kernel, LinearReference.Grid(m, n, tile), LinearReference.Arguments(bench, Operand, x, w, y, m, n, k));
            AssertProduct(bench.Read(y), x, w, m, n, k, (_, _, sum) => sum);
        }
    }

    [Test]
    public void Rows_of_x_lie_apart_and_nothing_between_them_counts()
    {
        const int M = 5, N = 20, K = 24, Stride = 40;
        float[] x = TestData.Values(M * K, seed: 1, Operand), w = TestData.Values(N * K, seed: 2, Operand);
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(M * 32);
        LinearArguments a = LinearReference.Arguments(bench, Operand, x, w, y, M, N, K);
        a.X = bench.Place(TestData.Padded(x, K, Stride), Operand).Address;
        a.XStride = Stride;
        a.YStride = 32;
        bench.Run($"linear_{precision}_64", LinearReference.Grid(M, N, 64), a);
        float[] result = bench.Read(y);
        AssertProduct([.. result.Chunk(32).SelectMany(row => row[..N])], x, w, M, N, K, (_, _, sum) => sum);
        Assert.That(result.Chunk(32).SelectMany(row => row[N..]), Has.All.NaN, "nothing beyond the columns is written");
    }

    [TestCase("None", "Float", 33, 20)]
    [TestCase("Gelu", "Half", 33, 20)]
    [TestCase("Relu", "Tf32", 7, 19)]
    [TestCase("Swish", "Float", 7, 18)]
    [TestCase("Gelu", "Half", 3, 17)]
    [TestCase("Sigmoid", "Float", 5, 36)]
    [TestCase("Tanh", "Float", 5, 35)]
    [TestCase("Softplus", "Float", 5, 36)]
    [TestCase("Relu", "Float", 9, 36, true)]
    [TestCase("Tanh", "Half", 9, 35, true)]
    public void The_epilogue_adds_scales_and_rounds(string function, string type, int m, int n, bool activateSum = false)
    {
        const int K = 16;
        float[] x = TestData.Values(m * K, seed: 1, Operand), w = TestData.Values(n * K, seed: 2, Operand);
        float[] bias = TestData.Values(n, seed: 3), scale = TestData.Values(n, seed: 4, outliers: false), residual = TestData.Values(m * n, seed: 5);
        using DeviceBench bench = new(architecture);
        StorageType storage = Enum.Parse<StorageType>(type);
        LinearArguments a = LinearReference.Arguments(bench, Operand, x, w, bench.Poisoned(m * n, storage), m, n, K);
        a.Bias = bench.Place(WeightPanels.Pad(bias)).Address;
        a.Scale = bench.Place(WeightPanels.Pad(scale)).Address;
        a.Residual = bench.Place(residual).Address;
        a.ResidualStride = n;
        a.Function = Enum.Parse<EpilogueFunction>(function);
        a.Type = storage;
        a.ActivateSum = activateSum ? 1 : 0;
        foreach ((int tile, string kernel) in from tile in (int[])[64, 128]
                                              from kernel in Kernels(tile)
                                              select (tile, kernel))
        {
            DeviceArray y = bench.Poisoned(m * n, storage);
            bench.Run(kernel, LinearReference.Grid(m, n, tile), a with { Y = y.Address });
            AssertProduct(bench.Read(y), x, w, m, n, K, Finish, Rounding.Unit(storage), 3);
        }

        double Finish(int row, int column, double sum) => activateSum
            ? LinearReference.Apply(a.Function, ((sum + bias[column]) * scale[column]) + residual[(row * n) + column])
            : (LinearReference.Apply(a.Function, sum + bias[column]) * scale[column]) + residual[(row * n) + column];
    }

    [Test]
    public void A_residual_is_overwritten_in_place()
    {
        const int M = 70, N = 36, K = 32;
        float[] x = TestData.Values(M * K, seed: 1, Operand), w = TestData.Values(N * K, seed: 2, Operand), residual = TestData.Values(M * N, seed: 3);
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Place(residual);
        LinearArguments a = LinearReference.Arguments(bench, Operand, x, w, y, M, N, K);
        a.Residual = y.Address;
        a.ResidualStride = N;
        bench.Run($"linear_{precision}_64", LinearReference.Grid(M, N, 64), a);
        AssertProduct(bench.Read(y), x, w, M, N, K, (row, column, sum) => sum + residual[(row * N) + column]);
    }

    [TestCase(64, 100, 50, 264, 3)]
    [TestCase(128, 3, 7, 130 * 8, 4)]
    public void Splits_of_K_add_up(int tile, int m, int n, int k, int splits)
    {
        float[] x = TestData.Values(m * k, seed: 1, Operand), w = TestData.Values(n * k, seed: 2, Operand), bias = TestData.Values(n, seed: 3);
        using DeviceBench bench = new(architecture);
        int stride = (n + 3) / 4 * 4, tileK = Exact ? 16 : 64 / DeviceArray.ElementBytes(Operand), tiles = (k + tileK - 1) / tileK;
        DeviceArray workspace = bench.Poisoned(splits * m * stride), y = bench.Poisoned(m * n);
        LinearArguments partial = LinearReference.Arguments(bench, Operand, x, w, workspace, m, n, k);
        partial.YStride = stride;
        partial.Vectors = n % 4 == 0 ? 1 : 0;
        partial.TilesPerSplit = (tiles + splits - 1) / splits;
        bench.Run($"linear_{precision}_{tile}", LinearReference.Grid(m, n, tile) with { Z = splits }, partial);
        bench.Run("linear_reduce", new LaunchSize(((m * ((n + 3) / 4)) + 255) / 256), new LinearArguments
        {
            X = workspace.Address,
            Y = y.Address,
            Bias = bench.Place(WeightPanels.Pad(bias)).Address,
            M = m,
            N = n,
            K = splits,
            XStride = stride,
            YStride = n,
            Vectors = n % 4 == 0 ? 1 : 0,
        });
        AssertProduct(bench.Read(y), x, w, m, n, k, (_, column, sum) => sum + bias[column]);
    }

    [Test]
    public void A_number_that_is_not_finite_stays_in_its_row_and_column()
    {
        const int M = 20, N = 24, K = 40;
        float[] x = TestData.Values(M * K, seed: 1, Operand), w = TestData.Values(N * K, seed: 2, Operand);
        x[(7 * K) + 3] = float.NaN;
        using DeviceBench bench = new(architecture);
        DeviceArray y = bench.Poisoned(M * N);
        bench.Run($"linear_{precision}_64", LinearReference.Grid(M, N, 64), LinearReference.Arguments(bench, Operand, x, w, y, M, N, K));
        float[] result = bench.Read(y);
        for (int row = 0; row < M; row++)
        {
            Assert.That(result.AsSpan(row * N, N).ToArray(), row == 7 ? Has.All.NaN : Has.None.NaN);
        }
    }

    private void AssertProduct(
        float[] y, float[] x, float[] w, int m, int n, int k, Func<int, int, double, double> finish, double resultError = 0, double gain = 1)
    {
        if (LinearReference.Deviation(Operand, y, x, w, m, n, k, finish, resultError, gain) is string deviation)
        {
            Assert.Fail(deviation);
        }
    }
}
