using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>C += A·B. A type of its own beside <see cref="ProductStore{TSimd, TVector}"/>: branches between rows hold up the next tile's multiply-adds.</summary>
/// <param name="c">The sum, row 0.</param>
/// <param name="rowStride">Floats from one row of C to the next.</param>
/// <param name="vectorStride">Floats from the first vector of a row of C to the second.</param>
internal unsafe struct SumStore<TSimd, TVector>(float* c, nint rowStride, nint vectorStride) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly float* _c = c;
    private readonly nint _rowStride = rowStride;
    private readonly nint _vectorStride = vectorStride;
    private float* _tile = c;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row) => _tile = _c + (row * _rowStride);

    // C is in the first cache, or near.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(int row)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        float* c = _tile + (row * _rowStride);
        TSimd.Store(TSimd.Add(TSimd.Load(c), first), c);
        TSimd.Store(TSimd.Add(TSimd.Load(c + _vectorStride), second), c + _vectorStride);
    }
}
