using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>Batch normalisation with stored statistics on a matrix (rows, C): y = (x − mean) · w/√(var + ε) + b.</summary>
internal sealed unsafe class BatchNormStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly BufferRef _weight;
    private readonly BufferRef _bias;
    private readonly BufferRef _mean;
    private readonly BufferRef _variance;
    private readonly int _channels;
    private readonly float _epsilon;
    private readonly Partition _partition;

    /// <param name="destination">(rows, C), dense.</param>
    /// <param name="source">(rows, C), dense.</param>
    /// <param name="weight">w (C).</param>
    /// <param name="bias">b (C).</param>
    /// <param name="mean">(C).</param>
    /// <param name="variance">(C).</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="channels">C.</param>
    /// <param name="epsilon">ε.</param>
    public BatchNormStep(
        BufferRef destination, BufferRef source, BufferRef weight, BufferRef bias, BufferRef mean, BufferRef variance, long rows, int channels, float epsilon)
    {
        _destination = destination;
        _source = source;
        _weight = weight;
        _bias = bias;
        _mean = mean;
        _variance = variance;
        _channels = channels;
        _epsilon = epsilon;
        _partition = new Partition(rows, 2L * channels);
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
        long first = _partition.Start(part) * _channels, end = _partition.End(part) * _channels;
        float* source = _source.Resolve(run);
        float* destination = _destination.Resolve(run);
        TVector epsilon = TSimd.Broadcast(_epsilon);
        for (int c = 0; c < _channels; c += TSimd.Lanes)
        {
            int remaining = _channels - c;
            TVector mean = SimdTail.Load<TSimd, TVector>(_mean.Resolve(run) + c, remaining);
            TVector deviation = TSimd.Sqrt(TSimd.Add(SimdTail.Load<TSimd, TVector>(_variance.Resolve(run) + c, remaining), epsilon));
            TVector scale = TSimd.Divide(SimdTail.Load<TSimd, TVector>(_weight.Resolve(run) + c, remaining), deviation);
            TVector bias = SimdTail.Load<TSimd, TVector>(_bias.Resolve(run) + c, remaining);
            for (long i = first + c; i < end; i += _channels)
            {
                TVector centred = TSimd.Subtract(SimdTail.Load<TSimd, TVector>(source + i, remaining), mean);
                SimdTail.Store<TSimd, TVector>(TSimd.MultiplyAdd(centred, scale, bias), destination + i, remaining);
            }
        }
    }
}
