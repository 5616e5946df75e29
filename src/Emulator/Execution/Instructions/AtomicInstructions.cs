using System.Numerics;

namespace KernelAD.Emulator;

/// <summary>Atomic operations and reductions. The lanes of a warp do them in ascending order.</summary>
internal static unsafe class AtomicInstructions
{
    /// <summary>What is done; the value of <see cref="Op.Variant"/>.</summary>
    internal enum Operation : byte
    {
        Exchange,
        CompareAndSwap,
        Add,
        And,
        Or,
        Xor,
        Min,
        Max,
        MinSigned,
        MaxSigned,
        Increment,
        Decrement,
        AddF32,
        AddF64,
        AddF16x2,
        AddF16,
        AddBF16x2,
        AddBF16,
    }

    /// <summary>
    /// Replaces <see cref="Op.Size"/> bytes by what an operation makes of them. Sources are the address, the operand and, for a compare-and-swap, the new
    /// value. If <see cref="Op.Elements"/> is 1 the destination gets the value that was there; a reduction has none and Elements is 0.
    /// </summary>
    public static void Execute(WarpState warp, Op* op, uint mask)
    {
        int* sources = op->Operands + op->Elements;
        MemoryAccess.ComputeAddresses(warp, sources[0], op->IsWideAddress, op->Immediate);
        uint rest = mask;
        while (rest != 0)
        {
            PtxSpace space = op->Space;
            uint lanes = space == PtxSpace.Generic ? MemoryAccess.TakeSpace(warp, rest, out space) : rest;
            MemoryAccess.Resolve(warp, op, lanes, space, AccessKind.Atomic, op->Size);
            for (uint left = lanes; left != 0; left &= left - 1)
            {
                Execute(warp, op, sources, BitOperations.TrailingZeroCount(left));
            }

            rest &= ~lanes;
        }
    }

    private static void Execute(WarpState warp, Op* op, int* sources, int lane)
    {
        byte* place = warp.Pointers[lane];
        ulong old = op->Size switch { 2 => *(ushort*)place, 4 => *(uint*)place, _ => *(ulong*)place };
        ulong operand = Value(warp, sources[1], lane, op->Size);
        Operation operation = (Operation)op->Variant;
        ulong next = operation == Operation.CompareAndSwap
            ? old == operand ? Value(warp, sources[2], lane, op->Size) : old
            : op->Size == 8 ? Next64(operation, old, operand) : Next32(operation, (uint)old, (uint)operand);
        switch (op->Size)
        {
            case 2:
                *(ushort*)place = (ushort)next;
                break;
            case 4:
                *(uint*)place = (uint)next;
                break;
            default:
                *(ulong*)place = next;
                break;
        }

        if (op->Elements == 0)
        {
            return;
        }

        if (op->Size == 8)
        {
            ((ulong*)(warp.File + op->D))[lane] = old;
        }
        else
        {
            ((uint*)(warp.File + op->D))[lane] = (uint)old;
        }
    }

    private static ulong Value(WarpState warp, int register, int lane, int size) => size switch
    {
        2 => (ushort)((uint*)(warp.File + register))[lane],
        4 => ((uint*)(warp.File + register))[lane],
        _ => ((ulong*)(warp.File + register))[lane],
    };

    private static uint Next32(Operation operation, uint old, uint operand) => operation switch
    {
        Operation.Exchange => operand,
        Operation.Add => old + operand,
        Operation.And => old & operand,
        Operation.Or => old | operand,
        Operation.Xor => old ^ operand,
        Operation.Min => Math.Min(old, operand),
        Operation.Max => Math.Max(old, operand),
        Operation.MinSigned => (uint)Math.Min((int)old, (int)operand),
        Operation.MaxSigned => (uint)Math.Max((int)old, (int)operand),
        Operation.Increment => old >= operand ? 0 : old + 1,
        Operation.Decrement => old == 0 || old > operand ? operand : old - 1,
        Operation.AddF32 => BitConverter.SingleToUInt32Bits(BitConverter.UInt32BitsToSingle(old) + BitConverter.UInt32BitsToSingle(operand)),
        Operation.AddF16x2 => AddHalves(PtxType.F16x2, old, operand),
        Operation.AddF16 => AddHalves(PtxType.F16, old, operand),
        Operation.AddBF16x2 => AddHalves(PtxType.BF16x2, old, operand),
        _ => AddHalves(PtxType.BF16, old, operand),
    };

    private static ulong Next64(Operation operation, ulong old, ulong operand) => operation switch
    {
        Operation.Exchange => operand,
        Operation.Add => old + operand,
        Operation.And => old & operand,
        Operation.Or => old | operand,
        Operation.Xor => old ^ operand,
        Operation.Min => Math.Min(old, operand),
        Operation.Max => Math.Max(old, operand),
        Operation.MinSigned => (ulong)Math.Min((long)old, (long)operand),
        Operation.MaxSigned => (ulong)Math.Max((long)old, (long)operand),
        _ => BitConverter.DoubleToUInt64Bits(BitConverter.UInt64BitsToDouble(old) + BitConverter.UInt64BitsToDouble(operand)),
    };

    private static uint AddHalves(PtxType type, uint a, uint b)
    {
        uint* rows = stackalloc uint[3 * Warp.Lanes];
        rows[Warp.Lanes] = a;
        rows[2 * Warp.Lanes] = b;
        new FloatArithmetic(type).Add(rows, rows + Warp.Lanes, rows + (2 * Warp.Lanes));
        return rows[0];
    }
}
