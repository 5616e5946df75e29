namespace KernelAD.Emulator;

/// <summary>
/// Finds races in global memory: between blocks, which nothing orders within a launch, and between threads of a block as in <see cref="SharedRaces"/>.
/// Of several reads of the same bytes by one block only the last is remembered. Blocks have to run one after another.
/// </summary>
/// <param name="granule">The unit of memory in bytes that is looked at.</param>
internal sealed unsafe class GlobalRaces(int granule)
{
    private const int UnitsOfPage = 4096;

    private readonly Dictionary<ulong, Mark[]> _pages = [];

    /// <summary>Checks an access and remembers it.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="kind">What the lane does.</param>
    /// <param name="bytes">How many bytes.</param>
    public void Access(WarpState warp, Op* op, int lane, ulong address, AccessKind kind, int bytes)
    {
        ulong size = (ulong)granule;
        for (ulong unit = address / size; unit <= (address + (ulong)bytes - 1) / size; unit++)
        {
            if (!_pages.TryGetValue(unit / UnitsOfPage, out Mark[]? page))
            {
                _pages.Add(unit / UnitsOfPage, page = new Mark[UnitsOfPage]);
            }

            ref Mark mark = ref page[unit % UnitsOfPage];
            if (kind != AccessKind.SameWrite && mark.Write.IsSet && !(kind == AccessKind.Atomic && mark.IsAtomic) && !IsOrdered(mark.Write, warp, lane))
            {
                Report(warp, op, lane, unit * size, kind == AccessKind.Read ? "reads" : "writes", "written", mark.Write);
            }

            if (kind is AccessKind.Write or AccessKind.Atomic)
            {
                if (mark.Read.IsSet && !IsOrdered(mark.Read, warp, lane))
                {
                    Report(warp, op, lane, unit * size, "writes", "read", mark.Read);
                }
                else if (mark.OtherRead.IsSet && !IsOrdered(mark.OtherRead, warp, lane))
                {
                    Report(warp, op, lane, unit * size, "writes", "read", mark.OtherRead);
                }
            }

            Event now = new(warp.Block.Number + 1, warp.Clock[warp.Index], op->Index, (byte)warp.Index, (byte)lane);
            if (kind == AccessKind.Read)
            {
                if (mark.Read.IsSet && !IsOrdered(mark.Read, warp, lane))
                {
                    mark.OtherRead = mark.Read;
                }

                mark.Read = now;
            }
            else
            {
                mark.Write = now;
                mark.IsAtomic = kind == AccessKind.Atomic;
                if (kind != AccessKind.Atomic)
                {
                    mark.Read = default;
                    mark.OtherRead = default;
                }
            }
        }
    }

    private static bool IsOrdered(Event earlier, WarpState warp, int lane)
    {
        if (earlier.Block != warp.Block.Number + 1)
        {
            return false;
        }

        return earlier.Warp != warp.Index ? warp.Clock[earlier.Warp] >= earlier.Clock : earlier.Lane == lane || warp.Clock[warp.Index] > earlier.Clock;
    }

    private static void Report(WarpState warp, Op* op, int lane, ulong address, string does, string done, Event other)
    {
        Launch launch = warp.Block.Launch;
        long number = other.Block - 1;
        string block = number == warp.Block.Number
            ? ""
            : $" of block ({number % launch.Grid.X},{number / launch.Grid.X % launch.Grid.Y},{number / launch.Grid.X / launch.Grid.Y})";
        warp.Block.Report(warp, op, FindingKind.Race, lane, address,
            $"{does} global address 0x{address:x}, {done} by {warp.Block.Name(other.Warp, other.Lane)}{block} at PTX line "
            + $"{launch.Kernel.Program.Instructions[other.Op].Line} {(block.Length > 0 ? "in the same launch" : "with no barrier between")}.");
    }

    private readonly record struct Event(long Block, int Clock, int Op, byte Warp, byte Lane)
    {
        public bool IsSet => Block != 0;
    }

    private struct Mark
    {
        public Event Write;
        public Event Read;
        public Event OtherRead;
        public bool IsAtomic;
    }
}
