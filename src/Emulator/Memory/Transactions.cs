using System.Numerics;

namespace KernelAD.Emulator;

/// <summary>
/// Counts what a warp's access costs: 32-byte sectors of global memory, and passes ("wavefronts") over shared memory's 32 banks of 4 bytes. A pass serves the
/// whole warp if each lane accesses up to 4 bytes, half a warp at 8 bytes, a quarter at 16 bytes; different words of the same bank take a pass each.
/// </summary>
internal static unsafe class Transactions
{
    private const int SectorShift = 5;
    private const int Banks = 32;
    private const int PassBytes = 128;

    /// <summary>Counts the accesses at <see cref="WarpState.Addresses"/>.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The lanes that access.</param>
    /// <param name="space">The address space.</param>
    /// <param name="bytes">How many bytes each accesses.</param>
    public static void Count(WarpState warp, Op* op, uint mask, PtxSpace space, int bytes)
    {
        Tally* tally = warp.Tallies + op->Index;
        if (space == PtxSpace.Shared)
        {
            CountShared(tally, warp.Addresses, mask, bytes);
        }
        else if (space == PtxSpace.Global)
        {
            tally->Sectors += Sectors(warp.Addresses, mask);
            tally->Bytes += (long)bytes * BitOperations.PopCount(mask);
        }
    }

    /// <summary>Counts passes over shared memory.</summary>
    /// <param name="tally">Where to.</param>
    /// <param name="addresses">Each lane's address.</param>
    /// <param name="mask">The lanes that access.</param>
    /// <param name="bytes">How many bytes each accesses.</param>
    public static void CountShared(Tally* tally, ulong* addresses, uint mask, int bytes)
    {
        int lanes = Math.Min(Warp.Lanes, PassBytes / bytes);
        uint group = lanes == Warp.Lanes ? uint.MaxValue : (1u << lanes) - 1;
        for (int first = 0; first < Warp.Lanes; first += lanes, group <<= lanes)
        {
            if ((mask & group) != 0)
            {
                int passes = Passes(addresses, mask & group, bytes);
                tally->Wavefronts += passes;
                tally->Conflicts += passes - 1;
            }
        }
    }

    private static int Passes(ulong* addresses, uint mask, int bytes)
    {
        Span<ulong> words = stackalloc ulong[Banks * Warp.Lanes];
        Span<int> counts = stackalloc int[Banks];
        counts.Clear();
        int most = 1;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            ulong address = addresses[BitOperations.TrailingZeroCount(rest)];
            for (ulong word = address >> 2; word <= (address + (ulong)bytes - 1) >> 2; word++)
            {
                int bank = (int)(word % Banks);
                Span<ulong> ofBank = words.Slice(bank * Warp.Lanes, Warp.Lanes);
                if (!ofBank[..counts[bank]].Contains(word))
                {
                    ofBank[counts[bank]++] = word;
                    most = Math.Max(most, counts[bank]);
                }
            }
        }

        return most;
    }

    private static int Sectors(ulong* addresses, uint mask)
    {
        Span<ulong> sectors = stackalloc ulong[Warp.Lanes]; // Accesses are aligned, so that each lies in one sector.
        int count = 0;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            ulong sector = addresses[BitOperations.TrailingZeroCount(rest)] >> SectorShift;
            if ((count == 0 || sectors[count - 1] != sector) && !sectors[..count].Contains(sector))
            {
                sectors[count++] = sector;
            }
        }

        return count;
    }
}
