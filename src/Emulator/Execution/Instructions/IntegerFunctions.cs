using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>
/// Integer, logic and bit functions of lanes (PTX ISA, "Integer Arithmetic Instructions", "Logic and Shift Instructions"). 16-bit values use the 32-bit
/// functions on extended values. Division by zero gives all bits set, and as remainder the dividend, as NVIDIA's hardware sequences do; PTX leaves them open.
/// </summary>
internal static class IntegerFunctions
{
    internal readonly struct Add : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a + b;
    }

    internal readonly struct Subtract : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a - b;
    }

    internal readonly struct Multiply : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a * b;
    }

    internal readonly struct MultiplyAdd : Lanes.ITernary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c) => (a * b) + c;
    }

    internal readonly struct MinSigned : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Min(a.AsInt32(), b.AsInt32()).AsUInt32();
    }

    internal readonly struct MaxSigned : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Max(a.AsInt32(), b.AsInt32()).AsUInt32();
    }

    internal readonly struct MinUnsigned : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Min(a, b);
    }

    internal readonly struct MaxUnsigned : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Vector256.Max(a, b);
    }

    internal readonly struct And : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a & b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => a & b;
    }

    internal readonly struct Or : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a | b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => a | b;
    }

    internal readonly struct Xor : Lanes.IBinary, Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => a ^ b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => a ^ b;
    }

    internal readonly struct Add64 : Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => a + b;
    }

    internal readonly struct Subtract64 : Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => a - b;
    }

    internal readonly struct Not : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => ~a;
    }

    internal readonly struct Negate : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => Vector256<uint>.Zero - a;
    }

    internal readonly struct Absolute : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => Vector256.Abs(a.AsInt32()).AsUInt32();
    }

    internal readonly struct SignExtend16 : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => ((a.AsInt32() << 16) >> 16).AsUInt32();
    }

    internal readonly struct ZeroExtend16 : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a & Vector256.Create(0xFFFFu);
    }

    internal readonly struct HighHalf : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a >> 16;
    }

    /// <summary>The first in the low half, the second in the high half.</summary>
    internal readonly struct PackHalves : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => (a & Vector256.Create(0xFFFFu)) | (b << 16);
    }

    internal readonly struct ShiftLeft : Lanes.IScalar<uint, uint, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Invoke(uint a, uint b, uint c) => b > 31 ? 0 : a << (int)b;
    }

    internal readonly struct ShiftRight : Lanes.IScalar<uint, uint, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Invoke(uint a, uint b, uint c) => b > 31 ? 0 : a >> (int)b;
    }

    internal readonly struct ShiftRightSigned : Lanes.IScalar<int, int, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static int Invoke(int a, uint b, uint c) => a >> (int)Math.Min(b, 31);
    }

    internal readonly struct ShiftLeft64 : Lanes.IScalar<ulong, ulong, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Invoke(ulong a, uint b, uint c) => b > 63 ? 0 : a << (int)b;
    }

    internal readonly struct ShiftRight64 : Lanes.IScalar<ulong, ulong, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Invoke(ulong a, uint b, uint c) => b > 63 ? 0 : a >> (int)b;
    }

    internal readonly struct ShiftRightSigned64 : Lanes.IScalar<long, long, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static long Invoke(long a, uint b, uint c) => a >> (int)Math.Min(b, 63);
    }

    internal readonly struct MultiplyHigh : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)(((ulong)a * b) >> 32);
    }

    internal readonly struct MultiplyHighSigned : Lanes.IScalar<int, int, int, uint>
    {
        public static int Invoke(int a, int b, uint c) => (int)(((long)a * b) >> 32);
    }

    internal readonly struct MultiplyWide : Lanes.IScalar<ulong, uint, uint, uint>
    {
        public static ulong Invoke(uint a, uint b, uint c) => (ulong)a * b;
    }

    internal readonly struct MultiplyWideSigned : Lanes.IScalar<long, int, int, uint>
    {
        public static long Invoke(int a, int b, uint c) => (long)a * b;
    }

    internal readonly struct MultiplyAddWide : Lanes.IScalar<ulong, uint, uint, ulong>
    {
        public static ulong Invoke(uint a, uint b, ulong c) => ((ulong)a * b) + c;
    }

    internal readonly struct MultiplyAddWideSigned : Lanes.IScalar<long, int, int, long>
    {
        public static long Invoke(int a, int b, long c) => ((long)a * b) + c;
    }

    internal readonly struct Multiply64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => a * b;
    }

    internal readonly struct MultiplyAdd64 : Lanes.IScalar<ulong, ulong, ulong, ulong>
    {
        public static ulong Invoke(ulong a, ulong b, ulong c) => (a * b) + c;
    }

    internal readonly struct MultiplyHigh64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => Math.BigMul(a, b, out _);
    }

    internal readonly struct MultiplyHighSigned64 : Lanes.IScalar<long, long, long, uint>
    {
        public static long Invoke(long a, long b, uint c) => Math.BigMul(a, b, out _);
    }

    internal readonly struct Divide : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => b == 0 ? uint.MaxValue : a / b;
    }

    internal readonly struct DivideSigned : Lanes.IScalar<int, int, int, uint>
    {
        public static int Invoke(int a, int b, uint c) => b == 0 ? -1 : b == -1 ? unchecked(-a) : a / b;
    }

    internal readonly struct Remainder : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => b == 0 ? a : a % b;
    }

    internal readonly struct RemainderSigned : Lanes.IScalar<int, int, int, uint>
    {
        public static int Invoke(int a, int b, uint c) => b == 0 ? a : b == -1 ? 0 : a % b;
    }

    internal readonly struct Divide64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => b == 0 ? ulong.MaxValue : a / b;
    }

    internal readonly struct DivideSigned64 : Lanes.IScalar<long, long, long, uint>
    {
        public static long Invoke(long a, long b, uint c) => b == 0 ? -1 : b == -1 ? unchecked(-a) : a / b;
    }

    internal readonly struct Remainder64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => b == 0 ? a : a % b;
    }

    internal readonly struct RemainderSigned64 : Lanes.IScalar<long, long, long, uint>
    {
        public static long Invoke(long a, long b, uint c) => b == 0 ? a : b == -1 ? 0 : a % b;
    }

    internal readonly struct MinSigned64 : Lanes.IScalar<long, long, long, uint>
    {
        public static long Invoke(long a, long b, uint c) => Math.Min(a, b);
    }

    internal readonly struct MaxSigned64 : Lanes.IScalar<long, long, long, uint>
    {
        public static long Invoke(long a, long b, uint c) => Math.Max(a, b);
    }

    internal readonly struct MinUnsigned64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => Math.Min(a, b);
    }

    internal readonly struct MaxUnsigned64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => Math.Max(a, b);
    }

    internal readonly struct Not64 : Lanes.IScalar<ulong, ulong, uint, uint>
    {
        public static ulong Invoke(ulong a, uint b, uint c) => ~a;
    }

    internal readonly struct Negate64 : Lanes.IScalar<long, long, uint, uint>
    {
        public static long Invoke(long a, uint b, uint c) => unchecked(-a);
    }

    internal readonly struct Absolute64 : Lanes.IScalar<long, long, uint, uint>
    {
        public static long Invoke(long a, uint b, uint c) => a < 0 ? unchecked(-a) : a;
    }

    internal readonly struct AddSaturated : Lanes.IScalar<int, int, int, uint>
    {
        public static int Invoke(int a, int b, uint c) => (int)Math.Clamp((long)a + b, int.MinValue, int.MaxValue);
    }

    internal readonly struct SubtractSaturated : Lanes.IScalar<int, int, int, uint>
    {
        public static int Invoke(int a, int b, uint c) => (int)Math.Clamp((long)a - b, int.MinValue, int.MaxValue);
    }

    /// <summary>The third source is the carry, 0 or 1.</summary>
    internal readonly struct AddWithCarry : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => a + b + c;
    }

    /// <summary>The carry that <see cref="AddWithCarry"/> leaves.</summary>
    internal readonly struct CarryOut : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)(((ulong)a + b + c) >> 32);
    }

    /// <summary>The third source is the borrow, 0 or 1.</summary>
    internal readonly struct SubtractWithBorrow : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => a - b - c;
    }

    /// <summary>The borrow that <see cref="SubtractWithBorrow"/> leaves.</summary>
    internal readonly struct BorrowOut : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)(((ulong)a - b - c) >> 32) & 1;
    }

    internal readonly struct AddWithCarry64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => a + b + c;
    }

    internal readonly struct CarryOut64 : Lanes.IScalar<uint, ulong, ulong, uint>
    {
        public static uint Invoke(ulong a, ulong b, uint c) => (uint)(((UInt128)a + b + c) >> 64);
    }

    internal readonly struct SubtractWithBorrow64 : Lanes.IScalar<ulong, ulong, ulong, uint>
    {
        public static ulong Invoke(ulong a, ulong b, uint c) => a - b - c;
    }

    internal readonly struct BorrowOut64 : Lanes.IScalar<uint, ulong, ulong, uint>
    {
        public static uint Invoke(ulong a, ulong b, uint c) => (UInt128)a < (UInt128)b + c ? 1u : 0;
    }

    internal readonly struct PopulationCount : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)BitOperations.PopCount(a);
    }

    internal readonly struct PopulationCount64 : Lanes.IScalar<uint, ulong, uint, uint>
    {
        public static uint Invoke(ulong a, uint b, uint c) => (uint)BitOperations.PopCount(a);
    }

    internal readonly struct LeadingZeros : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)BitOperations.LeadingZeroCount(a);
    }

    internal readonly struct LeadingZeros64 : Lanes.IScalar<uint, ulong, uint, uint>
    {
        public static uint Invoke(ulong a, uint b, uint c) => (uint)BitOperations.LeadingZeroCount(a);
    }

    internal readonly struct Reverse : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c)
        {
            a = ((a >> 1) & 0x5555_5555) | ((a & 0x5555_5555) << 1);
            a = ((a >> 2) & 0x3333_3333) | ((a & 0x3333_3333) << 2);
            a = ((a >> 4) & 0x0F0F_0F0F) | ((a & 0x0F0F_0F0F) << 4);
            return System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(a);
        }
    }

    internal readonly struct Reverse64 : Lanes.IScalar<ulong, ulong, uint, uint>
    {
        public static ulong Invoke(ulong a, uint b, uint c) => ((ulong)Reverse.Invoke((uint)a, 0, 0) << 32) | Reverse.Invoke((uint)(a >> 32), 0, 0);
    }

    /// <summary>The place of the highest bit that is set, of a negative number of the highest that is not; all bits set if there is none.</summary>
    internal readonly struct FindHighest : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => 31u - (uint)BitOperations.LeadingZeroCount(a);
    }

    internal readonly struct FindHighestSigned : Lanes.IScalar<uint, int, uint, uint>
    {
        public static uint Invoke(int a, uint b, uint c) => FindHighest.Invoke((uint)(a < 0 ? ~a : a), 0, 0);
    }

    internal readonly struct FindHighest64 : Lanes.IScalar<uint, ulong, uint, uint>
    {
        public static uint Invoke(ulong a, uint b, uint c) => a == 0 ? uint.MaxValue : 63u - (uint)BitOperations.LeadingZeroCount(a);
    }

    internal readonly struct FindHighestSigned64 : Lanes.IScalar<uint, long, uint, uint>
    {
        public static uint Invoke(long a, uint b, uint c) => FindHighest64.Invoke((ulong)(a < 0 ? ~a : a), 0, 0);
    }

    /// <summary>As <c>bfind</c> with <c>.shiftamt</c>: how far to shift left so that the found bit is the highest.</summary>
    internal readonly struct ShiftToHighest : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => a == 0 ? uint.MaxValue : (uint)BitOperations.LeadingZeroCount(a);
    }

    internal readonly struct ShiftToHighestSigned : Lanes.IScalar<uint, int, uint, uint>
    {
        public static uint Invoke(int a, uint b, uint c) => ShiftToHighest.Invoke((uint)(a < 0 ? ~a : a), 0, 0);
    }

    internal readonly struct ExtractBits : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)ExtractBits64.Invoke(a, b, c);
    }

    internal readonly struct ExtractBitsSigned : Lanes.IScalar<int, int, uint, uint>
    {
        public static int Invoke(int a, uint b, uint c) => (int)ExtractBitsSigned64.Extract(a, b, c, 31);
    }

    internal readonly struct ExtractBits64 : Lanes.IScalar<ulong, ulong, uint, uint>
    {
        public static ulong Invoke(ulong a, uint b, uint c)
        {
            (int start, int length) = ((int)(b & 0xFF), (int)(c & 0xFF));
            return start > 63 || length == 0 ? 0 : (a >> start) & (length > 63 ? ulong.MaxValue : (1UL << length) - 1);
        }
    }

    internal readonly struct ExtractBitsSigned64 : Lanes.IScalar<long, long, uint, uint>
    {
        public static long Invoke(long a, uint b, uint c) => Extract(a, b, c, 63);

        /// <summary>Bits beyond the value's highest, <paramref name="top"/>, are its sign; the field's highest bit is the result's sign.</summary>
        public static long Extract(long a, uint b, uint c, int top)
        {
            (int start, int length) = ((int)(b & 0xFF), (int)(c & 0xFF));
            long shifted = a >> Math.Min(start, 63);
            int sign = Math.Min(start + length - 1, top);
            if (length == 0)
            {
                return 0;
            }

            int kept = sign - start + 1;
            return kept <= 0 ? a >> 63 : (shifted << (64 - kept)) >> (64 - kept);
        }
    }

    /// <summary>All bits from a position on, as many as a length tells; both in the low bytes.</summary>
    internal readonly struct BitFieldMask : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => b >= 32 || a >= 32 ? (a >= 32 ? 0 : uint.MaxValue << (int)a) : ((1u << (int)b) - 1) << (int)a;
    }

    /// <summary>
    /// Chooses four bytes of two registers, a nibble of the third source each, whose highest bit replicates the byte's sign.
    /// </summary>
    internal readonly struct Permute : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c)
        {
            ulong bytes = ((ulong)b << 32) | a;
            uint result = 0;
            for (int i = 0; i < 4; i++)
            {
                uint selector = (c >> (4 * i)) & 0xF;
                uint value = (uint)(bytes >> (int)(8 * (selector & 7))) & 0xFF;
                value = (selector & 8) == 0 ? value : (value & 0x80) == 0 ? 0 : 0xFFu;
                result |= value << (8 * i);
            }

            return result;
        }
    }

    /// <summary>The upper half of (b:a) shifted left, the amount limited to 32.</summary>
    internal readonly struct FunnelLeftClamped : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)(((((ulong)b << 32) | a) << (int)Math.Min(c, 32)) >> 32);
    }

    internal readonly struct FunnelLeftWrapped : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => FunnelLeftClamped.Invoke(a, b, c & 31);
    }

    internal readonly struct FunnelRightClamped : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => (uint)((((ulong)b << 32) | a) >> (int)Math.Min(c, 32));
    }

    internal readonly struct FunnelRightWrapped : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => FunnelRightClamped.Invoke(a, b, c & 31);
    }

    internal readonly struct AbsoluteDifference : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => c + (a < b ? b - a : a - b);
    }

    internal readonly struct AbsoluteDifferenceSigned : Lanes.IScalar<uint, int, int, uint>
    {
        public static uint Invoke(int a, int b, uint c) => c + (uint)(a < b ? (long)b - a : (long)a - b);
    }

    internal readonly struct DotUnsigned : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => Dot(a, b, c, false, false);

        /// <summary>The sum of the products of four bytes, each operand's signed or not.</summary>
        public static uint Dot(uint a, uint b, uint c, bool isSignedA, bool isSignedB)
        {
            int sum = (int)c;
            for (int shift = 0; shift < 32; shift += 8)
            {
                int x = isSignedA ? (sbyte)(a >> shift) : (byte)(a >> shift);
                int y = isSignedB ? (sbyte)(b >> shift) : (byte)(b >> shift);
                sum += x * y;
            }

            return (uint)sum;
        }
    }

    internal readonly struct DotSigned : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => DotUnsigned.Dot(a, b, c, true, true);
    }

    internal readonly struct DotSignedUnsigned : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => DotUnsigned.Dot(a, b, c, true, false);
    }

    internal readonly struct DotUnsignedSigned : Lanes.IScalar<uint, uint, uint, uint>
    {
        public static uint Invoke(uint a, uint b, uint c) => DotUnsigned.Dot(a, b, c, false, true);
    }

    internal readonly struct Widen : Lanes.IScalar<ulong, uint, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Invoke(uint a, uint b, uint c) => a;
    }

    internal readonly struct WidenSigned : Lanes.IScalar<long, int, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static long Invoke(int a, uint b, uint c) => a;
    }

    internal readonly struct LowWord : Lanes.IScalar<uint, ulong, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Invoke(ulong a, uint b, uint c) => (uint)a;
    }

    internal readonly struct HighWord : Lanes.IScalar<uint, ulong, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Invoke(ulong a, uint b, uint c) => (uint)(a >> 32);
    }

    internal readonly struct PackWords : Lanes.IScalar<ulong, uint, uint, uint>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Invoke(uint a, uint b, uint c) => ((ulong)b << 32) | a;
    }

    /// <summary>The place of the n-th bit that is set, from a base on, upwards or downwards (PTX ISA, <c>fns</c>); all bits set if there is none.</summary>
    internal readonly struct FindNth : Lanes.IScalar<uint, uint, uint, int>
    {
        public static uint Invoke(uint a, uint b, int c)
        {
            int step = c >= 0 ? 1 : -1;
            long missing = Math.Max(1L, Math.Abs((long)c));
            if (c == 0)
            {
                return b < 32 && ((a >> (int)b) & 1) != 0 ? b : uint.MaxValue;
            }

            for (long place = b; place is >= 0 and < 32; place += step)
            {
                if (((a >> (int)place) & 1) != 0 && --missing == 0)
                {
                    return (uint)place;
                }
            }

            return uint.MaxValue;
        }
    }
}
