using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>y = max(max(A·B + bias, lower bound) + residual, lower bound of the sum): <see cref="ResultStore{TSimd, TVector}"/> with a residual.</summary>
/// <param name="bias">The bias of the panel's columns.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="offset">Floats from there to the panel's first column.</param>
/// <param name="vectorStride">Floats from the first vector of a row to the second.</param>
/// <param name="lowerBound">0 for a ReLU before the residual is added, else −∞.</param>
/// <param name="sumBound">0 for a ReLU after that, else −∞.</param>
/// <param name="residual">The residual of the first row and the panel's first column.</param>
/// <param name="residualStride">Floats from one row of the residual to the next.</param>
internal unsafe struct ResidualStore<TSimd, TVector>(
    float* bias, float** targets, nint offset, nint vectorStride, float lowerBound, float sumBound, float* residual, nint residualStride) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly TVector _lowerBound = TSimd.Broadcast(lowerBound);
    private readonly TVector _sumBound = TSimd.Broadcast(sumBound);
    private readonly float* _bias = bias;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _vectorStride = vectorStride;
    private readonly float* _residual = residual;
    private readonly nint _residualStride = residualStride;
    private float** _tile = targets;
    private float* _residualTile = residual;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row, int rows)
    {
        _tile = _targets + row;
        _residualTile = _residual + (row * _residualStride);
        if (!Sse.IsSupported)
            return;

        nint first = _offset, last = _offset + _vectorStride + TSimd.Lanes - 1, stride = _residualStride;
        float** target = _tile;
        float* residual = _residualTile;
        for (float** end = target + rows; target < end; target++, residual += stride)
        {
            Sse.Prefetch0(*target + first);
            Sse.Prefetch0(*target + last);
            Sse.Prefetch0(residual);
            Sse.Prefetch0(residual + (2 * TSimd.Lanes) - 1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        float* residual = _residualTile + (row * _residualStride);
        first = TSimd.Max(_lowerBound, TSimd.Add(first, TSimd.Load(_bias)));
        second = TSimd.Max(_lowerBound, TSimd.Add(second, TSimd.Load(_bias + TSimd.Lanes)));
        first = TSimd.Max(_sumBound, TSimd.Add(first, TSimd.Load(residual)));
        second = TSimd.Max(_sumBound, TSimd.Add(second, TSimd.Load(residual + TSimd.Lanes)));
        float* target = _tile[row] + _offset;
        TSimd.Store(first, target);
        TSimd.Store(second, target + _vectorStride);
    }
}
