using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Backends.Cpu;

/// <summary>Transposition of small blocks in registers.</summary>
internal static unsafe class Transpose
{
    /// <summary>destination[j, i] = source[i, j] for a 4 × 4 block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Block4x4(float* source, long sourceStride, float* destination, long destinationStride)
    {
        Vector128<float> a = Vector128.Load(source);
        Vector128<float> b = Vector128.Load(source + sourceStride);
        Vector128<float> c = Vector128.Load(source + (2 * sourceStride));
        Vector128<float> d = Vector128.Load(source + (3 * sourceStride));

        // Interleaving a with c and b with d, then the results with each other, transposes.
        Vector128<float> acLow = InterleaveLow(a, c), acHigh = InterleaveHigh(a, c);
        Vector128<float> bdLow = InterleaveLow(b, d), bdHigh = InterleaveHigh(b, d);
        InterleaveLow(acLow, bdLow).Store(destination);
        InterleaveHigh(acLow, bdLow).Store(destination + destinationStride);
        InterleaveLow(acHigh, bdHigh).Store(destination + (2 * destinationStride));
        InterleaveHigh(acHigh, bdHigh).Store(destination + (3 * destinationStride));
    }

    // a0 b0 a1 b1
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> InterleaveLow(Vector128<float> a, Vector128<float> b)
    {
        if (Sse.IsSupported)
            return Sse.UnpackLow(a, b);
        if (AdvSimd.Arm64.IsSupported)
            return AdvSimd.Arm64.ZipLow(a, b);
        return Vector128.Create(a[0], b[0], a[1], b[1]);
    }

    // a2 b2 a3 b3
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> InterleaveHigh(Vector128<float> a, Vector128<float> b)
    {
        if (Sse.IsSupported)
            return Sse.UnpackHigh(a, b);
        if (AdvSimd.Arm64.IsSupported)
            return AdvSimd.Arm64.ZipHigh(a, b);
        return Vector128.Create(a[2], b[2], a[3], b[3]);
    }
}
