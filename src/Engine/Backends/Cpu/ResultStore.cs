using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// y = max(sum + A·B + bias, lower bound), from the kernel's registers to where the result is: an <see cref="Epilogue"/> that is no function of many instructions.
/// A type of its own beside <see cref="ResidualStore{TSimd, TVector, TSections}"/>: branches between rows hold up the next tile's multiply-adds.
/// </summary>
/// <param name="bias">The bias of the panel's columns.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="offset">Floats from there to the panel's first column.</param>
/// <param name="vectorStride">Floats from the first vector of a row to the second.</param>
/// <param name="lowerBound">0 for a ReLU, else −∞.</param>
/// <param name="sum">What earlier sections add up to, if there are any: row 0, rows of <see cref="SimdTier.PanelColumns"/> floats.</param>
internal unsafe struct ResultStore<TSimd, TVector, TSections>(
    float* bias, float** targets, nint offset, nint vectorStride, float lowerBound, float* sum) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
    where TSections : struct, ISections
{
    private readonly TVector _lowerBound = TSimd.Broadcast(lowerBound);
    private readonly float* _bias = bias;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _vectorStride = vectorStride;
    private readonly float* _sum = sum;
    private float** _tile = targets;
    private float* _sumTile = sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row)
    {
        _tile = _targets + row;
        if (TSections.AreSeveral)
            _sumTile = _sum + (row * SimdTier.PanelColumns);
    }

    // No hardware follows rows that are pages apart, and stores that miss the caches queue up.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(int row)
    {
        if (!Sse.IsSupported)
            return;

        float* target = _tile[row] + _offset;
        Sse.Prefetch0(target);
        Sse.Prefetch0(target + _vectorStride + TSimd.Lanes - 1);
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

        float* target = _tile[row] + _offset;
        TSimd.Store(TSimd.Max(_lowerBound, TSimd.Add(first, TSimd.Load(_bias))), target);
        TSimd.Store(TSimd.Max(_lowerBound, TSimd.Add(second, TSimd.Load(_bias + TSimd.Lanes))), target + _vectorStride);
    }
}
