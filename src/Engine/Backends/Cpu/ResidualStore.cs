using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// y = max(max(sum + A·B + bias, lower bound) + residual, lower bound of the result): <see cref="ResultStore{TSimd, TVector, TSections}"/> with a residual.
/// </summary>
/// <param name="bias">The bias of the panel's columns.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="offset">Floats from there to the panel's first column.</param>
/// <param name="vectorStride">Floats from the first vector of a row to the second.</param>
/// <param name="lowerBound">0 for a ReLU before the residual is added, else −∞.</param>
/// <param name="resultBound">0 for a ReLU after that, else −∞.</param>
/// <param name="residual">The residual of the first row and the panel's first column.</param>
/// <param name="residualStride">Floats from one row of the residual to the next.</param>
/// <param name="sum">What earlier sections add up to, if there are any: row 0, rows of <see cref="SimdTier.PanelColumns"/> floats.</param>
internal unsafe struct ResidualStore<TSimd, TVector, TSections>(
    float* bias, float** targets, nint offset, nint vectorStride, float lowerBound, float resultBound, float* residual, nint residualStride, float* sum)
    : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
    where TSections : struct, ISections
{
    private readonly TVector _lowerBound = TSimd.Broadcast(lowerBound);
    private readonly TVector _resultBound = TSimd.Broadcast(resultBound);
    private readonly float* _bias = bias;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _vectorStride = vectorStride;
    private readonly float* _residual = residual;
    private readonly nint _residualStride = residualStride;
    private readonly float* _sum = sum;
    private float** _tile = targets;
    private float* _residualTile = residual;
    private float* _sumTile = sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row)
    {
        _tile = _targets + row;
        _residualTile = _residual + (row * _residualStride);
        if (TSections.AreSeveral)
            _sumTile = _sum + (row * SimdTier.PanelColumns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(int row)
    {
        if (!Sse.IsSupported)
            return;

        float* target = _tile[row] + _offset;
        Sse.Prefetch0(target);
        Sse.Prefetch0(target + _vectorStride + TSimd.Lanes - 1);
        float* residual = _residualTile + (row * _residualStride);
        Sse.Prefetch0(residual);
        Sse.Prefetch0(residual + (2 * TSimd.Lanes) - 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        if (TSections.AreSeveral)
        {
            float* sum = _sumTile + (row * SimdTier.PanelColumns);
            first = TSimd.Add(TSimd.Load(sum), first);
            second = TSimd.Add(TSimd.Load(sum + TSimd.Lanes), second);
        }

        float* residual = _residualTile + (row * _residualStride);
        first = TSimd.Max(_lowerBound, TSimd.Add(first, TSimd.Load(_bias)));
        second = TSimd.Max(_lowerBound, TSimd.Add(second, TSimd.Load(_bias + TSimd.Lanes)));
        first = TSimd.Max(_resultBound, TSimd.Add(first, TSimd.Load(residual)));
        second = TSimd.Max(_resultBound, TSimd.Add(second, TSimd.Load(residual + TSimd.Lanes)));
        float* target = _tile[row] + _offset;
        TSimd.Store(first, target);
        TSimd.Store(second, target + _vectorStride);
    }
}
