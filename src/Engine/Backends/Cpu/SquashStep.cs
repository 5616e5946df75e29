using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>A capsule's squash of the rows of a matrix: y = |s|²/(1 + |s|²) · s/|s|; NaN for s = 0. The destination may be the source.</summary>
internal sealed unsafe class SquashStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly int _width;
    private readonly Partition _partition;

    /// <param name="destination">(rows, width).</param>
    /// <param name="source">(rows, width).</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="width">Floats in a row.</param>
    public SquashStep(BufferRef destination, BufferRef source, long rows, int width)
    {
        _destination = destination;
        _source = source;
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
        long end = _partition.End(part);
        for (long row = _partition.Start(part); row < end; row++)
        {
            float* from = _source.Resolve(run) + (row * _source.RowStride);
            float* to = _destination.Resolve(run) + (row * _destination.RowStride);
            TVector squares = TSimd.Zero;
            for (int j = 0; j < _width; j += TSimd.Lanes)
            {
                TVector s = SimdTail.Load<TSimd, TVector>(from + j, _width - j);
                squares = TSimd.MultiplyAdd(s, s, squares);
            }

            float square = TSimd.ReduceAdd(squares);
            TVector factor = TSimd.Broadcast(square / (1 + square) / MathF.Sqrt(square));
            for (int j = 0; j < _width; j += TSimd.Lanes)
                SimdTail.Store<TSimd, TVector>(TSimd.Multiply(SimdTail.Load<TSimd, TVector>(from + j, _width - j), factor), to + j, _width - j);
        }
    }
}
