using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>Finds out what the lanes of a warp access, and stops the launch where they must not.</summary>
internal static unsafe class MemoryAccess
{
    /// <summary>Computes the address that each lane accesses, into <see cref="WarpState.Addresses"/>.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="register">The register that holds the addresses.</param>
    /// <param name="isWide">Whether it has 64 bits.</param>
    /// <param name="offset">What is added to each.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ComputeAddresses(WarpState warp, int register, bool isWide, long offset)
    {
        ulong* addresses = warp.Addresses;
        Vector256<ulong> added = Vector256.Create((ulong)offset);
        if (isWide)
        {
            ulong* row = (ulong*)(warp.File + register);
            for (int lane = 0; lane < Warp.Lanes; lane += 4)
            {
                (Vector256.Load(row + lane) + added).Store(addresses + lane);
            }
        }
        else
        {
            uint* row = (uint*)(warp.File + register);
            for (int lane = 0; lane < Warp.Lanes; lane += 8)
            {
                (Vector256<ulong> low, Vector256<ulong> high) = Vector256.Widen(Vector256.Load(row + lane));
                (low + added).Store(addresses + lane);
                (high + added).Store(addresses + lane + 4);
            }
        }
    }

    /// <summary>The lanes of a mask whose generic address is in the same space as the first one's. Their addresses become that space's.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="mask">The lanes, one at least.</param>
    /// <param name="space">The space.</param>
    public static uint TakeSpace(WarpState warp, uint mask, out PtxSpace space)
    {
        ulong* addresses = warp.Addresses;
        space = AddressSpaces.Of(addresses[WarpState.FirstLane(mask)]);
        ulong start = AddressSpaces.Base(space);
        uint taken = 0;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if (AddressSpaces.Of(addresses[lane]) == space)
            {
                addresses[lane] -= start;
                taken |= 1u << lane;
            }
        }

        return taken;
    }

    /// <summary>
    /// Finds the bytes at <see cref="WarpState.Addresses"/> in the host's memory, into <see cref="WarpState.Pointers"/>, checks and counts the accesses. Races
    /// of writes are not looked for here: whether they are one depends on the value.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The lanes that access.</param>
    /// <param name="space">The address space.</param>
    /// <param name="kind">What they do.</param>
    /// <param name="bytes">How many bytes each accesses: a power of two, which the address must be a multiple of.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Resolve(WarpState warp, Op* op, uint mask, PtxSpace space, AccessKind kind, int bytes)
    {
        switch (space)
        {
            case PtxSpace.Shared:
                ResolveWindow(warp, mask, space, bytes, warp.Block.Shared, warp.Block.Launch.SharedBytes, 0);
                break;
            case PtxSpace.Local:
                int size = warp.Block.Launch.Kernel.LocalBytes;
                ResolveWindow(warp, mask, space, bytes, warp.Local, size, size);
                break;
            default:
                ResolveGlobal(warp, op, mask, bytes);
                break;
        }

        Launch launch = warp.Block.Launch;
        if (launch.Counts)
        {
            Transactions.Count(warp, op, mask, space, bytes);
        }

        if (launch.WatchesAccesses && space != PtxSpace.Local)
        {
            Watch(warp, op, mask, space, kind, bytes);
        }
    }

    /// <summary>As <see cref="Resolve"/>, for one lane that reads only a part of an aligned piece of global memory, or nothing.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="length">How many bytes it reads.</param>
    /// <param name="bytes">The size of the piece.</param>
    public static void ResolvePart(WarpState warp, Op* op, int lane, int length, int bytes)
    {
        ulong address = warp.Addresses[lane];
        if (length == 0)
        {
            return;
        }

        Allocation allocation = FindGlobal(warp, lane, address, length);
        if ((address & ((ulong)bytes - 1)) != 0)
        {
            throw Misaligned(lane, address, "global", bytes);
        }

        warp.Pointers[lane] = allocation.Host + (address - allocation.Start);
        Launch launch = warp.Block.Launch;
        if (launch.Counts)
        {
            Transactions.Count(warp, op, 1u << lane, PtxSpace.Global, length);
        }

        if (launch.ChecksRaces)
        {
            CheckRace(warp, op, lane, PtxSpace.Global, address, AccessKind.Read, length);
        }
    }

    /// <summary>Finds bytes in shared memory as <see cref="Resolve"/> does, but neither counts nor checks more than bounds and alignment.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="mask">The lanes that access.</param>
    /// <param name="bytes">How many bytes each accesses.</param>
    public static void ResolveShared(WarpState warp, uint mask, int bytes) =>
        ResolveWindow(warp, mask, PtxSpace.Shared, bytes, warp.Block.Shared, warp.Block.Launch.SharedBytes, 0);

    /// <summary>Checks whether every byte that a lane reads was written, or notes that it is now.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="space">The address space, shared or global.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="kind">What the lane does.</param>
    /// <param name="bytes">How many bytes.</param>
    public static void CheckInitialised(WarpState warp, Op* op, int lane, PtxSpace space, ulong address, AccessKind kind, int bytes)
    {
        byte* states = States(warp, space, address);
        if (states == null)
        {
            return;
        }

        Span<byte> range = new(states, bytes);
        int first = kind == AccessKind.Write ? -1 : range.IndexOf((byte)0);
        if (first >= 0)
        {
            warp.Block.Report(warp, op, FindingKind.Uninitialised, lane, address + (ulong)first,
                $"reads {AddressSpaces.Name(space)} byte 0x{address + (ulong)first:x}, which nothing has written.");
        }

        range.Fill(1);
    }

    /// <summary>For each byte from an address on whether it was written; null where that is not tracked.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="space">The address space, shared or global.</param>
    /// <param name="address">The first byte.</param>
    public static byte* States(WarpState warp, PtxSpace space, ulong address)
    {
        if (space == PtxSpace.Shared)
        {
            return warp.Block.SharedInitialised == null ? null : warp.Block.SharedInitialised + address;
        }

        return warp.Block.Launch.Memory.Find(address) is { Initialised: not null } allocation ? allocation.Initialised + (address - allocation.Start) : null;
    }

    private static void Watch(WarpState warp, Op* op, uint mask, PtxSpace space, AccessKind kind, int bytes)
    {
        Launch launch = warp.Block.Launch;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if (launch.ChecksInitialisation && kind != AccessKind.CopyRead)
            {
                CheckInitialised(warp, op, lane, space, warp.Addresses[lane], kind, bytes);
            }

            if (launch.ChecksRaces && kind != AccessKind.Write)
            {
                CheckRace(warp, op, lane, space, warp.Addresses[lane], kind == AccessKind.CopyRead ? AccessKind.Read : kind, bytes);
            }
        }
    }

    /// <summary>Checks whether an access races with an earlier one.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="space">The address space, shared or global.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="kind">What the lane does.</param>
    /// <param name="bytes">How many bytes.</param>
    public static void CheckRace(WarpState warp, Op* op, int lane, PtxSpace space, ulong address, AccessKind kind, int bytes)
    {
        if (space == PtxSpace.Shared)
        {
            warp.Block.SharedRaces!.Access(warp, op, lane, (int)address, kind, bytes);
        }
        else
        {
            warp.Block.Launch.Races!.Access(warp, op, lane, address, kind, bytes);
        }
    }

    private static void ResolveWindow(WarpState warp, uint mask, PtxSpace space, int bytes, byte* memory, int size, int stride)
    {
        ulong* addresses = warp.Addresses;
        byte** pointers = warp.Pointers;
        ulong last = (ulong)size - (ulong)bytes; // Wraps if the memory is smaller than the access; then every address is refused by the next line's size test.
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            ulong address = addresses[lane];
            if (address > last || bytes > size || (address & ((ulong)bytes - 1)) != 0)
            {
                throw WindowFault(lane, address, space, bytes, size);
            }

            pointers[lane] = memory + address + (lane * stride);
        }
    }

    private static KernelFault WindowFault(int lane, ulong address, PtxSpace space, int bytes, int size)
    {
        string name = AddressSpaces.Name(space);
        if (address + (ulong)bytes > (ulong)size || address > (ulong)size)
        {
            string whose = space == PtxSpace.Shared ? "the block has" : "the thread has";
            bool isGlobal = address >= GlobalMemory.FirstAddress;
            return new(isGlobal ? FindingKind.WrongAddressSpace : FindingKind.OutOfBounds, lane, address,
                isGlobal ? $"0x{address:x} looks like a global address, but is used as a {name} one."
                    : $"accesses {bytes} bytes at {name} address 0x{address:x}, but {whose} {size} bytes of {name} memory.");
        }

        return Misaligned(lane, address, name, bytes);
    }

    private static KernelFault Misaligned(int lane, ulong address, string name, int bytes) =>
        new(FindingKind.Misaligned, lane, address, $"accesses {bytes} bytes at {name} address 0x{address:x}, which is no multiple of {bytes}.");

    private static void ResolveGlobal(WarpState warp, Op* op, uint mask, int bytes)
    {
        ulong* addresses = warp.Addresses;
        byte** pointers = warp.Pointers;
        Allocation? recent = warp.Block.Recent[op->Index];
        ulong start = recent is null ? ulong.MaxValue : recent.Start;
        ulong last = recent is null ? 0 : (ulong)(recent.Length - bytes);
        byte* host = recent is null ? null : recent.Host;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            ulong address = addresses[lane];
            ulong offset = address - start;
            if (recent is null || offset > last || recent.Length < bytes)
            {
                recent = FindGlobal(warp, lane, address, bytes);
                warp.Block.Recent[op->Index] = recent;
                start = recent.Start;
                last = (ulong)(recent.Length - bytes);
                host = recent.Host;
                offset = address - start;
            }

            if ((address & ((ulong)bytes - 1)) != 0)
            {
                throw Misaligned(lane, address, "global", bytes);
            }

            pointers[lane] = host + offset;
        }
    }

    private static Allocation FindGlobal(WarpState warp, int lane, ulong address, int bytes)
    {
        GlobalMemory memory = warp.Block.Launch.Memory;
        Allocation? allocation = memory.Find(address);
        if (allocation is not null && address - allocation.Start <= (ulong)allocation.Length - (ulong)bytes && allocation.Length >= bytes)
        {
            return allocation;
        }

        if (memory.WasFreed(address))
        {
            throw new KernelFault(FindingKind.UseAfterFree, lane, address, $"accesses {bytes} bytes at global address 0x{address:x}, which has been freed.");
        }

        if (address < GlobalMemory.FirstAddress)
        {
            string what = address < 1 << 16 ? $"0x{address:x} is a null pointer or an offset" : $"0x{address:x} lies below all of the device's memory";
            PtxSpace space = AddressSpaces.Of(address);
            throw space == PtxSpace.Global
                ? new KernelFault(FindingKind.OutOfBounds, lane, address, $"accesses {bytes} bytes of global memory, but {what}.")
                : new KernelFault(FindingKind.WrongAddressSpace, lane, address, $"0x{address:x} is a generic address of {AddressSpaces.Name(space)} memory, but is used as a global one.");
        }

        Allocation? before = memory.Before(address);
        throw new KernelFault(FindingKind.OutOfBounds, lane, address, $"accesses {bytes} bytes at global address 0x{address:x}, "
            + (before is null ? "before every allocation." : $"{address - before.Start} bytes from the start of an allocation of {before.Length} bytes at 0x{before.Start:x}."));
    }
}
