using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>C = A·B, or C + A·B.</summary>
/// <param name="c">The product, row 0.</param>
/// <param name="rowStride">Floats from one row of C to the next.</param>
/// <param name="vectorStride">Floats from the first vector of a row of C to the second.</param>
/// <param name="accumulate">Whether C is added to, or overwritten.</param>
internal readonly unsafe struct ProductStore<TSimd, TVector>(float* c, nint rowStride, nint vectorStride, bool accumulate) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly float* _c = c;
    private readonly nint _rowStride = rowStride;
    private readonly nint _vectorStride = vectorStride;
    private readonly bool _accumulate = accumulate;

    // C is small and in the first cache.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(int row, int rows)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(int row, TVector first, TVector second)
    {
        float* c = _c + (row * _rowStride);
        if (_accumulate)
        {
            first = TSimd.Add(TSimd.Load(c), first);
            second = TSimd.Add(TSimd.Load(c + _vectorStride), second);
        }

        TSimd.Store(first, c);
        TSimd.Store(second, c + _vectorStride);
    }
}
