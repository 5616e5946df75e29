using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>Rows of A·B times a factor each, panel after panel, from the kernel's registers to where the result is. What <see cref="Seek"/> takes for a row is the panel.</summary>
/// <param name="factors">The rows' factors.</param>
/// <param name="targets">Where each row of the result begins.</param>
/// <param name="panelStride">Floats from one panel of a row to the next.</param>
/// <param name="vectorStride">Floats from the first vector of a panel's row to the second.</param>
internal unsafe struct ScaledStore<TSimd, TVector>(float* factors, float** targets, nint panelStride, nint vectorStride) : ITileStore<TVector>
    where TSimd : ISimd<TVector>
    where TVector : struct
{
    private readonly float* _factors = factors;
    private readonly float** _targets = targets;
    private readonly nint _panelStride = panelStride;
    private readonly nint _vectorStride = vectorStride;
    private nint _offset;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Seek(int row) => _offset = row * _panelStride;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Fetch(int row)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(_targets[row] + _offset);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(int row, TVector first, TVector second)
    {
        TVector factor = TSimd.Broadcast(_factors[row]);
        float* target = _targets[row] + _offset;
        TSimd.Store(TSimd.Multiply(first, factor), target);
        TSimd.Store(TSimd.Multiply(second, factor), target + _vectorStride);
    }
}
