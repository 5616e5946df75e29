using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Cosine distance of the rows of a and b (rows, D): 1 − a·b / (max(‖a‖, 1e-8) · max(‖b‖, 1e-8)), rows floats, dense. Features of vision
/// transformers have outliers whose square dwarfs the other products. Lanes therefore collect what each addition rounds off (Knuth's
/// TwoSum), and lanes and quotient are finished in float64: a distance is off by less than 2e-7.
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
        (TVector xy, TVector xx, TVector yy) = (TSimd.Zero, TSimd.Zero, TSimd.Zero);
        (TVector xyLost, TVector xxLost, TVector yyLost) = (TSimd.Zero, TSimd.Zero, TSimd.Zero);
        for (int j = 0; j < _width; j += TSimd.Lanes)
        {
            TVector x = SimdTail.Load<TSimd, TVector>(a + j, _width - j);
            TVector y = SimdTail.Load<TSimd, TVector>(b + j, _width - j);
            (xy, xyLost) = Accumulate<TSimd, TVector>(xy, xyLost, TSimd.Multiply(x, y));
            (xx, xxLost) = Accumulate<TSimd, TVector>(xx, xxLost, TSimd.Multiply(x, x));
            (yy, yyLost) = Accumulate<TSimd, TVector>(yy, yyLost, TSimd.Multiply(y, y));
        }

        double dot = Sum<TSimd, TVector>(xy, sums) + Sum<TSimd, TVector>(xyLost, sums);
        double leftNorm = Math.Sqrt(Sum<TSimd, TVector>(xx, sums) + Sum<TSimd, TVector>(xxLost, sums));
        double rightNorm = Math.Sqrt(Sum<TSimd, TVector>(yy, sums) + Sum<TSimd, TVector>(yyLost, sums));
        return (float)(1 - (dot / (Math.Max(leftNorm, SmallestNorm) * Math.Max(rightNorm, SmallestNorm))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector Sum, TVector Lost) Accumulate<TSimd, TVector>(TVector sum, TVector lost, TVector value)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector total = TSimd.Add(sum, value);
        TVector added = TSimd.Subtract(total, sum);
        TVector lostOfSum = TSimd.Subtract(sum, TSimd.Subtract(total, added));
        TVector lostOfValue = TSimd.Subtract(value, added);
        return (total, TSimd.Add(lost, TSimd.Add(lostOfSum, lostOfValue)));
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
