using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace KernelAD.Bench;

/// <summary>
/// Tells whether a thread has its core for itself. A core's second thread, which on a rented machine belongs to somebody else, takes up to half of the
/// instructions that are issued; a loop of multiply-adds, which waits for its units anyway, hardly notices.
/// </summary>
internal static class CoreProbe
{
    // How much slower than the fastest one a probe of an undisturbed core may be.
    private const double Slack = 10.0 / 9;

    // Fewer runs have no median worth the name.
    private const int FewestUndisturbed = 5;

    private const int Iterations = 4000;

    private static double _fastest = double.MaxValue;
    private static long _sink;

    /// <summary>Times a loop that keeps all integer units of the core busy, twice 5 µs or so.</summary>
    /// <returns>Milliseconds of the faster one: an interrupt weighs nothing.</returns>
    public static double Measure()
    {
        double fastest = double.MaxValue;
        for (int trial = 0; trial < 2; trial++)
        {
            long start = Stopwatch.GetTimestamp();
            _sink = Burn(Iterations);
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return fastest;
    }

    /// <summary>Takes account of a probe, this process's or another's.</summary>
    public static void Note(double probe) => _fastest = Math.Min(_fastest, probe);

    /// <summary>The median of the runs before and after which the core was undisturbed, measured by the fastest probe that was noted.</summary>
    /// <param name="threads">Threads that ran; with several there is no such median, for only one of them was probed.</param>
    /// <param name="runs">A figure of each run, and the slower of the probes around it.</param>
    /// <returns>The median, null if there are fewer than five such runs, and their number.</returns>
    public static (double? Median, int Count) MedianOfUndisturbed(int threads, IEnumerable<(double Value, double Probe)> runs)
    {
        double[] undisturbed = threads > 1 ? [] : [.. runs.Where(r => r.Probe <= Slack * _fastest).Select(r => r.Value)];
        return (undisturbed.Length < FewestUndisturbed ? null : CpuBenchmark.Median(undisturbed), undisturbed.Length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static long Burn(int iterations)
    {
        long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
        for (int i = 0; i < iterations; i++)
        {
            a = (a + i) ^ h;
            b = (b + i) ^ a;
            c = (c + i) ^ a;
            d = (d + i) ^ a;
            e = (e + i) ^ a;
            f = (f + i) ^ a;
            g = (g + i) ^ a;
            h += i;
        }

        return a + b + c + d + e + f + g + h;
    }
}
