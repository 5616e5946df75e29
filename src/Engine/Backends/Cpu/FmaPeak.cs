using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>Measures how fast this machine multiplies and adds in the active SIMD tier: the roof under which every kernel's rate is quoted.</summary>
public static class FmaPeak
{
    private const int Chains = 24;

    private static float _sink;

    /// <summary>Measures the peak with all threads computing at once.</summary>
    /// <param name="threads">Number of threads, at least 1.</param>
    /// <param name="milliseconds">How long each of the five trials lasts, roughly.</param>
    /// <returns>GFLOP/s: the best of each thread, summed; the best trial. A multiply-add counts as two operations.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> or <paramref name="milliseconds"/> is not positive.</exception>
    public static double Measure(int threads, int milliseconds = 20)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(milliseconds);
        double best = 0;
        for (int trial = 0; trial < 5; trial++)
        {
            double[] rates = new double[threads];
            using Barrier start = new(threads);
            Thread[] helpers = [.. Enumerable.Range(1, threads - 1).Select(i => new Thread(() => rates[i] = Rate(start, milliseconds)))];
            foreach (Thread helper in helpers)
            {
                helper.IsBackground = true;
                helper.Start();
            }

            rates[0] = Rate(start, milliseconds);
            foreach (Thread helper in helpers)
                helper.Join();
            best = Math.Max(best, rates.Sum());
        }

        return best;
    }

    private static double Rate(Barrier start, int milliseconds)
    {
        // A sample takes about a millisecond: the clock's resolution and an interrupt weigh little in it.
        const int Iterations = 250_000;
        start.SignalAndWait();
        long begin = Stopwatch.GetTimestamp();
        long end = begin + (milliseconds * Stopwatch.Frequency / 1000);
        long fastest = long.MaxValue;
        float sum = 0;
        for (long now = begin; now < end;)
        {
            long before = now;
            sum += Burn(Iterations, 0.5f);
            now = Stopwatch.GetTimestamp();
            fastest = Math.Min(fastest, now - before);
        }

        // A sum that nobody reads is no work: once compiled with this method, the multiply-adds would vanish and an empty loop be measured.
        Volatile.Write(ref _sink, sum);
        return 2.0 * Chains * SimdTier.Lanes * Iterations / (fastest * 1e9 / Stopwatch.Frequency);
    }

    private static float Burn(int iterations, float multiplier)
    {
        if (Vector512.IsHardwareAccelerated)
            return Burn<Simd512, Vector512<float>>(iterations, multiplier);
        if (Vector256.IsHardwareAccelerated)
            return Burn<Simd256, Vector256<float>>(iterations, multiplier);
        return Burn<Simd128, Vector128<float>>(iterations, multiplier);
    }

    // With 16 registers 24 chains do not fit: there, 12 chains (still more than latency × units) run twice.
    private static float Burn<TSimd, TVector>(int iterations, float multiplier)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        SimdTier.TileRows == 12 ? Burn24<TSimd, TVector>(iterations, multiplier) : Burn12<TSimd, TVector>(2 * iterations, multiplier);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Burn24<TSimd, TVector>(int iterations, float multiplier)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector m = TSimd.Broadcast(multiplier), s = TSimd.Broadcast(1f);
        TVector a = s, b = s, c = s, d = s, e = s, f = s, g = s, h = s, i = s, j = s, k = s, l = s;
        TVector n = s, o = s, p = s, q = s, r = s, t = s, u = s, v = s, w = s, x = s, y = s, z = s;
        for (int iteration = 0; iteration < iterations; iteration++)
        {
            a = TSimd.MultiplyAdd(a, m, s);
            b = TSimd.MultiplyAdd(b, m, s);
            c = TSimd.MultiplyAdd(c, m, s);
            d = TSimd.MultiplyAdd(d, m, s);
            e = TSimd.MultiplyAdd(e, m, s);
            f = TSimd.MultiplyAdd(f, m, s);
            g = TSimd.MultiplyAdd(g, m, s);
            h = TSimd.MultiplyAdd(h, m, s);
            i = TSimd.MultiplyAdd(i, m, s);
            j = TSimd.MultiplyAdd(j, m, s);
            k = TSimd.MultiplyAdd(k, m, s);
            l = TSimd.MultiplyAdd(l, m, s);
            n = TSimd.MultiplyAdd(n, m, s);
            o = TSimd.MultiplyAdd(o, m, s);
            p = TSimd.MultiplyAdd(p, m, s);
            q = TSimd.MultiplyAdd(q, m, s);
            r = TSimd.MultiplyAdd(r, m, s);
            t = TSimd.MultiplyAdd(t, m, s);
            u = TSimd.MultiplyAdd(u, m, s);
            v = TSimd.MultiplyAdd(v, m, s);
            w = TSimd.MultiplyAdd(w, m, s);
            x = TSimd.MultiplyAdd(x, m, s);
            y = TSimd.MultiplyAdd(y, m, s);
            z = TSimd.MultiplyAdd(z, m, s);
        }

        TVector first = Sum<TSimd, TVector>(a, b, c, d, e, f, g, h, i, j, k, l);
        return TSimd.ReduceAdd(TSimd.Add(first, Sum<TSimd, TVector>(n, o, p, q, r, t, u, v, w, x, y, z)));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Burn12<TSimd, TVector>(int iterations, float multiplier)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector m = TSimd.Broadcast(multiplier), s = TSimd.Broadcast(1f);
        TVector a = s, b = s, c = s, d = s, e = s, f = s, g = s, h = s, i = s, j = s, k = s, l = s;
        for (int iteration = 0; iteration < iterations; iteration++)
        {
            a = TSimd.MultiplyAdd(a, m, s);
            b = TSimd.MultiplyAdd(b, m, s);
            c = TSimd.MultiplyAdd(c, m, s);
            d = TSimd.MultiplyAdd(d, m, s);
            e = TSimd.MultiplyAdd(e, m, s);
            f = TSimd.MultiplyAdd(f, m, s);
            g = TSimd.MultiplyAdd(g, m, s);
            h = TSimd.MultiplyAdd(h, m, s);
            i = TSimd.MultiplyAdd(i, m, s);
            j = TSimd.MultiplyAdd(j, m, s);
            k = TSimd.MultiplyAdd(k, m, s);
            l = TSimd.MultiplyAdd(l, m, s);
        }

        return TSimd.ReduceAdd(Sum<TSimd, TVector>(a, b, c, d, e, f, g, h, i, j, k, l));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Sum<TSimd, TVector>(
        TVector a, TVector b, TVector c, TVector d, TVector e, TVector f, TVector g, TVector h, TVector i, TVector j, TVector k, TVector l)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector left = TSimd.Add(TSimd.Add(TSimd.Add(a, b), TSimd.Add(c, d)), TSimd.Add(e, f));
        TVector right = TSimd.Add(TSimd.Add(TSimd.Add(g, h), TSimd.Add(i, j)), TSimd.Add(k, l));
        return TSimd.Add(left, right);
    }
}
