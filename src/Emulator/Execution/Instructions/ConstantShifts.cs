using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>Shifts by <see cref="Op.Immediate"/>, which is less than the width: the common case, and faster than shifts by a row.</summary>
internal static unsafe class ConstantShifts
{
    /// <summary>Shifts left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Left(byte* file, Op* op, byte* d)
    {
        uint* a = (uint*)(file + op->A);
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            (Vector256.Load(a + i) << (int)op->Immediate).Store((uint*)d + i);
        }
    }

    /// <summary>Shifts right, zeros coming in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Right(byte* file, Op* op, byte* d)
    {
        uint* a = (uint*)(file + op->A);
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            (Vector256.Load(a + i) >> (int)op->Immediate).Store((uint*)d + i);
        }
    }

    /// <summary>Shifts right, copies of the sign coming in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RightSigned(byte* file, Op* op, byte* d)
    {
        int* a = (int*)(file + op->A);
        for (int i = 0; i < Warp.Lanes; i += Vector256<int>.Count)
        {
            (Vector256.Load(a + i) >> (int)op->Immediate).Store((int*)d + i);
        }
    }

    /// <summary>Shifts 64-bit lanes left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Left64(byte* file, Op* op, byte* d)
    {
        ulong* a = (ulong*)(file + op->A);
        for (int i = 0; i < Warp.Lanes; i += Vector256<ulong>.Count)
        {
            (Vector256.Load(a + i) << (int)op->Immediate).Store((ulong*)d + i);
        }
    }

    /// <summary>Shifts 64-bit lanes right, zeros coming in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Right64(byte* file, Op* op, byte* d)
    {
        ulong* a = (ulong*)(file + op->A);
        for (int i = 0; i < Warp.Lanes; i += Vector256<ulong>.Count)
        {
            (Vector256.Load(a + i) >> (int)op->Immediate).Store((ulong*)d + i);
        }
    }
}
