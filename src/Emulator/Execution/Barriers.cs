using System.Numerics;

namespace KernelAD.Emulator;

/// <summary>The 16 barriers of a block (PTX ISA, "bar, barrier"): a warp arrives as a whole.</summary>
internal sealed unsafe class Barriers(BlockState block)
{
    /// <summary>How many barriers a block has.</summary>
    public const int Count = 16;

    private readonly Barrier[] _barriers = [.. Enumerable.Range(0, Count).Select(_ => new Barrier())];

    /// <summary>What an arrival asks for besides waiting; the value of <see cref="Op.Variant"/>.</summary>
    internal enum Operation : byte
    {
        /// <summary>Waits.</summary>
        Sync,

        /// <summary>Does not wait.</summary>
        Arrive,

        /// <summary>Waits for the number of threads whose predicate is true.</summary>
        PopulationCount,

        /// <summary>Waits for whether all threads' predicates are true.</summary>
        And,

        /// <summary>Waits for whether one thread's predicate is true.</summary>
        Or,
    }

    /// <summary>Begins a block.</summary>
    public void Reset()
    {
        foreach (Barrier barrier in _barriers)
        {
            barrier.Clear();
        }
    }

    /// <summary>
    /// A warp arrives. Its sources are the barrier's number, the number of threads (all bits set for all threads of the block), and the predicate of a
    /// reduction.
    /// </summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    public void Arrive(WarpState warp, Op* op, uint mask)
    {
        Operation operation = (Operation)op->Variant;
        int* sources = op->Operands + (operation is Operation.Sync or Operation.Arrive ? 0 : 1);
        int lane = WarpState.FirstLane(mask);
        uint number = ((uint*)(warp.File + sources[0]))[lane];
        uint threads = ((uint*)(warp.File + sources[1]))[lane];
        if (number >= Count)
        {
            throw new KernelFault(FindingKind.DivergentBarrier, lane, null, $"barrier {number} does not exist: a block has {Count}.");
        }

        if (mask != warp.Live)
        {
            if (block.Launch.ChecksSynchronisation)
            {
                throw new KernelFault(FindingKind.DivergentBarrier, WarpState.FirstLane(warp.Live & ~mask), null,
                    $"{BitOperations.PopCount(mask)} of the warp's {BitOperations.PopCount(warp.Live)} running threads are at barrier {number}, this one is not.");
            }
        }

        Barrier barrier = _barriers[number];
        if (threads != uint.MaxValue && (threads == 0 || threads % Warp.Lanes != 0 || threads > block.WarpCount * Warp.Lanes))
        {
            throw new KernelFault(FindingKind.DivergentBarrier, lane, null,
                $"barrier {number} is for {threads} threads: that is no positive multiple of {Warp.Lanes} within the block.");
        }

        if (barrier.Arrived > 0 && barrier.Threads != threads)
        {
            throw new KernelFault(FindingKind.DivergentBarrier, lane, null, $"barrier {number} is for {Name(threads)} here, but for {Name(barrier.Threads)} elsewhere.");
        }

        barrier.Threads = threads;
        barrier.Arrived++;
        barrier.Last = (warp, op->Index);
        if (block.SharedRaces is not null)
        {
            barrier.Join(warp.Clock);
            warp.Clock[warp.Index]++;
        }

        if (operation is not (Operation.Sync or Operation.Arrive))
        {
            uint predicate = *(uint*)(warp.File + sources[2]);
            barrier.True += BitOperations.PopCount(predicate & mask);
            barrier.Total += BitOperations.PopCount(mask);
        }

        if (operation != Operation.Arrive)
        {
            warp.Status = WarpStatus.Waiting;
            warp.Barrier = (int)number;
            barrier.Waiting.Add((warp, op->Index, mask));
        }

        TryComplete(barrier);
    }

    /// <summary>A warp has left the kernel: barriers for all threads wait for one less.</summary>
    public void Leave()
    {
        foreach (Barrier barrier in _barriers)
        {
            if (barrier.Arrived > 0)
            {
                TryComplete(barrier);
            }
        }
    }

    /// <summary>The fault of a block whose warps all wait.</summary>
    /// <param name="waiting">The first of them.</param>
    public KernelFault Deadlock(WarpState waiting)
    {
        waiting.Pc--; // It would go on behind the barrier.
        IEnumerable<string> places = block.Warps.Where(warp => warp.Status == WarpStatus.Waiting)
            .GroupBy(warp => warp.Barrier).Select(group => $"{group.Count()} at barrier {group.Key}");
        return new(FindingKind.Deadlock, WarpState.FirstLane(waiting.Live), null,
            $"no warp of the block can go on: of {block.WarpCount} warps wait {string.Join(" and ", places)}, "
            + $"{block.Warps.Count(warp => warp.Status == WarpStatus.Finished)} have left the kernel.");
    }

    private static string Name(uint threads) => threads == uint.MaxValue ? "all threads" : $"{threads} threads";

    private void TryComplete(Barrier barrier)
    {
        int gone = block.Warps.Count(warp => warp.Status == WarpStatus.Finished);
        int expected = barrier.Threads == uint.MaxValue ? block.WarpCount - gone : (int)barrier.Threads / Warp.Lanes;
        if (barrier.Arrived < expected)
        {
            return;
        }

        if (block.Launch.ChecksSynchronisation && barrier.Threads == uint.MaxValue
            && block.Warps.FirstOrDefault(warp => warp.Live != warp.Existing) is WarpState left)
        {
            (WarpState warp, int index) = barrier.Last;
            int lane = WarpState.FirstLane(left.Existing & ~left.Live);
            block.Report(warp, warp.Ops + index, FindingKind.DivergentBarrier, WarpState.FirstLane(warp.Live), null,
                $"a barrier for all threads completes although {block.Name(left.Index, lane)} has left the kernel.");
        }

        foreach ((WarpState warp, int index, uint mask) in barrier.Waiting)
        {
            warp.Status = WarpStatus.Ready;
            if (block.SharedRaces is not null)
            {
                barrier.Tell(warp.Clock);
            }

            Deliver(barrier, warp, warp.Ops + index, mask);
        }

        barrier.Clear();
    }

    private static void Deliver(Barrier barrier, WarpState warp, Op* op, uint mask)
    {
        switch ((Operation)op->Variant)
        {
            case Operation.PopulationCount:
                uint* row = (uint*)(warp.File + op->D);
                for (uint rest = mask; rest != 0; rest &= rest - 1)
                {
                    row[BitOperations.TrailingZeroCount(rest)] = (uint)barrier.True;
                }

                break;
            case Operation.And or Operation.Or:
                bool value = (Operation)op->Variant == Operation.And ? barrier.True == barrier.Total : barrier.True > 0;
                uint* predicate = (uint*)(warp.File + op->D);
                *predicate = (*predicate & ~mask) | (value ? mask : 0);
                break;
        }
    }

    private sealed class Barrier
    {
        public List<(WarpState Warp, int Index, uint Mask)> Waiting { get; } = [];

        public (WarpState Warp, int Index) Last { get; set; }

        public uint Threads { get; set; }

        public int Arrived { get; set; }

        public int True { get; set; }

        public int Total { get; set; }

        private int[] _clock = [];

        public void Clear()
        {
            Waiting.Clear();
            (Arrived, True, Total) = (0, 0, 0);
            Array.Clear(_clock);
        }

        /// <summary>Takes in what a warp knows of the others.</summary>
        public void Join(int[] clock)
        {
            if (_clock.Length == 0)
            {
                _clock = new int[clock.Length];
            }

            Merge(_clock, clock);
        }

        /// <summary>Tells a warp what all that arrived know.</summary>
        public void Tell(int[] clock) => Merge(clock, _clock);

        private static void Merge(int[] into, int[] from)
        {
            for (int i = 0; i < into.Length; i++)
            {
                into[i] = Math.Max(into[i], from[i]);
            }
        }
    }
}
