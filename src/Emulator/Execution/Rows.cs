using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Emulator;

/// <summary>Moves between rows.</summary>
internal static unsafe class Rows
{
    private const int Width = 32;

    /// <summary>All bits set in the 32-bit lanes whose bit is set in the lowest byte.</summary>
    /// <param name="bits">A bit for each of eight lanes; bits above are ignored.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Expand32(uint bits)
    {
        Vector256<uint> places = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
        return Vector256.Equals(Vector256.Create(bits) & places, places);
    }

    /// <summary>All bits set in the 64-bit lanes whose bit is set in the lowest four.</summary>
    /// <param name="bits">A bit for each of four lanes; bits above are ignored.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Expand64(uint bits)
    {
        Vector256<ulong> places = Vector256.Create(1ul, 2, 4, 8);
        return Vector256.Equals(Vector256.Create((ulong)bits) & places, places);
    }

    /// <summary>Transposes a 4×4 matrix.</summary>
    /// <param name="a">The first row.</param>
    /// <param name="b">The second row.</param>
    /// <param name="c">The third row.</param>
    /// <param name="d">The fourth row.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector128<uint> a, ref Vector128<uint> b, ref Vector128<uint> c, ref Vector128<uint> d)
    {
        Vector128<uint> ab = Zip(a, b, out Vector128<uint> ab2);
        Vector128<uint> cd = Zip(c, d, out Vector128<uint> cd2);
        a = Vector128.Create(ab.AsUInt64().GetLower(), cd.AsUInt64().GetLower()).AsUInt32();
        b = Vector128.Create(ab.AsUInt64().GetUpper(), cd.AsUInt64().GetUpper()).AsUInt32();
        c = Vector128.Create(ab2.AsUInt64().GetLower(), cd2.AsUInt64().GetLower()).AsUInt32();
        d = Vector128.Create(ab2.AsUInt64().GetUpper(), cd2.AsUInt64().GetUpper()).AsUInt32();
    }

    /// <summary>Copies the 32-bit values of some lanes.</summary>
    /// <param name="destination">The row to change.</param>
    /// <param name="source">The row to copy from.</param>
    /// <param name="mask">The lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Blend32(byte* destination, byte* source, uint mask)
    {
        for (int i = 0; i < 4; i++, mask >>= 8)
        {
            Vector256<uint> chosen = Vector256.ConditionalSelect(
                Expand32(mask), Vector256.Load((uint*)(source + (i * Width))), Vector256.Load((uint*)(destination + (i * Width))));
            chosen.Store((uint*)(destination + (i * Width)));
        }
    }

    /// <summary>Copies the 64-bit values of some lanes.</summary>
    /// <param name="destination">The row to change.</param>
    /// <param name="source">The row to copy from.</param>
    /// <param name="mask">The lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Blend64(byte* destination, byte* source, uint mask)
    {
        for (int i = 0; i < 8; i++, mask >>= 4)
        {
            Vector256<ulong> chosen = Vector256.ConditionalSelect(
                Expand64(mask), Vector256.Load((ulong*)(source + (i * Width))), Vector256.Load((ulong*)(destination + (i * Width))));
            chosen.Store((ulong*)(destination + (i * Width)));
        }
    }

    /// <summary>x0 y0 x1 y1, and x2 y2 x3 y3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Zip(Vector128<uint> x, Vector128<uint> y, out Vector128<uint> high)
    {
        if (Sse2.IsSupported)
        {
            high = Sse2.UnpackHigh(x, y);
            return Sse2.UnpackLow(x, y);
        }

        if (AdvSimd.Arm64.IsSupported)
        {
            high = AdvSimd.Arm64.ZipHigh(x, y);
            return AdvSimd.Arm64.ZipLow(x, y);
        }

        high = Vector128.Create(x[2], y[2], x[3], y[3]);
        return Vector128.Create(x[0], y[0], x[1], y[1]);
    }
}
