using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>C = A·B, in scratch memory.</summary>
/// <param name="c">The product, row 0.</param>
/// <param name="rowStride">Floats from one row of C to the next.</param>
/// <param name="vectorStride">Floats from the first vector of a row of C to the second.</param>
/// <param name="targets">Where each row goes once it is finished; null if that is not far either. It is fetched.</param>
/// <param name="offset">Floats from there to the panel's first column.</param>
/// <param name="targetVectorStride">Floats from the first vector of a row to the second there.</param>
internal unsafe struct ProductStore<TSimd, TVector>(
    float* c, nint rowStride, nint vectorStride, float** targets = null, nint offset = 0, nint targetVectorStride = 0) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly float* _c = c;
    private readonly nint _rowStride = rowStride;
    private readonly nint _vectorStride = vectorStride;
    private readonly float** _targets = targets;
    private readonly nint _offset = offset;
    private readonly nint _targetVectorStride = targetVectorStride;
    private float* _tile = c;
    private float** _targetTile = targets;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row)
    {
        _tile = _c + (row * _rowStride);
        _targetTile = _targets + row;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(int row)
    {
        if (!Sse.IsSupported || _targets == null)
            return;

        float* target = _targetTile[row] + _offset;
        Sse.Prefetch0(target);
        Sse.Prefetch0(target + _targetVectorStride + TSimd.Lanes - 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        float* c = _tile + (row * _rowStride);
        TSimd.Store(first, c);
        TSimd.Store(second, c + _vectorStride);
    }
}
