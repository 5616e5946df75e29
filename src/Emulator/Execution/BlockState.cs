using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>The block that a worker is running: its warps take turns, each until it waits at a barrier or is done.</summary>
internal sealed unsafe class BlockState : IDisposable
{
    private const byte Poison = 0xCD;
    private const int MaxFindingsPerBlock = 64;

    private readonly Barriers _barriers;
    private readonly HashSet<(FindingKind Kind, int Index)> _seen = [];

    /// <summary>Makes room for a block.</summary>
    /// <param name="launch">The launch it belongs to.</param>
    public BlockState(Launch launch)
    {
        Launch = launch;
        WarpCount = (launch.Threads + Warp.Lanes - 1) / Warp.Lanes;
        int operations = launch.Kernel.Program.Count;
        Tallies = (Tally*)NativeMemory.AllocZeroed((nuint)operations, (nuint)sizeof(Tally));
        Shared = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, launch.SharedBytes), 256);
        if (launch.ChecksInitialisation)
        {
            SharedInitialised = (byte*)NativeMemory.AllocZeroed((nuint)Math.Max(1, launch.SharedBytes));
        }

        Recent = new Allocation?[operations];
        Warps = [.. Enumerable.Range(0, WarpCount).Select(index => new WarpState(this, index, launch.Threads))];
        _barriers = new(this);
        if (launch.ChecksRaces)
        {
            SharedRaces = new(this);
        }

        foreach (WarpState warp in Warps)
        {
            LaunchInputs.SetConstants(warp);
        }
    }

    /// <summary>The launch it belongs to.</summary>
    public Launch Launch { get; }

    /// <summary>How many warps it has.</summary>
    public int WarpCount { get; }

    /// <summary>Its warps.</summary>
    public IReadOnlyList<WarpState> Warps { get; }

    /// <summary>A tally for each operation, of all blocks that this worker has run.</summary>
    public Tally* Tallies { get; }

    /// <summary>Shared memory.</summary>
    public byte* Shared { get; }

    /// <summary>For each byte of shared memory 1 once it is written; null where that is not checked.</summary>
    public byte* SharedInitialised { get; }

    /// <summary>Finds races in shared memory; null where they are not looked for.</summary>
    public SharedRaces? SharedRaces { get; }

    /// <summary>For each operation the allocation that it accessed last.</summary>
    public Allocation?[] Recent { get; }

    /// <summary>The block's number in the grid.</summary>
    public long Number { get; private set; }

    /// <summary>The block's index.</summary>
    public LaunchSize Index { get; private set; }

    /// <summary>What was found in the block, in its order.</summary>
    public List<Finding> Findings { get; } = [];

    /// <summary>Runs a block to its end, or to a fault, which is the last finding then.</summary>
    /// <param name="number">The block's number in the grid, of which x is the fastest index.</param>
    /// <returns>Whether it came to its end.</returns>
    public bool Run(long number)
    {
        Number = number;
        Index = new((int)(number % Launch.Grid.X), (int)(number / Launch.Grid.X % Launch.Grid.Y), (int)(number / Launch.Grid.X / Launch.Grid.Y));
        Findings.Clear();
        _seen.Clear();
        NativeMemory.Fill(Shared, (nuint)Launch.SharedBytes, Poison);
        if (SharedInitialised != null)
        {
            NativeMemory.Clear(SharedInitialised, (nuint)Launch.SharedBytes);
        }

        SharedRaces?.Reset();
        _barriers.Reset();
        foreach (WarpState warp in Warps)
        {
            warp.Reset();
            LaunchInputs.SetBlock(warp);
        }

        WarpState current = Warps[0];
        try
        {
            bool isRunning = true;
            while (isRunning)
            {
                isRunning = false;
                foreach (WarpState warp in Warps)
                {
                    if (warp.Status == WarpStatus.Ready)
                    {
                        current = warp;
                        isRunning = true;
                        Interpreter.Run(warp);
                        if (warp.Status == WarpStatus.Finished)
                        {
                            _barriers.Leave();
                        }
                    }
                }
            }

            if (Warps.FirstOrDefault(warp => warp.Status == WarpStatus.Waiting) is WarpState waiting)
            {
                current = waiting;
                throw _barriers.Deadlock(waiting);
            }

            if (SharedRaces is not null)
            {
                foreach (WarpState warp in Warps)
                {
                    warp.Copies.LandRest();
                }
            }

            return true;
        }
        catch (KernelFault fault)
        {
            Add(current, current.Ops + current.Pc, fault.Kind, fault.Lane, fault.Address, fault.Message);
            return false;
        }
    }

    /// <summary>Notes a fault that does not stop the launch; the same kind at the same instruction only once.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="kind">What kind of fault.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="address">The address; null if the fault is not about one.</param>
    /// <param name="message">What happened, in one sentence.</param>
    public void Report(WarpState warp, Op* op, FindingKind kind, int lane, ulong? address, string message)
    {
        if (_seen.Count < MaxFindingsPerBlock && _seen.Add((kind, op->Index)))
        {
            Add(warp, op, kind, lane, address, message);
        }
    }

    /// <summary>A barrier was reached.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="op">The operation.</param>
    /// <param name="mask">The active lanes.</param>
    public static void Synchronise(WarpState warp, Op* op, uint mask) => warp.Block._barriers.Arrive(warp, op, mask);

    /// <summary>The index of a thread.</summary>
    /// <param name="warp">Its warp's number.</param>
    /// <param name="lane">Its lane.</param>
    public LaunchSize Thread(int warp, int lane)
    {
        int thread = (warp * Warp.Lanes) + lane;
        return new(thread % Launch.Size.X, thread / Launch.Size.X % Launch.Size.Y, thread / Launch.Size.X / Launch.Size.Y);
    }

    /// <summary>A thread for messages.</summary>
    /// <param name="warp">Its warp's number.</param>
    /// <param name="lane">Its lane.</param>
    public string Name(int warp, int lane)
    {
        LaunchSize thread = Thread(warp, lane);
        return $"thread ({thread.X},{thread.Y},{thread.Z})";
    }

    /// <summary>Gives the host's memory back.</summary>
    public void Dispose()
    {
        foreach (WarpState warp in Warps)
        {
            warp.Free();
        }

        NativeMemory.Free(Tallies);
        NativeMemory.Free(SharedInitialised);
        NativeMemory.AlignedFree(Shared);
    }

    private void Add(WarpState warp, Op* op, FindingKind kind, int lane, ulong? address, string message)
    {
        PtxInstruction instruction = Launch.Kernel.Program.Instructions[op->Index];
        Findings.Add(new(kind, Launch.Kernel.Name, instruction.Line, instruction.Source, Index, Thread(warp.Index, lane), address, $"'{instruction.Name}': {message}"));
    }
}
