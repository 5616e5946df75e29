using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>Width of a kernel, as a type so that the JIT specialises <see cref="SlidingWindow"/> for it.</summary>
internal interface IKernelWidth
{
    /// <summary>3 or 5.</summary>
    static abstract int Taps { get; }
}

/// <summary>Three taps.</summary>
internal readonly struct ThreeTaps : IKernelWidth
{
    public static int Taps => 3;
}

/// <summary>Five taps.</summary>
internal readonly struct FiveTaps : IKernelWidth
{
    public static int Taps => 5;
}

/// <summary>The inner loop of a depthwise convolution with stride 1.</summary>
internal static unsafe class SlidingWindow
{
    /// <summary>Pixels whose sums are computed together.</summary>
    public const int Pixels = 8;

    private const int Block = DepthwiseRows.Block;

    /// <summary>
    /// Sums of neighbouring pixels of some rows, for a vector of channels. The windows overlap: a pixel is loaded once for each row of taps and added to every sum
    /// whose window it is in, while the row's taps are in registers; with a load to every multiply-add, the loads would set the pace.
    /// </summary>
    /// <param name="count">Rows of sums.</param>
    /// <param name="rows">The first pixel that the first window sees, [row][column][16].</param>
    /// <param name="pitch">Floats from one row to the next.</param>
    /// <param name="taps">The kernel, [row][column][16].</param>
    /// <param name="kernelHeight">Its rows.</param>
    /// <param name="bias">What the sums begin with.</param>
    /// <param name="sums">The sums, [column][16].</param>
    /// <param name="sumsPitch">Floats from one row of them to the next.</param>
    /// <param name="pixels">Sums of a row, a multiple of <see cref="Pixels"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Filter<TSimd, TVector, TWidth>(
        int count, float* rows, nint pitch, float* taps, int kernelHeight, float* bias, float* sums, nint sumsPitch, int pixels)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TWidth : struct, IKernelWidth
    {
        for (; count > 0; count--, rows += pitch, sums += sumsPitch)
        {
            for (int first = 0; first < pixels * Block; first += Pixels * Block)
            {
                TVector s0 = TSimd.Load(bias), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
                float* pixel = rows + first;
                float* tap = taps;
                for (int u = 0; u < kernelHeight; u++, pixel += pitch, tap += TWidth.Taps * Block)
                {
                    TVector w0 = TSimd.Load(tap), w1 = TSimd.Load(tap + Block), w2 = TSimd.Load(tap + (2 * Block));
                    TVector w3 = TWidth.Taps > 3 ? TSimd.Load(tap + (3 * Block)) : w0, w4 = TWidth.Taps > 3 ? TSimd.Load(tap + (4 * Block)) : w0;
                    TVector x = TSimd.Load(pixel);
                    s0 = TSimd.MultiplyAdd(x, w0, s0);
                    x = TSimd.Load(pixel + Block);
                    s0 = TSimd.MultiplyAdd(x, w1, s0);
                    s1 = TSimd.MultiplyAdd(x, w0, s1);
                    x = TSimd.Load(pixel + (2 * Block));
                    s0 = TSimd.MultiplyAdd(x, w2, s0);
                    s1 = TSimd.MultiplyAdd(x, w1, s1);
                    s2 = TSimd.MultiplyAdd(x, w0, s2);
                    x = TSimd.Load(pixel + (3 * Block));
                    if (TWidth.Taps > 3)
                        s0 = TSimd.MultiplyAdd(x, w3, s0);
                    s1 = TSimd.MultiplyAdd(x, w2, s1);
                    s2 = TSimd.MultiplyAdd(x, w1, s2);
                    s3 = TSimd.MultiplyAdd(x, w0, s3);
                    x = TSimd.Load(pixel + (4 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s0 = TSimd.MultiplyAdd(x, w4, s0);
                        s1 = TSimd.MultiplyAdd(x, w3, s1);
                    }

                    s2 = TSimd.MultiplyAdd(x, w2, s2);
                    s3 = TSimd.MultiplyAdd(x, w1, s3);
                    s4 = TSimd.MultiplyAdd(x, w0, s4);
                    x = TSimd.Load(pixel + (5 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s1 = TSimd.MultiplyAdd(x, w4, s1);
                        s2 = TSimd.MultiplyAdd(x, w3, s2);
                    }

                    s3 = TSimd.MultiplyAdd(x, w2, s3);
                    s4 = TSimd.MultiplyAdd(x, w1, s4);
                    s5 = TSimd.MultiplyAdd(x, w0, s5);
                    x = TSimd.Load(pixel + (6 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s2 = TSimd.MultiplyAdd(x, w4, s2);
                        s3 = TSimd.MultiplyAdd(x, w3, s3);
                    }

                    s4 = TSimd.MultiplyAdd(x, w2, s4);
                    s5 = TSimd.MultiplyAdd(x, w1, s5);
                    s6 = TSimd.MultiplyAdd(x, w0, s6);
                    x = TSimd.Load(pixel + (7 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s3 = TSimd.MultiplyAdd(x, w4, s3);
                        s4 = TSimd.MultiplyAdd(x, w3, s4);
                    }

                    s5 = TSimd.MultiplyAdd(x, w2, s5);
                    s6 = TSimd.MultiplyAdd(x, w1, s6);
                    s7 = TSimd.MultiplyAdd(x, w0, s7);
                    x = TSimd.Load(pixel + (8 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s4 = TSimd.MultiplyAdd(x, w4, s4);
                        s5 = TSimd.MultiplyAdd(x, w3, s5);
                    }

                    s6 = TSimd.MultiplyAdd(x, w2, s6);
                    s7 = TSimd.MultiplyAdd(x, w1, s7);
                    x = TSimd.Load(pixel + (9 * Block));
                    if (TWidth.Taps > 3)
                    {
                        s5 = TSimd.MultiplyAdd(x, w4, s5);
                        s6 = TSimd.MultiplyAdd(x, w3, s6);
                    }

                    s7 = TSimd.MultiplyAdd(x, w2, s7);
                    if (TWidth.Taps > 3)
                    {
                        x = TSimd.Load(pixel + (10 * Block));
                        s6 = TSimd.MultiplyAdd(x, w4, s6);
                        s7 = TSimd.MultiplyAdd(x, w3, s7);
                        x = TSimd.Load(pixel + (11 * Block));
                        s7 = TSimd.MultiplyAdd(x, w4, s7);
                    }
                }

                float* sum = sums + first;
                TSimd.Store(s0, sum);
                TSimd.Store(s1, sum + Block);
                TSimd.Store(s2, sum + (2 * Block));
                TSimd.Store(s3, sum + (3 * Block));
                TSimd.Store(s4, sum + (4 * Block));
                TSimd.Store(s5, sum + (5 * Block));
                TSimd.Store(s6, sum + (6 * Block));
                TSimd.Store(s7, sum + (7 * Block));
            }
        }
    }
}
