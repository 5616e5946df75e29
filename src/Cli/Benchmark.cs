using System.Diagnostics;
using KernelAD.Golden;

namespace KernelAD.Cli;

/// <summary>Repeated timing of one configuration, network only: the input is already prepared.</summary>
internal sealed class Benchmark
{
    private readonly double[] _sorted;

    private Benchmark(double[] milliseconds, double wallSeconds, double managedBytes)
    {
        _sorted = [.. milliseconds.Order()];
        WallSeconds = wallSeconds;
        ManagedBytesPerRun = managedBytes;
    }

    /// <summary>Number of timed runs.</summary>
    public int Count => _sorted.Length;

    /// <summary>Seconds from the first timed run's start to the last one's end.</summary>
    public double WallSeconds { get; }

    /// <summary>Bytes on the managed heap per run, all threads counted.</summary>
    public double ManagedBytesPerRun { get; }

    /// <summary>Shortest run in milliseconds.</summary>
    public double Min => _sorted[0];

    /// <summary>Longest run in milliseconds.</summary>
    public double Max => _sorted[^1];

    /// <summary>Mean in milliseconds.</summary>
    public double Mean => _sorted.Average();

    /// <summary>Median in milliseconds.</summary>
    public double Median => Percentile(50);

    /// <summary>Standard deviation divided by the mean.</summary>
    public double Variation => Math.Sqrt(_sorted.Average(t => (t - Mean) * (t - Mean))) / Mean;

    /// <summary>Nearest-rank percentile in milliseconds.</summary>
    public double Percentile(double percent) => _sorted[Math.Max(0, (int)Math.Ceiling(percent / 100 * Count) - 1)];

    /// <summary>Warms up, then runs for the given time, at least five and at most 100,000 times.</summary>
    public static Benchmark Measure(AnomalyDetector detector, int batch, double warmupSeconds, double seconds, CancellationToken cancellation)
    {
        const int MostRuns = 100_000;
        float[] inputs = Input(detector, batch), maps = new float[batch * detector.MapWidth * detector.MapHeight], scores = new float[batch];
        double[] times = new double[MostRuns];
        Repeat(1, warmupSeconds);
        long allocated = GC.GetTotalAllocatedBytes(precise: true), start = Stopwatch.GetTimestamp();
        int runs = Repeat(5, seconds);
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        return new Benchmark(times[..runs], wall, (double)allocated / runs);

        int Repeat(int least, double duration)
        {
            long begin = Stopwatch.GetTimestamp();
            int run = 0;
            while (run < MostRuns && (run < least || Stopwatch.GetElapsedTime(begin).TotalSeconds < duration))
            {
                long now = Stopwatch.GetTimestamp();
                detector.DetectBatch(inputs, batch, batch, maps, scores, cancellation);
                times[run++] = Stopwatch.GetElapsedTime(now).TotalMilliseconds;
            }

            return run;
        }
    }

    /// <summary>A reproducible input in the range of normalised pictures.</summary>
    public static float[] Input(AnomalyDetector detector, int batch)
    {
        float[] inputs = new float[3 * batch * detector.MapWidth * detector.MapHeight];
        FormulaTensor.FillUniform("kernelad bench", inputs);
        return inputs;
    }

    /// <summary>The end of a sentence about a rate on the CPU: its share of the FMA peak; nothing on another device.</summary>
    public static string ShareOfPeak(double rate, double? peak) =>
        peak is null ? "" : $", {100 * rate / peak:F1} % of the FMA peak ({peak:F1} GFLOP/s, measured just before)";

    /// <summary>The process's peak resident memory in bytes.</summary>
    public static long PeakMemory()
    {
        if (OperatingSystem.IsLinux())
        {
            // VmHWM is what the kernel itself keeps; .NET's PeakWorkingSet64 is sampled.
            string? line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            if (line is not null)
            {
                return 1024 * long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
            }
        }

        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
