using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>The vector width that the CPU backend uses on this machine, and the blocking that follows from it. Constant for the life of the process.</summary>
/// <remarks>
/// The getters that look at the hardware insist on being inlined: the ahead-of-time compiler would call them otherwise, and a call within a kernel
/// sends its accumulators to the stack and keeps alive every branch for other tiers.
/// </remarks>
public static class SimdTier
{
    /// <summary>Bits of the vectors in use: 512, 256 or 128.</summary>
    public static int Bits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
    }

    /// <summary>Floats in one vector.</summary>
    internal static int Lanes => Bits / 32;

    /// <summary>
    /// Rows of the tallest GEMM micro-kernel. With 32 vector registers (AVX-512, Arm64) 12 × 2 accumulators leave room for the operands;
    /// with 16 (AVX2, SSE) 6 × 2 do.
    /// </summary>
    internal static int TileRows
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.IsHardwareAccelerated || System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported ? 12 : 6;
    }

    /// <summary>Columns of a GEMM micro-kernel and of a packed weight panel: two vectors.</summary>
    internal static int PanelColumns => 2 * Lanes;

    /// <summary>A name for reports, "Vector512 (AVX-512)" for instance.</summary>
    public static string Name => Bits switch
    {
        512 => "Vector512 (AVX-512)",
        256 => "Vector256 (AVX2)",
        _ => System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported ? "Vector128 (AdvSimd)" : "Vector128",
    };
}
