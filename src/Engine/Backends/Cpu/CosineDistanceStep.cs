using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Cosine distance of the rows of a and b (rows, D): 1 − a·b / (max(‖a‖, 1e-8) · max(‖b‖, 1e-8)), rows floats, dense.
/// Products are summed per vector lane in float32, lanes and quotient in float64: a distance is off by less than 2e-7.
/// </summary>
internal sealed unsafe class CosineDistanceStep : CpuStep
{
    private const double SmallestNorm = 1e-8;

    private readonly BufferRef _destination;
    private readonly BufferRef _left;
    private readonly BufferRef _right;
    private readonly int _width;
    private readonly Partition _partition;

    /// <param name="destination">(rows), dense.</param>
    /// <param name="left">a (rows, D).</param>
    /// <param name="right">b (rows, D).</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="width">D.</param>
    public CosineDistanceStep(BufferRef destination, BufferRef left, BufferRef right, long rows, int width)
    {
        _destination = destination;
        _left = left;
        _right = right;
        _width = width;
        _partition = new Partition(rows, 2 * width);
    }

    public override int Parts => _partition.Parts;

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part);
        else
            RunPart<Simd128, Vector128<float>>(run, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunPart<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* destination = _destination.Resolve(run);
        float* left = _left.Resolve(run);
        float* right = _right.Resolve(run);
        float* lanes = stackalloc float[TSimd.Lanes];
        long end = _partition.End(part);
        for (long row = _partition.Start(part); row < end; row++)
            destination[row] = Distance<TSimd, TVector>(left + (row * _left.RowStride), right + (row * _right.RowStride), lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Distance<TSimd, TVector>(float* a, float* b, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int lanes = TSimd.Lanes;
        int rest = _width % lanes;
        int full = _width - rest;
        TVector x = TSimd.LoadFirst(a + full, rest);
        TVector y = TSimd.LoadFirst(b + full, rest);
        (TVector xy0, TVector xx0, TVector yy0) = (TSimd.Multiply(x, y), TSimd.Multiply(x, x), TSimd.Multiply(y, y));
        (TVector xy1, TVector xx1, TVector yy1) = (TSimd.Zero, TSimd.Zero, TSimd.Zero);
        int j = 0;
        for (; j <= full - (2 * lanes); j += 2 * lanes)
        {
            (x, y) = (TSimd.Load(a + j), TSimd.Load(b + j));
            xy0 = TSimd.MultiplyAdd(x, y, xy0);
            xx0 = TSimd.MultiplyAdd(x, x, xx0);
            yy0 = TSimd.MultiplyAdd(y, y, yy0);
            (x, y) = (TSimd.Load(a + j + lanes), TSimd.Load(b + j + lanes));
            xy1 = TSimd.MultiplyAdd(x, y, xy1);
            xx1 = TSimd.MultiplyAdd(x, x, xx1);
            yy1 = TSimd.MultiplyAdd(y, y, yy1);
        }

        if (j < full)
        {
            (x, y) = (TSimd.Load(a + j), TSimd.Load(b + j));
            xy1 = TSimd.MultiplyAdd(x, y, xy1);
            xx1 = TSimd.MultiplyAdd(x, x, xx1);
            yy1 = TSimd.MultiplyAdd(y, y, yy1);
        }

        double dot = Sum<TSimd, TVector>(xy0, sums) + Sum<TSimd, TVector>(xy1, sums);
        double leftNorm = Math.Sqrt(Sum<TSimd, TVector>(xx0, sums) + Sum<TSimd, TVector>(xx1, sums));
        double rightNorm = Math.Sqrt(Sum<TSimd, TVector>(yy0, sums) + Sum<TSimd, TVector>(yy1, sums));
        return (float)(1 - (dot / (Math.Max(leftNorm, SmallestNorm) * Math.Max(rightNorm, SmallestNorm))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double Sum<TSimd, TVector>(TVector vector, float* lanes)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TSimd.Store(vector, lanes);
        double sum = 0;
        for (int i = 0; i < TSimd.Lanes; i++)
            sum += lanes[i];

        return sum;
    }
}
