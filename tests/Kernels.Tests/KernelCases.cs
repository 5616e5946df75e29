using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Small launches of shipped kernels, to try altered texts on: what is wrong with them has to show in one of the launches.</summary>
internal static class KernelCases
{
    /// <summary>Runs launches with another text in place of the shipped one until something is wrong.</summary>
    /// <param name="architecture">sm_75 … sm_90.</param>
    /// <param name="kernel">The entry's name.</param>
    /// <param name="ptx">The text.</param>
    /// <param name="checks">What the emulator checks besides memory accesses.</param>
    /// <param name="launches">The launches; each tells where its result is wrong, or nothing.</param>
    /// <returns>What the emulator found or where a result is wrong; null if all is right.</returns>
    public static string? Fault(string architecture, string kernel, string ptx, EmulatorChecks checks, IEnumerable<Func<DeviceBench, string?>> launches)
    {
        foreach (Func<DeviceBench, string?> launch in launches)
        {
            using DeviceBench bench = new(architecture, checks);
            bench.Load(kernel, ptx);
            try
            {
                if (launch(bench) is string deviation)
                {
                    return deviation;
                }
            }
            catch (CudaException e)
            {
                return e.Message;
            }
        }

        return null;
    }

    /// <summary>A Linear layer, bare or with all that its epilogue can do.</summary>
    /// <param name="kernel">The entry's name.</param>
    /// <param name="m">Rows.</param>
    /// <param name="n">Columns.</param>
    /// <param name="k">Width.</param>
    /// <param name="function">The epilogue's function.</param>
    /// <param name="whole">Whether a bias, a scale and a residual are there too.</param>
    /// <param name="activateSum">Whether the function comes last.</param>
    public static Func<DeviceBench, string?> Linear(
        string kernel, int m, int n, int k, EpilogueFunction function = EpilogueFunction.None, bool whole = false, bool activateSum = false) => bench =>
    {
        StorageType operand = Operand(kernel);
        float[] x = Operands(m * k, 1, operand), w = Operands(n * k, 2, operand);
        float[] bias = new float[n], scale = [.. Enumerable.Repeat(1f, n)], residual = new float[m * n];
        DeviceArray y = bench.Poisoned(m * n);
        LinearArguments a = LinearReference.Arguments(bench, operand, x, w, y, m, n, k);
        a.Function = function;
        a.ActivateSum = activateSum ? 1 : 0;
        if (whole)
        {
            bias = TestData.Values(n, 3, outliers: false);
            scale = TestData.Values(n, 4, outliers: false);
            residual = TestData.Values(m * n, 5, outliers: false);
            a.Bias = bench.Place(WeightPanels.Pad(bias)).Address;
            a.Scale = bench.Place(WeightPanels.Pad(scale)).Address;
            a.Residual = bench.Place(residual).Address;
            a.ResidualStride = n;
        }

        bench.Run(kernel, LinearReference.Grid(m, n, kernel.Contains("_128", StringComparison.Ordinal) ? 128 : 64), a);
        return LinearReference.Deviation(operand, bench.Read(y), x, w, m, n, k, (row, column, sum) => activateSum
            ? LinearReference.Apply(function, ((sum + bias[column]) * scale[column]) + residual[(row * n) + column])
            : (LinearReference.Apply(function, sum + bias[column]) * scale[column]) + residual[(row * n) + column], gain: 3);
    };

    /// <summary>Attention, by the kernel that the launch rules choose.</summary>
    public static Func<DeviceBench, string?> Attention(AttentionProblem problem) => problem.Deviation;

    /// <summary>
    /// Attention whose logits are billions, exact in every type, and differ by millions: 2³⁰·(1 + place/128)·scale. The largest is there twice, behind the first tile, and
    /// the mean of its two values is the result.
    /// </summary>
    /// <param name="operands">Type of q, k and v.</param>
    /// <param name="scale">Factor of the logits.</param>
    public static Func<DeviceBench, string?> AttentionToTheLargest(StorageType operands, float scale) => bench =>
    {
        const int Keys = 130, Width = 32, First = 70, Second = 128;
        AttentionProblem problem = new()
        {
            Operands = operands,
            Queries = 17,
            Keys = Keys,
            Heads = 1,
            KeyWidth = Width,
            ValueWidth = Width,
            Scale = scale,
        };
        float[] q = new float[problem.Queries * Width], k = new float[Keys * Width], v = problem.Fill(Keys * Width, 3, 1);
        for (int query = 0; query < problem.Queries; query++)
        {
            q[query * Width] = q[(query * Width) + 1] = 1 << 15;
        }

        for (int key = 0; key < Keys; key++)
        {
            int place = key is First or Second ? 127 : key % 64;
            k[key * Width] = k[(key * Width) + 1] = (1 << 14) * (1 + (place / 128f));
        }

        float[] o = problem.Run(bench, q, k, v);
        for (int i = 0; i < o.Length; i++)
        {
            double mean = ((double)v[(First * Width) + (i % Width)] + v[(Second * Width) + (i % Width)]) / 2;
            if (!(Math.Abs(o[i] - mean) <= (Rounding.Unit(operands) * Math.Abs(mean)) + 1e-6))
            {
                return $"element {i}: {o[i]:R}, expected {mean:R}";
            }
        }

        return null;
    };

    /// <summary>The operands' type by the kernel's name.</summary>
    public static StorageType Operand(string kernel) => kernel.Contains("fp16", StringComparison.Ordinal) ? StorageType.Half
        : kernel.Contains("tf32", StringComparison.Ordinal) ? StorageType.Tf32 : StorageType.Float;

    private static float[] Operands(int count, int seed, StorageType type) =>
        [.. TestData.Values(count, seed, outliers: false).Select(v => Rounding.To(type, v))];
}
