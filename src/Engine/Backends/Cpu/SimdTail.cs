using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>Loads and stores at the end of a row, where fewer floats than a vector may remain.</summary>
internal static unsafe class SimdTail
{
    /// <summary>A whole vector, or the remaining floats followed by zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector>(float* source, long remaining)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        remaining >= TSimd.Lanes ? TSimd.Load(source) : TSimd.LoadFirst(source, (int)remaining);

    /// <summary>Stores a whole vector, the remaining floats of it, or nothing when none remains.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TSimd, TVector>(TVector value, float* destination, long remaining)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        if (remaining >= TSimd.Lanes)
            TSimd.Store(value, destination);
        else if (remaining > 0)
            TSimd.StoreFirst(value, destination, (int)remaining);
    }
}
