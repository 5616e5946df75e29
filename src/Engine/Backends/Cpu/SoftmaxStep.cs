using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>y = exp(x − max) / Σ exp(x − max) over the rows of a matrix. The destination may be the source.</summary>
internal sealed unsafe class SoftmaxStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly int _width;
    private readonly Partition _partition;

    /// <param name="destination">(rows, width).</param>
    /// <param name="source">(rows, width).</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="width">Floats in a row.</param>
    public SoftmaxStep(BufferRef destination, BufferRef source, long rows, int width)
    {
        _destination = destination;
        _source = source;
        _width = width;
        _partition = new Partition(rows, 4L * width);
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
        TVector none = TSimd.Broadcast(float.NegativeInfinity);
        long end = _partition.End(part);
        for (long row = _partition.Start(part); row < end; row++)
        {
            float* from = _source.Resolve(run) + (row * _source.RowStride);
            float* to = _destination.Resolve(run) + (row * _destination.RowStride);
            TVector largest = none;
            for (int j = 0; j < _width; j += TSimd.Lanes)
                largest = TSimd.Max(largest, Load<TSimd, TVector>(from + j, _width - j, none));

            TVector shift = TSimd.Broadcast(TSimd.ReduceMax(largest));
            TVector sum = TSimd.Zero;
            for (int j = 0; j < _width; j += TSimd.Lanes)
            {
                TVector power = VectorMath.Exp<TSimd, TVector>(TSimd.Subtract(Load<TSimd, TVector>(from + j, _width - j, none), shift));
                sum = TSimd.Add(sum, power);
                SimdTail.Store<TSimd, TVector>(power, to + j, _width - j);
            }

            TVector factor = TSimd.Broadcast(1 / TSimd.ReduceAdd(sum));
            for (int j = 0; j < _width; j += TSimd.Lanes)
                SimdTail.Store<TSimd, TVector>(TSimd.Multiply(SimdTail.Load<TSimd, TVector>(to + j, _width - j), factor), to + j, _width - j);
        }
    }

    /// <summary>The lanes beyond the row are <paramref name="none"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load<TSimd, TVector>(float* source, int remaining, TVector none)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        remaining >= TSimd.Lanes
            ? TSimd.Load(source)
            : TSimd.Select(TSimd.LessThan(TSimd.Indices, TSimd.Broadcast(remaining)), TSimd.LoadFirst(source, remaining), none);
}
