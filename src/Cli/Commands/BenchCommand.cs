using System.CommandLine;
using System.Diagnostics;
using KernelAD.Backends.Cpu;
using KernelAD.Cli.Output;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad bench</c>: latency, throughput, share of the machine's peak and memory, for batches and thread counts.</summary>
internal static class BenchCommand
{
    private const double VariationWorthAWarning = 0.03;

    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Option<int[]> batches = Options.PositiveList("--batch", "Batch sizes", () => [1]);
        Option<int[]> threads = Options.PositiveList("--threads", "Thread counts", () => [Environment.ProcessorCount]);
        Option<double?> duration = Options.Number("--duration", "Seconds per configuration [default: 3]");
        Option<bool> json = Options.Json();
        Command command = new("bench", "Time the network: latency, throughput, GFLOP/s, share of the FMA peak measured in the same run, memory")
        {
            model, batches, threads, duration, json,
        };
        EngineOptions engine = new(command, threads: false);
        command.SetAction(parsed =>
        {
            double seconds = parsed.GetValue(duration) ?? 3;
            if (seconds is <= 0 or > 3600)
            {
                throw new UsageException("--duration: give between 0 and 3600 seconds");
            }

            foreach (int count in parsed.GetRequiredValue(threads))
            {
                DetectorOptions options = engine.Read(parsed) with { Threads = count };
                Measure(parsed.GetRequiredValue(model), options, parsed.GetRequiredValue(batches), seconds, parsed.GetValue(json), cancellation);
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void Measure(string path, DetectorOptions options, int[] batches, double seconds, bool json, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        using AnomalyDetector detector = AnomalyDetector.Load(path, options);
        double load = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        detector.Warmup();
        double first = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (!json)
        {
            Human.Header(detector, options, path);
            Human.Line($"Load: {load:F1} ms, first inference: {first:F1} ms");
        }

        foreach (int batch in batches)
        {
            double? peak = detector.RunsOnCpu ? FmaPeak.Measure(options.Threads!.Value) : null;
            Benchmark result = Benchmark.Measure(detector, batch, warmupSeconds: Math.Min(1, seconds / 3), seconds, cancellation);
            double gflop = detector.Steps(batch).Sum(s => (double)s.Flops * s.Repeats) / 1e9;
            double rate = gflop / result.Median * 1000;
            if (json)
            {
                PrintJson(detector, options, batch, load, first, result, gflop, rate, peak);
            }
            else
            {
                PrintText(batch, result, gflop, rate, peak);
            }
        }
    }

    private static void PrintText(int batch, Benchmark r, double gflop, double rate, double? peak)
    {
        double queries = r.Count / r.WallSeconds;
        Human.Line();
        Human.Line($"=== Performance summary, batch {batch}, network only ===");
        Human.Line($"Throughput: {queries:F2} qps, {queries * batch:F2} images/s");
        Human.Line($"Latency: min = {r.Min:F3} ms, max = {r.Max:F3} ms, mean = {r.Mean:F3} ms, median = {r.Median:F3} ms, percentile(90%) = {r.Percentile(90):F3} ms, percentile(95%) = {r.Percentile(95):F3} ms, percentile(99%) = {r.Percentile(99):F3} ms");
        Human.Line($"Total Host Walltime: {r.WallSeconds:F2} s, {r.Count} queries");
        Human.Line($"Compute: {gflop:F3} GFLOP per query, {rate:F1} GFLOP/s at the median{Benchmark.ShareOfPeak(rate, peak)}");
        Human.Line($"Memory: {ByteSize.Format(Benchmark.PeakMemory())} peak of the process so far, {r.ManagedBytesPerRun:F0} managed bytes per query");
        if (r.Variation > VariationWorthAWarning)
        {
            Human.Line($"warning: the coefficient of variation is {100 * r.Variation:F1} %: something else is using the machine, or its clock is changing");
        }
    }

    private static void PrintJson(
        AnomalyDetector detector, DetectorOptions options, int batch, double load, double first, Benchmark r, double gflop, double rate, double? peak) => JsonLine.Print(json =>
    {
        json.WriteRun(detector, options);
        json.WriteNumber("batch", batch);
        json.WriteNumber("load_ms", load);
        json.WriteNumber("first_inference_ms", first);
        json.WriteNumber("queries", r.Count);
        json.WriteNumber("images_per_second", r.Count * batch / r.WallSeconds);
        json.WriteStartObject("latency_ms");
        json.WriteNumber("min", r.Min);
        json.WriteNumber("max", r.Max);
        json.WriteNumber("mean", r.Mean);
        json.WriteNumber("median", r.Median);
        json.WriteNumber("p90", r.Percentile(90));
        json.WriteNumber("p95", r.Percentile(95));
        json.WriteNumber("p99", r.Percentile(99));
        json.WriteEndObject();
        json.WriteNumber("coefficient_of_variation", r.Variation);
        json.WriteNumber("gflop_per_query", gflop);
        json.WriteNumber("gflops", rate);
        json.WriteNumberOrNull("fma_peak_gflops", peak);
        json.WriteNumberOrNull("share_of_fma_peak", rate / peak);
        json.WriteNumber("peak_memory_bytes", Benchmark.PeakMemory());
        json.WriteNumber("managed_bytes_per_query", r.ManagedBytesPerRun);
    });
}
