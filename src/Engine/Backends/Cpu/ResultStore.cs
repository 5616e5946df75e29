using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// y = max(A·B + bias, lower bound), from the kernel's registers to where the result is: an <see cref="Epilogue"/> that is no function of many instructions.
/// A type of its own beside <see cref="ResidualStore{TSimd, TVector}"/>: branches between rows hold up the next tile's multiply-adds.
/// </summary>
/// <param name="bias">The bias of the panel's columns.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="offset">Floats from there to the panel's first column.</param>
/// <param name="vectorStride">Floats from the first vector of a row to the second.</param>
/// <param name="lowerBound">0 for a ReLU, else −∞.</param>
internal unsafe struct ResultStore<TSimd, TVector>(float* bias, float** targets, nint offset, nint vectorStride, float lowerBound) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly TVector _lowerBound = TSimd.Broadcast(lowerBound);
    private readonly float* _bias = bias;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _vectorStride = vectorStride;
    private float** _tile = targets;

    // No hardware follows rows that are pages apart, and stores that miss the caches queue up.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row, int rows)
    {
        _tile = _targets + row;
        if (!Sse.IsSupported)
            return;

        nint first = _offset, last = _offset + _vectorStride + TSimd.Lanes - 1;
        float** target = _tile;
        for (float** end = target + rows; target < end; target++)
        {
            Sse.Prefetch0(*target + first);
            Sse.Prefetch0(*target + last);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        float* target = _tile[row] + _offset;
        TSimd.Store(TSimd.Max(_lowerBound, TSimd.Add(first, TSimd.Load(_bias))), target);
        TSimd.Store(TSimd.Max(_lowerBound, TSimd.Add(second, TSimd.Load(_bias + TSimd.Lanes))), target + _vectorStride);
    }
}
