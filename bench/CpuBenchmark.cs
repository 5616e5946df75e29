using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Backends.Cpu;

namespace KernelAD.Bench;

/// <summary>One engine's figures for a model and a number of threads. Undisturbed: of the runs for which the thread had its core for itself.</summary>
internal sealed record EngineFigures(
    double Milliseconds,
    double BestMilliseconds,
    double? UndisturbedMilliseconds,
    int UndisturbedRuns,
    double GFlops,
    double PeakShare,
    double LoadMilliseconds,
    double FirstResultMilliseconds,
    double FirstResultCpuMilliseconds,
    double PeakMemory);

/// <summary>Both engines on a model with a number of threads.</summary>
internal sealed record Comparison(
    PublishedModel Model, int Threads, double PeakGFlops, double MapError, double MapRange, EngineFigures Ours, EngineFigures Theirs, double? AllocatedBytes)
{
    /// <summary>How many times faster ours is.</summary>
    public double Ratio => Theirs.Milliseconds / Ours.Milliseconds;

    /// <summary>The same, undisturbed; null if there were too few such runs.</summary>
    public double? UndisturbedRatio => Theirs.UndisturbedMilliseconds / Ours.UndisturbedMilliseconds;
}

/// <summary>
/// KernelAD against ONNX Runtime on the CPU, each in a process of its own, taking turns; every share is of the FMA peak measured between their turns.
/// </summary>
internal static class CpuBenchmark
{
    /// <summary>
    /// Largest difference of the two maps over the range of values in them: far below any mistake, and above rounding even where random weights let it grow
    /// from layer to layer (0.23 % in EfficientNet-B4, whose values reach 4e5 with them).
    /// </summary>
    private const double MapTolerance = 1e-2;

    private const int AllocationCalls = 1000;

    // Of a longer run the probes at its ends say too little.
    private const double LongestProbed = 200;

    public static int Run(Options options)
    {
        Console.WriteLine(
            $"{SimdTier.Name}, {Environment.ProcessorCount} processors, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription}");
        string folder = Directory.CreateTempSubdirectory("kernelad-bench-").FullName;
        try
        {
            List<Comparison> comparisons = [];
            foreach (PublishedModel model in PublishedModel.All.Where(m => options.Models.Contains(m.Key)))
            {
                (string safetensors, string onnx) = model.Write(folder);
                foreach (int threads in options.Threads)
                {
                    Console.Error.WriteLine($"{model.Key}, {threads} thread(s)…");
                    comparisons.Add(Compare(model, safetensors, onnx, threads, options.Rounds ?? model.Rounds));
                }
            }

            List<GemmFigures> gemm = options.Gemm ? [.. options.Threads.SelectMany(GemmBenchmark.Run)] : [];
            Report.Print(comparisons, gemm);
            Console.WriteLine($"JSON: {Report.Write(options.Results, comparisons, gemm)}");
            Comparison[] wrong = [.. comparisons.Where(c => !(c.MapError <= MapTolerance * c.MapRange))];
            foreach (Comparison c in wrong)
            {
                Console.Error.WriteLine($"{c.Model.Key}: the maps differ by {c.MapError:E1}, their values span {c.MapRange:E1}");
            }

            return wrong.Length == 0 ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Comparison Compare(PublishedModel model, string safetensors, string onnx, int threads, int rounds)
    {
        // Extra processes for the load alone; the first also fills the file cache.
        double[][] ourLoads = [.. Enumerable.Range(0, model.Loads).Select(_ => Load("kernelad", safetensors, model.MemoryCap))];
        double[][] theirLoads = [.. Enumerable.Range(0, model.Loads).Select(_ => Load("onnxruntime", onnx, null))];

        using WorkerProcess ours = new("kernelad", safetensors, threads, model.MemoryCap);
        using WorkerProcess theirs = new("onnxruntime", onnx, threads);
        float[] ourMap = ours.Map(), theirMap = theirs.Map();
        double error = ourMap.Zip(theirMap, (a, b) => Math.Abs((double)a - b)).Max();

        List<(double Milliseconds, double Probe)> ourTimes = [], theirTimes = [];
        List<double> peaks = [];
        for (int round = 0; round < rounds; round++)
        {
            peaks.Add(FmaPeak.Measure(threads));
            bool oursFirst = round % 2 == 0;
            Turn(oursFirst ? ours : theirs, oursFirst ? ourTimes : theirTimes);
            Turn(oursFirst ? theirs : ours, oursFirst ? theirTimes : ourTimes);
        }

        double peak = Median(peaks);
        bool probed = new[] { ourTimes, theirTimes }.All(t => Median(t.Select(r => r.Milliseconds)) <= LongestProbed);
        double ourMemory = ours.PeakMemory(), theirMemory = theirs.PeakMemory();
        double? allocated = model.CountsAllocations ? ours.AllocatedBytes(AllocationCalls) : null;
        EngineFigures ourFigures = Figures(ourTimes, ourLoads, ourMemory), theirFigures = Figures(theirTimes, theirLoads, theirMemory);
        return new Comparison(model, threads, peak, error, ourMap.Max() - ourMap.Min(), ourFigures, theirFigures, allocated);

        double[] Load(string kind, string path, long? cap)
        {
            using WorkerProcess worker = new(kind, path, threads, cap);
            return [worker.LoadMilliseconds, worker.FirstResultMilliseconds, worker.FirstResultCpuMilliseconds];
        }

        void Turn(WorkerProcess worker, List<(double Milliseconds, double Probe)> times)
        {
            times.AddRange(worker.Run(model.RunsPerRound + 1).Skip(1));
            // The peer's threads go on spinning for a while after a run.
            Thread.Sleep(100);
        }

        EngineFigures Figures(List<(double Milliseconds, double Probe)> runs, double[][] loads, double memory)
        {
            double[] times = [.. runs.Select(r => r.Milliseconds)];
            (double? undisturbed, int count) = CoreProbe.MedianOfUndisturbed(threads, probed ? runs : []);
            double milliseconds = Median(times), gflops = model.Flops / milliseconds * 1e-6;
            return new EngineFigures(
                milliseconds,
                times.Min(),
                undisturbed,
                count,
                gflops,
                gflops / peak,
                Median(loads.Select(l => l[0])),
                Median(loads.Select(l => l[1])),
                Median(loads.Select(l => l[2])),
                memory);
        }
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}

/// <summary>The results as tables and as JSON.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void Print(IReadOnlyList<Comparison> comparisons, IReadOnlyList<GemmFigures> gemm)
    {
        Table(
            ["model", "threads", "FMA peak", "KernelAD", "ONNX Runtime", "ratio", "GFLOP/s", "ORT", "of peak", "ORT", "best", "ORT", "undisturbed", "ORT", "ratio", "runs"],
            comparisons.Select(c => new[]
            {
                c.Model.Key, $"{c.Threads}", $"{c.PeakGFlops:F0}", $"{c.Ours.Milliseconds:F1} ms", $"{c.Theirs.Milliseconds:F1} ms", $"{c.Ratio:F2}",
                $"{c.Ours.GFlops:F1}", $"{c.Theirs.GFlops:F1}", $"{c.Ours.PeakShare:P1}", $"{c.Theirs.PeakShare:P1}",
                $"{c.Ours.BestMilliseconds:F1} ms", $"{c.Theirs.BestMilliseconds:F1} ms",
                $"{c.Ours.UndisturbedMilliseconds:F1}", $"{c.Theirs.UndisturbedMilliseconds:F1}", $"{c.UndisturbedRatio:F2}",
                $"{c.Ours.UndisturbedRuns}, {c.Theirs.UndisturbedRuns}",
            }));
        Table(
            ["model", "threads", "load", "ORT", "first result", "ORT", "its CPU time", "ORT", "peak memory", "ORT", "weights", "map error", "bytes/1000 calls"],
            comparisons.Select(c => new[]
            {
                c.Model.Key, $"{c.Threads}", $"{c.Ours.LoadMilliseconds:F0} ms", $"{c.Theirs.LoadMilliseconds:F0} ms",
                $"{c.Ours.FirstResultMilliseconds:F0} ms", $"{c.Theirs.FirstResultMilliseconds:F0} ms",
                $"{c.Ours.FirstResultCpuMilliseconds:F0} ms", $"{c.Theirs.FirstResultCpuMilliseconds:F0} ms",
                $"{c.Ours.PeakMemory / 1e6:F0} MB", $"{c.Theirs.PeakMemory / 1e6:F0} MB", $"{c.Model.WeightBytes / 1e6:F0} MB",
                $"{c.MapError:E1}", c.AllocatedBytes is double bytes ? $"{bytes:F0}" : "",
            }));
        Table(
            ["GEMM", "M", "N", "K", "threads", "FMA peak", "GFLOP/s", "of peak", "best", "undisturbed", "rounds"],
            gemm.Select(g => new[]
            {
                g.Name, $"{g.M}", $"{g.N}", $"{g.K}", $"{g.Threads}", $"{g.PeakGFlops:F0}", $"{g.GFlops:F1}", $"{g.PeakShare:P1}", $"{g.BestPeakShare:P1}",
                $"{g.UndisturbedPeakShare:P1}", $"{g.UndisturbedRounds}",
            }));
    }

    /// <summary>Writes cpu.json and returns its path.</summary>
    public static string Write(string folder, IReadOnlyList<Comparison> comparisons, IReadOnlyList<GemmFigures> gemm)
    {
        JsonObject root = new()
        {
            ["time"] = DateTime.UtcNow.ToString("O", CultureInfo.InvariantCulture),
            ["tier"] = SimdTier.Name,
            ["processors"] = Environment.ProcessorCount,
            ["models"] = new JsonArray([.. comparisons.Select(c => new JsonObject
            {
                ["model"] = c.Model.Key,
                ["threads"] = c.Threads,
                ["flops"] = c.Model.Flops,
                ["fma_peak_gflops"] = c.PeakGFlops,
                ["speed_ratio"] = c.Ratio,
                ["undisturbed_speed_ratio"] = c.UndisturbedRatio,
                ["map_error"] = c.MapError,
                ["map_range"] = c.MapRange,
                ["weight_bytes"] = c.Model.WeightBytes,
                ["memory_cap_bytes"] = c.Model.MemoryCap,
                ["managed_bytes_per_1000_calls"] = c.AllocatedBytes,
                ["kernelad"] = Figures(c.Ours),
                ["onnxruntime"] = Figures(c.Theirs),
            })]),
            ["gemm"] = new JsonArray([.. gemm.Select(g => new JsonObject
            {
                ["name"] = g.Name,
                ["m"] = g.M,
                ["n"] = g.N,
                ["k"] = g.K,
                ["threads"] = g.Threads,
                ["fma_peak_gflops"] = g.PeakGFlops,
                ["gflops"] = g.GFlops,
                ["share_of_peak"] = g.PeakShare,
                ["best_share_of_peak"] = g.BestPeakShare,
                ["undisturbed_share_of_peak"] = g.UndisturbedPeakShare,
                ["undisturbed_rounds"] = g.UndisturbedRounds,
            })]),
        };
        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, "cpu.json");
        File.WriteAllText(path, root.ToJsonString(Indented) + "\n");
        return path;
    }

    private static JsonObject Figures(EngineFigures f) => new()
    {
        ["median_ms"] = f.Milliseconds,
        ["best_ms"] = f.BestMilliseconds,
        ["undisturbed_ms"] = f.UndisturbedMilliseconds,
        ["undisturbed_runs"] = f.UndisturbedRuns,
        ["gflops"] = f.GFlops,
        ["share_of_peak"] = f.PeakShare,
        ["load_ms"] = f.LoadMilliseconds,
        ["first_result_ms"] = f.FirstResultMilliseconds,
        ["first_result_cpu_ms"] = f.FirstResultCpuMilliseconds,
        ["peak_memory_bytes"] = f.PeakMemory,
    };

    private static void Table(string[] header, IEnumerable<string[]> rows)
    {
        string[][] all = [header, .. rows];
        if (all.Length == 1)
        {
            return;
        }

        int[] widths = [.. header.Select((_, i) => all.Max(r => r[i].Length))];
        Console.WriteLine();
        foreach (string[] row in all)
        {
            Console.WriteLine(string.Join("  ", row.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))));
        }
    }
}
