using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KernelAD.Emulator;

/// <summary>
/// A warp's asynchronous copies from global to shared memory. The bytes arrive when the thread waits for their group and not before: a kernel that forgets
/// to wait reads what was there. Groups are counted for each thread.
/// </summary>
internal sealed unsafe class CopyQueue(WarpState warp)
{
    /// <summary>In <see cref="Op.Variant"/>: there is a third source, the number of bytes to read.</summary>
    public const byte HasLength = 1;

    /// <summary>In <see cref="Op.Variant"/>: the global address's register has 64 bits.</summary>
    public const byte IsWideSource = 2;

    private readonly int[] _groups = new int[Warp.Lanes];
    private readonly List<PendingCopy> _pending = [];
    private readonly Stack<PendingCopy> _unused = [];

    /// <summary>Forgets everything, at a block's start.</summary>
    public void Clear()
    {
        foreach (PendingCopy copy in _pending)
        {
            _unused.Push(copy);
        }

        _pending.Clear();
        Array.Clear(_groups);
    }

    /// <summary>
    /// Issues a copy of <see cref="Op.Size"/> bytes. The sources are the addresses in shared and in global memory, to which the low and the high half of
    /// <see cref="Op.Immediate"/> are added, and perhaps how many bytes to read: the others become 0.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    public static void Issue(WarpState warp, Op* op, uint mask) => warp.Copies.Add(op, mask);

    /// <summary>Closes the group of all copies that a thread has issued since it last did so.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    public static void Commit(WarpState warp, Op* op, uint mask)
    {
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            warp.Copies._groups[BitOperations.TrailingZeroCount(rest)]++;
        }
    }

    /// <summary>Waits for all groups but the latest, as many as <see cref="Op.Immediate"/> tells; -1 waits for copies of no group too.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    public static void Wait(WarpState warp, Op* op, uint mask) => warp.Copies.Land(mask, op->Immediate);

    /// <summary>
    /// Lands what nobody has waited for, at the block's end: such a copy may have written at any time since it was issued, over what the block kept there
    /// meanwhile.
    /// </summary>
    public void LandRest() => Land(uint.MaxValue, -1);

    private void Add(Op* op, uint mask)
    {
        Launch launch = warp.Block.Launch;
        PendingCopy copy = _unused.TryPop(out PendingCopy? unused) ? unused : new();
        copy.Op = op;
        copy.Lanes = mask;
        _groups.CopyTo(copy.Groups, 0);

        MemoryAccess.ComputeAddresses(warp, op->B, (op->Variant & IsWideSource) != 0, op->Immediate >> 32);
        new ReadOnlySpan<ulong>(warp.Addresses, Warp.Lanes).CopyTo(copy.Sources);
        uint whole = ChooseLengths(op, mask, copy);
        if (whole != 0)
        {
            MemoryAccess.Resolve(warp, op, whole, PtxSpace.Global, AccessKind.CopyRead, op->Size);
        }

        for (uint rest = mask & ~whole; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            MemoryAccess.ResolvePart(warp, op, lane, copy.Lengths[lane], op->Size);
        }

        new ReadOnlySpan<nint>(warp.Pointers, Warp.Lanes).CopyTo(copy.Pointers);
        MemoryAccess.ComputeAddresses(warp, op->A, op->IsWideAddress, (int)op->Immediate);
        MemoryAccess.ResolveShared(warp, mask, op->Size);
        if (launch.Counts)
        {
            Transactions.CountShared(warp.Tallies + op->Index, warp.Addresses, mask, op->Size);
        }

        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            copy.Destinations[lane] = (int)warp.Addresses[lane];
        }

        if (launch.ChecksRaces)
        {
            copy.Clock = (int[])warp.Clock.Clone();
            warp.Clock[warp.Index]++; // So that what the thread does from now on is told from what it did before.
        }

        _pending.Add(copy);
    }

    /// <summary>How many bytes each lane reads.</summary>
    /// <returns>The lanes that read all bytes.</returns>
    private uint ChooseLengths(Op* op, uint mask, PendingCopy copy)
    {
        if ((op->Variant & HasLength) == 0)
        {
            Array.Fill(copy.Lengths, op->Size);
            return mask;
        }

        uint* lengths = (uint*)(warp.File + op->C);
        uint whole = 0;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            copy.Lengths[lane] = (int)Math.Min(lengths[lane], op->Size);
            whole |= copy.Lengths[lane] == op->Size ? 1u << lane : 0;
        }

        return whole & mask;
    }

    private void Land(uint mask, long remaining)
    {
        int kept = 0;
        for (int i = 0; i < _pending.Count; i++)
        {
            PendingCopy copy = _pending[i];
            for (uint rest = copy.Lanes & mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                if (copy.Groups[lane] < _groups[lane] - remaining)
                {
                    Land(copy, lane);
                    copy.Lanes &= ~(1u << lane);
                }
            }

            if (copy.Lanes == 0)
            {
                _unused.Push(copy);
            }
            else
            {
                _pending[kept++] = copy;
            }
        }

        _pending.RemoveRange(kept, _pending.Count - kept);
    }

    private void Land(PendingCopy copy, int lane)
    {
        BlockState block = warp.Block;
        int size = copy.Op->Size;
        int length = copy.Lengths[lane];
        int address = copy.Destinations[lane];
        byte* destination = block.Shared + address;
        byte* source = (byte*)copy.Pointers[lane];
        if (length == size)
        {
            MoveWhole(destination, source, size);
        }
        else
        {
            new Span<byte>(source, length).CopyTo(new(destination, size));
            new Span<byte>(destination + length, size - length).Clear();
        }

        if (block.SharedInitialised != null)
        {
            byte* states = block.SharedInitialised + address;
            byte* known = length == 0 ? null : MemoryAccess.States(warp, PtxSpace.Global, copy.Sources[lane]);
            NativeMemory.Fill(states, (nuint)size, 1);
            if (known != null)
            {
                new Span<byte>(known, length).CopyTo(new(states, length));
            }
        }

        block.SharedRaces?.Land(warp, copy.Op, lane, address, size, copy.Clock);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MoveWhole(byte* destination, byte* source, int size)
    {
        switch (size)
        {
            case sizeof(uint):
                *(uint*)destination = *(uint*)source;
                break;
            case sizeof(ulong):
                *(ulong*)destination = *(ulong*)source;
                break;
            default:
                Unsafe.CopyBlockUnaligned(destination, source, 16);
                break;
        }
    }
}
