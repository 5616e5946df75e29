namespace KernelAD.Emulator;

/// <summary>
/// Finds races in a block's shared memory. Each warp has a clock that its barriers advance, and knows from barriers how far other warps have come (vector
/// clocks, as in Flanagan and Freund, "FastTrack"). Two accesses of which one writes must be ordered by that knowledge; lanes of one warp by
/// <c>bar.warp.sync</c>.
/// </summary>
internal sealed unsafe class SharedRaces
{
    private readonly BlockState _block;
    private readonly int _granule;
    private readonly Mark[] _writes;

    /// <summary>For each unit of memory and each warp the clock of its last read, and the lanes that read at it.</summary>
    private readonly Reading[] _reads;

    /// <summary>Makes room for a block's shared memory.</summary>
    /// <param name="block">The block.</param>
    public SharedRaces(BlockState block)
    {
        _block = block;
        _granule = block.Launch.Kernel.Program.SharedGranule;
        int units = (block.Launch.SharedBytes + _granule - 1) / _granule;
        _writes = new Mark[units];
        _reads = new Reading[units * block.WarpCount];
    }

    /// <summary>Begins a block.</summary>
    public void Reset()
    {
        Array.Clear(_writes);
        Array.Clear(_reads);
    }

    /// <summary>Checks an access and remembers it.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="kind">What the lane does.</param>
    /// <param name="bytes">How many bytes.</param>
    public void Access(WarpState warp, Op* op, int lane, int address, AccessKind kind, int bytes)
    {
        for (int unit = address / _granule; unit <= (address + bytes - 1) / _granule; unit++)
        {
            Mark last = _writes[unit];
            if (kind != AccessKind.SameWrite && last.Clock != 0 && !(kind == AccessKind.Atomic && last.IsAtomic)
                && !IsOrdered(last.Warp, last.Lane == lane, last.Clock, warp, warp.Clock))
            {
                Report(warp, op, lane, unit, kind == AccessKind.Read ? "reads" : "writes", "written", last.Warp, last.Lane, last.Op);
            }

            if (kind == AccessKind.Read)
            {
                Remember(ref _reads[(unit * _block.WarpCount) + warp.Index], warp.Clock[warp.Index], lane, op->Index);
                continue;
            }

            if (kind != AccessKind.SameWrite)
            {
                CheckReads(warp, op, lane, unit, warp.Clock);
            }

            Write(warp, op, lane, unit, kind == AccessKind.Atomic);
        }
    }

    /// <summary>
    /// Checks an asynchronous copy when it lands. It may have written at any time since it was issued: every other access must have been ordered before the
    /// issue.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation that issued it.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="bytes">How many bytes.</param>
    /// <param name="issue">What the warp knew of the others when it issued it.</param>
    public void Land(WarpState warp, Op* op, int lane, int address, int bytes, int[] issue)
    {
        for (int unit = address / _granule; unit <= (address + bytes - 1) / _granule; unit++)
        {
            Mark last = _writes[unit];
            if (last.Clock != 0 && !IsOrdered(last.Warp, last.Lane == lane, last.Clock, warp, issue))
            {
                Report(warp, op, lane, unit, "copies to", "written", last.Warp, last.Lane, last.Op);
            }

            CheckReads(warp, op, lane, unit, issue);
            Write(warp, op, lane, unit, false);
        }
    }

    /// <summary>Whether an access of another thread at some clock comes before what a warp does, given what it knows.</summary>
    private static bool IsOrdered(int other, bool isSameLane, int clock, WarpState warp, int[] known) =>
        other != warp.Index ? known[other] >= clock : isSameLane ? known[other] >= clock : known[other] > clock;

    private static void Remember(ref Reading reading, int clock, int lane, int op)
    {
        reading.Lanes = reading.Clock == clock ? reading.Lanes | (1u << lane) : 1u << lane;
        reading.Clock = clock;
        reading.Op = op;
    }

    private void Write(WarpState warp, Op* op, int lane, int unit, bool isAtomic)
    {
        _writes[unit] = new() { Clock = warp.Clock[warp.Index], Warp = (byte)warp.Index, Lane = (byte)lane, IsAtomic = isAtomic, Op = op->Index };
        Array.Clear(_reads, unit * _block.WarpCount, _block.WarpCount); // Whoever is ordered behind this write is ordered behind them too.
    }

    private void CheckReads(WarpState warp, Op* op, int lane, int unit, int[] known)
    {
        for (int other = 0; other < _block.WarpCount; other++)
        {
            Reading reading = _reads[(unit * _block.WarpCount) + other];
            if (reading.Clock == 0)
            {
                continue;
            }

            uint lanes = other != warp.Index ? reading.Lanes : reading.Lanes & ~(1u << lane);
            bool isOwnLater = other == warp.Index && (reading.Lanes >> lane & 1) != 0 && !IsOrdered(other, true, reading.Clock, warp, known);
            if (isOwnLater || (lanes != 0 && !IsOrdered(other, false, reading.Clock, warp, known)))
            {
                Report(warp, op, lane, unit, "writes", "read", other, isOwnLater ? lane : WarpState.FirstLane(lanes), reading.Op);
            }
        }
    }

    private void Report(WarpState warp, Op* op, int lane, int unit, string does, string done, int otherWarp, int otherLane, int otherOp)
    {
        int line = _block.Launch.Kernel.Program.Instructions[otherOp].Line;
        string between = otherWarp != warp.Index ? "with no barrier between"
            : otherLane != lane ? "with no 'bar.warp.sync' between"
            : "while the copy was in flight";
        _block.Report(warp, op, FindingKind.Race, lane, (ulong)(unit * _granule),
            $"{does} shared address 0x{unit * _granule:x}, {done} by {_block.Name(otherWarp, otherLane)} at PTX line {line} {between}.");
    }

    private struct Mark
    {
        public int Clock;
        public int Op;
        public byte Warp;
        public byte Lane;
        public bool IsAtomic;
    }

    private struct Reading
    {
        public int Clock;
        public uint Lanes;
        public int Op;
    }
}
