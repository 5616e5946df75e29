using System.Diagnostics;
using KernelAD.Backends.Cpu;

namespace KernelAD.Bench;

/// <summary>The GEMM kernel's figures for one shape.</summary>
internal sealed record GemmFigures(
    string Name,
    int M,
    int N,
    int K,
    int Threads,
    double PeakGFlops,
    double GFlops,
    double BestPeakGFlops,
    double BestGFlops,
    double? UndisturbedPeakShare,
    int UndisturbedRounds)
{
    /// <summary>Median rate over median peak.</summary>
    public double PeakShare => GFlops / PeakGFlops;

    /// <summary>Best rate over highest peak.</summary>
    public double BestPeakShare => BestGFlops / BestPeakGFlops;
}

/// <summary>The GEMM kernel alone, [M, K] · [N, K]ᵀ from packed operands, on the shapes of the models' layers.</summary>
internal static unsafe class GemmBenchmark
{
    // A neighbour on the core comes and goes within tens of milliseconds.
    private const int Rounds = 60;
    private const double RoundMilliseconds = 10;

    public static IEnumerable<GemmFigures> Run(int threads)
    {
        Console.Error.WriteLine($"GEMM, {threads} thread(s)…");
        return [.. Shapes().Select(s => Measure(s.Name, s.M, s.N, s.K, s.Hidden, threads))];
    }

    // A hidden layer's result is the left operand of the next one, for which the engine writes it in row tiles.
    private static IEnumerable<(string Name, int M, int N, int K, bool Hidden)> Shapes()
    {
        yield return ("cube", 1024, 1024, 1024, false);
        foreach (int m in new[] { 256, 257 })
        {
            yield return ("ViTAD qkv", m, 1152, 384, false);
            yield return ("ViTAD proj", m, 384, 384, false);
            yield return ("ViTAD fc1", m, 1536, 384, true);
            yield return ("ViTAD fc2", m, 384, 1536, false);
        }

        // Windows of 49 tokens: the 8 of a slice, which is what the engine multiplies at a time, and 32, whose operands exceed the caches.
        foreach (int m in new[] { 392, 1568 })
        {
            yield return ("InTra MLP 0", m, 1024, 512, true);
            yield return ("InTra MLP 2", m, 256, 1024, false);
            yield return ("InTra v, out", m, 512, 512, false);
            yield return ("InTra w_1", m, 2048, 512, true);
            yield return ("InTra w_2", m, 512, 2048, false);
        }
    }

    private static GemmFigures Measure(string name, int m, int n, int k, bool hidden, int threads)
    {
        Random random = new(1);
        using MemoryPool memory = new();
        PackedWeights weights = new(memory, n, k, bias: [], (_, rows) => Fill(rows, random));
        float* x = (float*)memory.Take(RowTiles.Size(m, k) * sizeof(float)), y = (float*)memory.Take(RowTiles.Size(m, n) * sizeof(float));
        Fill(new Span<float>(x, (int)RowTiles.Size(m, k)), random);
        CpuStep[] steps = [new LinearStep(m, weights, BufferRef.At(x, k), BufferRef.At(y, n), yRowTiles: hidden)];
        RunContext run = new(null, 0);

        double flops = 2.0 * m * n * k;
        Time(1);
        int repeats = (int)Math.Max(1, RoundMilliseconds / Time(3));
        List<(double Peak, double Milliseconds, double Probe)> rounds = [];
        for (int round = 0; round < Rounds; round++)
        {
            double before = CoreProbe.Measure(), peak = FmaPeak.Measure(threads, milliseconds: 2), between = CoreProbe.Measure();
            double time = Time(repeats);
            double[] probes = [before, between, CoreProbe.Measure()];
            rounds.Add((peak, time, probes.Max()));
            foreach (double probe in probes)
                CoreProbe.Note(probe);
        }

        double bestTime = rounds.Min(r => r.Milliseconds);
        (double? undisturbed, int undisturbedRounds) = CoreProbe.MedianOfUndisturbed(threads, rounds.Select(r => (Rate(r.Milliseconds) / r.Peak, r.Probe)));
        return new GemmFigures(
            name,
            m,
            n,
            k,
            threads,
            CpuBenchmark.Median(rounds.Select(r => r.Peak)),
            Rate(CpuBenchmark.Median(rounds.Select(r => r.Milliseconds))),
            rounds.Max(r => r.Peak),
            Rate(bestTime),
            undisturbed,
            undisturbedRounds);

        double Rate(double milliseconds) => flops / milliseconds * 1e-6;

        double Time(int count)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < count; i++)
            {
                WorkerTeam.Shared.RunAll(steps, run, threads);
            }

            return Stopwatch.GetElapsedTime(start).TotalMilliseconds / count;
        }
    }

    private static void Fill(Span<float> values, Random random)
    {
        foreach (ref float value in values)
        {
            value = random.NextSingle() - 0.5f;
        }
    }
}
