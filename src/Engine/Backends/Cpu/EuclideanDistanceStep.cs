using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>Euclidean distance of the rows of a and b (rows, D): √Σ(a − b)². All summands have one sign: plain lanes keep the digits.</summary>
internal sealed unsafe class EuclideanDistanceStep : CpuStep
{
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
    public EuclideanDistanceStep(BufferRef destination, BufferRef left, BufferRef right, long rows, int width)
    {
        _destination = destination;
        _left = left;
        _right = right;
        _width = width;
        _partition = new Partition(rows, 2L * width);
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
        long end = _partition.End(part);
        for (long row = _partition.Start(part); row < end; row++)
        {
            float* a = _left.Resolve(run) + (row * _left.RowStride);
            float* b = _right.Resolve(run) + (row * _right.RowStride);
            (TVector even, TVector odd) = (TSimd.Zero, TSimd.Zero);
            for (int j = 0; j < _width; j += 2 * TSimd.Lanes)
            {
                TVector first = Difference<TSimd, TVector>(a + j, b + j, _width - j);
                TVector second = Difference<TSimd, TVector>(a + j + TSimd.Lanes, b + j + TSimd.Lanes, Math.Max(_width - j - TSimd.Lanes, 0));
                even = TSimd.MultiplyAdd(first, first, even);
                odd = TSimd.MultiplyAdd(second, second, odd);
            }

            destination[row] = MathF.Sqrt(TSimd.ReduceAdd(TSimd.Add(even, odd)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Difference<TSimd, TVector>(float* a, float* b, int remaining)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Subtract(SimdTail.Load<TSimd, TVector>(a, remaining), SimdTail.Load<TSimd, TVector>(b, remaining));
}
