using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// y = max(max(partial + A·B + bias, lower bound) + residual, lower bound of the sum), from the kernel's registers to where the result is: an
/// <see cref="Epilogue"/> that is no function of many instructions.
/// </summary>
/// <param name="bias">The bias of the tile's columns.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="offset">Floats from there to the tile's first column.</param>
/// <param name="vectorStride">Floats from the first vector of a row to the second.</param>
/// <param name="lowerBound">0 for a ReLU before the residual is added, else −∞.</param>
/// <param name="sumBound">0 for a ReLU after that, else −∞.</param>
/// <param name="partial">The product of the sections of K before this one, rows of <see cref="SimdTier.PanelColumns"/> floats; null if there are none.</param>
/// <param name="residual">The residual of the tile's first element; null for none.</param>
/// <param name="residualStride">Floats from one row of the residual to the next.</param>
internal readonly unsafe struct ResultStore<TSimd, TVector>(
    float* bias, float** targets, nint offset, nint vectorStride, float lowerBound, float sumBound, float* partial, float* residual, nint residualStride)
    : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly TVector _lowerBound = TSimd.Broadcast(lowerBound);
    private readonly TVector _sumBound = TSimd.Broadcast(sumBound);
    private readonly float* _bias = bias;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _vectorStride = vectorStride;
    private readonly float* _partial = partial;
    private readonly float* _residual = residual;
    private readonly nint _residualStride = residualStride;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(int row, TVector first, TVector second)
    {
        if (_partial != null)
        {
            first = TSimd.Add(TSimd.Load(_partial + (row * SimdTier.PanelColumns)), first);
            second = TSimd.Add(TSimd.Load(_partial + (row * SimdTier.PanelColumns) + TSimd.Lanes), second);
        }

        first = TSimd.Max(_lowerBound, TSimd.Add(first, TSimd.Load(_bias)));
        second = TSimd.Max(_lowerBound, TSimd.Add(second, TSimd.Load(_bias + TSimd.Lanes)));
        if (_residual != null)
        {
            float* residual = _residual + (row * _residualStride);
            first = TSimd.Max(_sumBound, TSimd.Add(first, TSimd.Load(residual)));
            second = TSimd.Max(_sumBound, TSimd.Add(second, TSimd.Load(residual + TSimd.Lanes)));
        }

        float* target = _targets[row] + _offset;
        TSimd.Store(first, target);
        TSimd.Store(second, target + _vectorStride);
    }
}
