using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>C = A·B.</summary>
/// <param name="c">The product, row 0.</param>
/// <param name="rowStride">Floats from one row of C to the next.</param>
/// <param name="vectorStride">Floats from the first vector of a row of C to the second.</param>
internal unsafe struct ProductStore<TSimd, TVector>(float* c, nint rowStride, nint vectorStride) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly float* _c = c;
    private readonly nint _rowStride = rowStride;
    private readonly nint _vectorStride = vectorStride;
    private float* _tile = c;

    // Nothing is fetched: C is small and in the first cache.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row, int rows) => _tile = _c + (row * _rowStride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        float* c = _tile + (row * _rowStride);
        TSimd.Store(first, c);
        TSimd.Store(second, c + _vectorStride);
    }
}
