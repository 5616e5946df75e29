using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Negative log-likelihood of tokens under mixtures of K diagonal Gaussians of D dimensions. Per Gaussian L_k = ½ (log 2π + Σ_d [v_dk + (x_d − μ_dk)²
/// exp(−v_dk)]); the result is Σ_k π_k L_k as published, or −log Σ_k π_k exp(−L_k − ½(D − 1) log 2π). Vectors run over the Gaussians of a token; sums over d
/// are taken in short blocks first, so that the error does not grow with D.
/// </summary>
internal sealed unsafe class MixtureLikelihoodStep : CpuStep
{
    private const double LogTwoPi = 1.8378770664093453;

    // Dimensions added one after the other before the sum goes into the total.
    private const int Block = 32;

    private readonly BufferRef _destination;
    private readonly BufferRef _x;
    private readonly BufferRef _pi;
    private readonly BufferRef _mean;
    private readonly BufferRef _logVariance;
    private readonly int _dimensions;
    private readonly int _gaussians;
    private readonly bool _logSumExp;
    private readonly Partition _partition;

    /// <param name="destination">(tokens), dense.</param>
    /// <param name="x">(tokens, D).</param>
    /// <param name="pi">π (tokens, K).</param>
    /// <param name="mean">μ (tokens, D·K), index d·K + k.</param>
    /// <param name="logVariance">v, likewise.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="dimensions">D.</param>
    /// <param name="gaussians">K.</param>
    /// <param name="logSumExp">Whether the proper form is wanted.</param>
    public MixtureLikelihoodStep(
        BufferRef destination, BufferRef x, BufferRef pi, BufferRef mean, BufferRef logVariance, long tokens, int dimensions, int gaussians, bool logSumExp)
    {
        _destination = destination;
        _x = x;
        _pi = pi;
        _mean = mean;
        _logVariance = logVariance;
        _dimensions = dimensions;
        _gaussians = gaussians;
        _logSumExp = logSumExp;
        _partition = new Partition(tokens, 4L * dimensions * gaussians);
    }

    public override int Parts => _partition.Parts;

    // A token's sums, in whole vectors.
    public override int ScratchBytes => (_gaussians + SimdTier.Lanes) * sizeof(float);

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            RunPart<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunPart<TSimd, TVector>(in RunContext run, int part, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* destination = _destination.Resolve(run);
        long end = _partition.End(part);
        for (long token = _partition.Start(part); token < end; token++)
        {
            float* x = _x.Resolve(run) + (token * _x.RowStride);
            float* mean = _mean.Resolve(run) + (token * _mean.RowStride);
            float* logVariance = _logVariance.Resolve(run) + (token * _logVariance.RowStride);
            for (int k = 0; k < _gaussians; k += TSimd.Lanes)
                TSimd.Store(Sum<TSimd, TVector>(x, mean + k, logVariance + k, _gaussians - k), sums + k);

            float* pi = _pi.Resolve(run) + (token * _pi.RowStride);
            destination[token] = (float)(_logSumExp ? Likelihood(pi, sums) : WeightedSum(pi, sums));
        }
    }

    /// <summary>Σ_d [v + (x − μ)² exp(−v)] for a vector of Gaussians.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TVector Sum<TSimd, TVector>(float* x, float* mean, float* logVariance, int remaining)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector total = TSimd.Zero;
        for (int first = 0; first < _dimensions; first += Block)
        {
            TVector sum = TSimd.Zero;
            int end = Math.Min(first + Block, _dimensions);
            for (int d = first; d < end; d++, mean += _gaussians, logVariance += _gaussians)
            {
                TVector v = SimdTail.Load<TSimd, TVector>(logVariance, remaining);
                TVector deviation = TSimd.Subtract(TSimd.Broadcast(x[d]), SimdTail.Load<TSimd, TVector>(mean, remaining));
                TVector precision = VectorMath.Exp<TSimd, TVector>(TSimd.Subtract(TSimd.Zero, v));
                sum = TSimd.Add(sum, TSimd.MultiplyAdd(TSimd.Multiply(deviation, deviation), precision, v));
            }

            total = TSimd.Add(total, sum);
        }

        return total;
    }

    private double WeightedSum(float* pi, float* sums)
    {
        double result = 0;
        for (int k = 0; k < _gaussians; k++)
            result += pi[k] * 0.5 * (LogTwoPi + sums[k]);

        return result;
    }

    private double Likelihood(float* pi, float* sums)
    {
        double least = double.PositiveInfinity, sum = 0;
        for (int k = 0; k < _gaussians; k++)
            least = Math.Min(least, sums[k]);

        for (int k = 0; k < _gaussians; k++)
            sum += pi[k] * Math.Exp(0.5 * (least - sums[k]));

        return (0.5 * (least + (_dimensions * LogTwoPi))) - Math.Log(sum);
    }
}
