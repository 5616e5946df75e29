using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>Copies, selections and logic of predicates.</summary>
internal static unsafe class MoveInstructions
{
    private const int Chunk = 32;

    /// <summary>Copies a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy(byte* file, Op* op, byte* d) => Unsafe.CopyBlockUnaligned(d, file + op->A, KernelProgram.RowBytes);

    /// <summary>Copies a row of 64-bit lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy64(byte* file, Op* op, byte* d) => Unsafe.CopyBlockUnaligned(d, file + op->A, 2 * KernelProgram.RowBytes);

    /// <summary>Copies a predicate.</summary>
    public static uint CopyPredicate(byte* file, Op* op) => *(uint*)(file + op->A);

    /// <summary>Negates a predicate.</summary>
    public static uint NotPredicate(byte* file, Op* op) => ~*(uint*)(file + op->A);

    /// <summary>Both predicates.</summary>
    public static uint AndPredicates(byte* file, Op* op) => *(uint*)(file + op->A) & *(uint*)(file + op->B);

    /// <summary>One of two predicates.</summary>
    public static uint OrPredicates(byte* file, Op* op) => *(uint*)(file + op->A) | *(uint*)(file + op->B);

    /// <summary>Exactly one of two predicates.</summary>
    public static uint XorPredicates(byte* file, Op* op) => *(uint*)(file + op->A) ^ *(uint*)(file + op->B);

    /// <summary>The first row where the predicate, which is the third source, is true, and the second elsewhere.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Select(byte* file, Op* op, byte* d)
    {
        uint mask = *(uint*)(file + op->C);
        for (int i = 0; i < KernelProgram.RowBytes; i += Chunk, mask >>= 8)
        {
            Vector256.ConditionalSelect(Rows.Expand32(mask), Vector256.Load((uint*)(file + op->A + i)), Vector256.Load((uint*)(file + op->B + i))).Store((uint*)(d + i));
        }
    }

    /// <summary>As <see cref="Select"/>, of 64-bit lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Select64(byte* file, Op* op, byte* d)
    {
        uint mask = *(uint*)(file + op->C);
        for (int i = 0; i < 2 * KernelProgram.RowBytes; i += Chunk, mask >>= 4)
        {
            Vector256.ConditionalSelect(Rows.Expand64(mask), Vector256.Load((ulong*)(file + op->A + i)), Vector256.Load((ulong*)(file + op->B + i))).Store((ulong*)(d + i));
        }
    }

    /// <summary>A function of each bit of three rows, whose truth table is <see cref="Op.Immediate"/> (PTX ISA, <c>lop3</c>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Logic3(byte* file, Op* op, byte* d)
    {
        int table = (int)op->Immediate;
        for (int i = 0; i < KernelProgram.RowBytes; i += Chunk)
        {
            Vector256<uint> a = Vector256.Load((uint*)(file + op->A + i));
            Vector256<uint> b = Vector256.Load((uint*)(file + op->B + i));
            Vector256<uint> c = Vector256.Load((uint*)(file + op->C + i));
            Vector256<uint> result = Vector256<uint>.Zero;
            for (int row = 0; row < 8; row++)
            {
                if (((table >> row) & 1) != 0)
                {
                    result |= ((row & 4) != 0 ? a : ~a) & ((row & 2) != 0 ? b : ~b) & ((row & 1) != 0 ? c : ~c);
                }
            }

            result.Store((uint*)(d + i));
        }
    }

    /// <summary>All bits set where the predicate is true, or the 1.0 of f32 if <see cref="Op.Variant"/> is 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FromPredicate(byte* file, Op* op, byte* d)
    {
        uint mask = *(uint*)(file + op->A);
        Vector256<uint> value = Vector256.Create(op->Variant != 0 ? BitConverter.SingleToUInt32Bits(1) : uint.MaxValue);
        for (int i = 0; i < KernelProgram.RowBytes; i += Chunk, mask >>= 8)
        {
            (Rows.Expand32(mask) & value).Store((uint*)(d + i));
        }
    }
}
