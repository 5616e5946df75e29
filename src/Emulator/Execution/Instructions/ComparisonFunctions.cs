using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>Comparisons of lanes. Others are their negations or have their operands exchanged.</summary>
internal static class ComparisonFunctions
{
    internal readonly struct Equal : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Equals(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Equals(a, b);
    }

    internal readonly struct Less : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a, b);
    }

    internal readonly struct LessSigned : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a.AsInt32(), b.AsInt32()).AsUInt32();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a.AsInt64(), b.AsInt64()).AsUInt64();
    }

    internal readonly struct EqualFloat : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Equals(a.AsSingle(), b.AsSingle()).AsUInt32();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Equals(a.AsDouble(), b.AsDouble()).AsUInt64();
    }

    internal readonly struct LessFloat : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a.AsSingle(), b.AsSingle()).AsUInt32();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a.AsDouble(), b.AsDouble()).AsUInt64();
    }

    internal readonly struct LessOrEqualFloat : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThanOrEqual(a.AsSingle(), b.AsSingle()).AsUInt32();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThanOrEqual(a.AsDouble(), b.AsDouble()).AsUInt64();
    }

    /// <summary>Whether they are different numbers.</summary>
    internal readonly struct NotEqualFloat : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => LessFloat.Invoke(a, b) | LessFloat.Invoke(b, a);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => LessFloat.Invoke(a, b) | LessFloat.Invoke(b, a);
    }

    /// <summary>Whether neither is NaN.</summary>
    internal readonly struct Ordered : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => EqualFloat.Invoke(a, a) & EqualFloat.Invoke(b, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => EqualFloat.Invoke(a, a) & EqualFloat.Invoke(b, b);
    }

    /// <summary>A comparison of f32 whose subnormals count as zeros (<c>.ftz</c>).</summary>
    /// <typeparam name="T">The comparison.</typeparam>
    internal readonly struct Flushed<T> : Lanes.IBinary
        where T : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => T.Invoke(
            HalfVectors.FlushSubnormals(a.AsSingle()).AsUInt32(), HalfVectors.FlushSubnormals(b.AsSingle()).AsUInt32());
    }

    /// <summary>A comparison of f16 values, each in the low half.</summary>
    /// <typeparam name="T">The comparison of f32.</typeparam>
    internal readonly struct Halves<T> : Lanes.IBinary
        where T : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => T.Invoke(HalfVectors.LowF16(a).AsUInt32(), HalfVectors.LowF16(b).AsUInt32());
    }

    /// <summary>A comparison of bf16 values, each in the low half.</summary>
    /// <typeparam name="T">The comparison of f32.</typeparam>
    internal readonly struct BrainHalves<T> : Lanes.IBinary
        where T : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => T.Invoke(HalfVectors.LowBF16(a).AsUInt32(), HalfVectors.LowBF16(b).AsUInt32());
    }

    internal readonly struct IsFinite : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) =>
            Less.Invoke(a & Vector256.Create(0x7FFF_FFFFu), Vector256.Create(0x7F80_0000u));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) =>
            Less.Invoke(a & Vector256.Create(long.MaxValue).AsUInt64(), Vector256.Create(0x7FFUL << 52));
    }

    internal readonly struct IsInfinite : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) =>
            Equal.Invoke(a & Vector256.Create(0x7FFF_FFFFu), Vector256.Create(0x7F80_0000u));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) =>
            Equal.Invoke(a & Vector256.Create(long.MaxValue).AsUInt64(), Vector256.Create(0x7FFUL << 52));
    }

    /// <summary>Whether the exponent's bits are zero and others are not.</summary>
    internal readonly struct IsSubnormal : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) =>
            Less.Invoke((a & Vector256.Create(0x7FFF_FFFFu)) - Vector256<uint>.One, Vector256.Create(0x007F_FFFFu));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) =>
            Less.Invoke((a & Vector256.Create(long.MaxValue).AsUInt64()) - Vector256<ulong>.One, Vector256.Create((1UL << 52) - 1));
    }
}
