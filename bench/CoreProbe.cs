using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace KernelAD.Bench;

/// <summary>
/// Tells whether a thread has its core for itself. A core's second thread, which on a rented machine belongs to somebody else, takes up to half of the
/// instructions that are issued; a loop of multiply-adds, which waits for its units anyway, hardly notices.
/// </summary>
internal static class CoreProbe
{
    /// <summary>The least share of the fastest probe at which a core counts as undisturbed.</summary>
    public const double Undisturbed = 0.9;

    private const int Iterations = 4000;

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
