using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>Loads and stores.</summary>
internal static unsafe class MemoryInstructions
{
    /// <summary>
    /// Loads <see cref="Op.Elements"/> elements into as many rows; the source is the address. <see cref="Op.Variant"/> is 1 if elements keep their sign.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load(WarpState warp, Op* op, uint mask)
    {
        MemoryAccess.ComputeAddresses(warp, op->Operands[op->Elements], op->IsWideAddress, op->Immediate);
        uint rest = mask;
        while (rest != 0)
        {
            PtxSpace space = op->Space;
            uint lanes = space == PtxSpace.Generic ? MemoryAccess.TakeSpace(warp, rest, out space) : rest;
            MemoryAccess.Resolve(warp, op, lanes, space, AccessKind.Read, op->Size * op->Elements);
            Fetch(warp, op, lanes);
            rest &= ~lanes;
        }
    }

    /// <summary>Stores elements from as many rows; the sources are the address and the rows.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(WarpState warp, Op* op, uint mask)
    {
        MemoryAccess.ComputeAddresses(warp, op->A, op->IsWideAddress, op->Immediate);
        uint rest = mask;
        while (rest != 0)
        {
            PtxSpace space = op->Space;
            uint lanes = space == PtxSpace.Generic ? MemoryAccess.TakeSpace(warp, rest, out space) : rest;
            MemoryAccess.Resolve(warp, op, lanes, space, AccessKind.Write, op->Size * op->Elements);
            if (warp.Block.Launch.ChecksRaces && space != PtxSpace.Local)
            {
                PutChecked(warp, op, lanes, space);
            }
            else
            {
                Put(warp, op, lanes);
            }

            rest &= ~lanes;
        }
    }

    /// <summary>
    /// Loads from shared memory by 32-bit addresses, where nothing but bounds and alignment is checked: the way for kernels that are not debugged or counted.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared(WarpState warp, Op* op, uint mask)
    {
        Launch launch = warp.Block.Launch;
        uint* row = (uint*)(warp.File + op->Operands[op->Elements]);
        uint bytes = (uint)(op->Size * op->Elements);
        if (mask != warp.Live || launch.WatchesAccesses || launch.Counts || op->IsWideAddress || !AreInside(row, (uint)op->Immediate, (uint)launch.SharedBytes, bytes))
        {
            Load(warp, op, mask);
            return;
        }

        byte* memory = warp.Block.Shared + op->Immediate;
        switch (op->Elements)
        {
            case 1:
                Gather(memory, row, (uint*)(warp.File + op->D));
                break;
            case 2:
                Gather2(memory, row, (uint*)(warp.File + op->D), (uint*)(warp.File + op->Operands[1]));
                break;
            default:
                Gather4(memory, row, warp.File, op->Operands);
                break;
        }
    }

    /// <summary>Whether all lanes' addresses are aligned and inside; negative constants and wraps are left to the thorough way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AreInside(uint* row, uint offset, uint size, uint bytes)
    {
        if (size < bytes || offset > size - bytes)
        {
            return false;
        }

        Vector256<uint> a = Vector256.Load(row);
        Vector256<uint> b = Vector256.Load(row + 8);
        Vector256<uint> c = Vector256.Load(row + 16);
        Vector256<uint> d = Vector256.Load(row + 24);
        Vector256<uint> most = Vector256.Max(Vector256.Max(a, b), Vector256.Max(c, d));
        Vector256<uint> bits = (a | b | c | d | Vector256.Create(offset)) & Vector256.Create(bytes - 1);
        return Vector256.LessThanOrEqualAll(most, Vector256.Create(size - bytes - offset)) && bits == Vector256<uint>.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Gather(byte* memory, uint* row, uint* d)
    {
        for (int lane = 0; lane < Warp.Lanes; lane += 4)
        {
            uint x = *(uint*)(memory + row[lane]);
            uint y = *(uint*)(memory + row[lane + 1]);
            uint z = *(uint*)(memory + row[lane + 2]);
            uint w = *(uint*)(memory + row[lane + 3]);
            d[lane] = x;
            d[lane + 1] = y;
            d[lane + 2] = z;
            d[lane + 3] = w;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Gather2(byte* memory, uint* row, uint* d0, uint* d1)
    {
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            ulong value = *(ulong*)(memory + row[lane]);
            d0[lane] = (uint)value;
            d1[lane] = (uint)(value >> 32);
        }
    }

    /// <summary>Four lanes' 16 bytes are a 4×4 matrix, whose transpose goes into four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Gather4(byte* memory, uint* row, byte* file, int* operands)
    {
        uint* d0 = (uint*)(file + operands[0]);
        uint* d1 = (uint*)(file + operands[1]);
        uint* d2 = (uint*)(file + operands[2]);
        uint* d3 = (uint*)(file + operands[3]);
        for (int lane = 0; lane < Warp.Lanes; lane += 4)
        {
            Vector128<uint> a = Vector128.Load((uint*)(memory + row[lane]));
            Vector128<uint> b = Vector128.Load((uint*)(memory + row[lane + 1]));
            Vector128<uint> c = Vector128.Load((uint*)(memory + row[lane + 2]));
            Vector128<uint> d = Vector128.Load((uint*)(memory + row[lane + 3]));
            Rows.Transpose(ref a, ref b, ref c, ref d);
            a.Store(d0 + lane);
            b.Store(d1 + lane);
            c.Store(d2 + lane);
            d.Store(d3 + lane);
        }
    }

    private static void Fetch(WarpState warp, Op* op, uint mask)
    {
        byte** pointers = warp.Pointers;
        for (int element = 0; element < op->Elements; element++)
        {
            byte* row = warp.File + op->Operands[element];
            int offset = element * op->Size;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                byte* source = pointers[lane] + offset;
                switch (op->Size)
                {
                    case 1:
                        ((uint*)row)[lane] = op->Variant != 0 ? (uint)*(sbyte*)source : *source;
                        break;
                    case 2:
                        ((uint*)row)[lane] = op->Variant != 0 ? (uint)*(short*)source : *(ushort*)source;
                        break;
                    case 4:
                        ((uint*)row)[lane] = *(uint*)source;
                        break;
                    default:
                        ((ulong*)row)[lane] = *(ulong*)source;
                        break;
                }
            }
        }
    }

    private static void Put(WarpState warp, Op* op, uint mask)
    {
        for (int element = 0; element < op->Elements; element++)
        {
            byte* row = warp.File + op->Operands[1 + element];
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                PutElement(warp.Pointers[lane] + (element * op->Size), row, lane, op->Size);
            }
        }
    }

    /// <summary>
    /// Stores lane by lane: a write is a race only if it changes what is there, so that threads may write the same value to the same place.
    /// </summary>
    private static void PutChecked(WarpState warp, Op* op, uint mask, PtxSpace space)
    {
        int bytes = op->Size * op->Elements;
        byte* value = stackalloc byte[32];
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            for (int element = 0; element < op->Elements; element++)
            {
                PutElement(value + (element * op->Size), warp.File + op->Operands[1 + element], lane, op->Size);
            }

            Span<byte> place = new(warp.Pointers[lane], bytes);
            ReadOnlySpan<byte> bits = new(value, bytes);
            MemoryAccess.CheckRace(warp, op, lane, space, warp.Addresses[lane], place.SequenceEqual(bits) ? AccessKind.SameWrite : AccessKind.Write, bytes);
            bits.CopyTo(place);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutElement(byte* destination, byte* row, int lane, int size)
    {
        switch (size)
        {
            case 1:
                *destination = (byte)((uint*)row)[lane];
                break;
            case 2:
                *(ushort*)destination = (ushort)((uint*)row)[lane];
                break;
            case 4:
                *(uint*)destination = ((uint*)row)[lane];
                break;
            default:
                *(ulong*)destination = ((ulong*)row)[lane];
                break;
        }
    }
}
