using System.Numerics;
using System.Runtime.InteropServices;

namespace KernelAD.Emulator;

/// <summary>A warp of the block that a worker is running.</summary>
internal sealed unsafe class WarpState
{
    private readonly byte* _memory;
    private FlowEntry[] _stack = new FlowEntry[64];
    private int _depth;

    /// <summary>Makes room for a warp.</summary>
    /// <param name="block">The block it belongs to.</param>
    /// <param name="index">Its number in the block.</param>
    /// <param name="threads">How many threads the block has.</param>
    public WarpState(BlockState block, int index, int threads)
    {
        Block = block;
        Index = index;
        int lanes = Math.Min(Warp.Lanes, threads - (index * Warp.Lanes));
        Existing = lanes == Warp.Lanes ? uint.MaxValue : (1u << lanes) - 1;
        KernelProgram program = block.Launch.Kernel.Program;
        Ops = program.Ops;
        Tallies = block.Tallies;
        int localBytes = Warp.Lanes * block.Launch.Kernel.LocalBytes;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)(program.FileBytes + (4 * KernelProgram.RowBytes) + localBytes), 64);
        NativeMemory.Clear(_memory, (nuint)(program.FileBytes + (4 * KernelProgram.RowBytes)));
        File = _memory;
        Addresses = (ulong*)(File + program.FileBytes);
        Pointers = (byte**)(Addresses + Warp.Lanes);
        Local = (byte*)(Pointers + Warp.Lanes);
        Copies = new(this);
        Clock = new int[block.WarpCount];
    }

    /// <summary>The block it belongs to.</summary>
    public BlockState Block { get; }

    /// <summary>Its number in the block.</summary>
    public int Index { get; }

    /// <summary>The lanes that have a thread.</summary>
    public uint Existing { get; }

    /// <summary>Its registers; see <see cref="KernelProgram"/>.</summary>
    public byte* File { get; }

    /// <summary>The address that each lane accesses, while an instruction does.</summary>
    public ulong* Addresses { get; }

    /// <summary>Where in the host's memory that is.</summary>
    public byte** Pointers { get; }

    /// <summary>Local memory, one thread's after another's.</summary>
    public byte* Local { get; }

    /// <summary>The kernel's operations.</summary>
    public Op* Ops { get; }

    /// <summary>A tally for each operation.</summary>
    public Tally* Tallies { get; }

    /// <summary>Asynchronous copies that have not landed.</summary>
    public CopyQueue Copies { get; }

    /// <summary>For each warp of the block how far this one knows that it has come: all it did before is ordered before what this warp does.</summary>
    public int[] Clock { get; }

    /// <summary>What it is doing.</summary>
    public WarpStatus Status { get; set; }

    /// <summary>The barrier that it waits at.</summary>
    public int Barrier { get; set; }

    /// <summary>The operation that is executed, or goes on after a wait.</summary>
    public int Pc { get; set; }

    /// <summary>Lanes whose threads have not left the kernel.</summary>
    public uint Live { get; private set; }

    /// <summary>Lanes that go on at <see cref="Pc"/>.</summary>
    public uint Active { get; private set; }

    /// <summary>Where the active lanes meet others.</summary>
    public int Join { get; private set; }

    /// <summary>Instructions that it may still execute before it is taken for hung.</summary>
    public long Budget { get; set; }

    /// <summary>How often it has read a clock.</summary>
    public long Ticks { get; set; }

    /// <summary>Begins a block.</summary>
    public void Reset()
    {
        Status = WarpStatus.Ready;
        Pc = 0;
        Live = Existing;
        Active = Existing;
        Join = Interpreter.NoJoin;
        _depth = 0;
        Budget = Block.Launch.Options.WatchdogInstructions;
        Ticks = 0;
        Copies.Clear();
        Array.Clear(Clock);
        Clock[Index] = 1;
        new Span<byte>(Local, Warp.Lanes * Block.Launch.Kernel.LocalBytes).Fill(0xCD);
        foreach ((int offset, RegisterClass kind) in Block.Launch.Kernel.Program.Undefined)
        {
            int bytes = kind switch { RegisterClass.Predicate => sizeof(uint), RegisterClass.Row32 => KernelProgram.RowBytes, _ => 2 * KernelProgram.RowBytes };
            new Span<byte>(File + offset, bytes).Clear();
        }
    }

    /// <summary>Lets the lanes of a branch go different ways: those that take it first.</summary>
    /// <param name="op">The branch.</param>
    /// <param name="taken">The lanes that take it: some of the active ones, not all.</param>
    public void Diverge(Op* op, uint taken)
    {
        int join = op->Reconvergence == Interpreter.NoJoin ? Join : op->Reconvergence;
        uint others = Active & ~taken;
        if (join != Interpreter.NoJoin && join != Join)
        {
            Push(new(join, Join, Active));
        }

        if (op->Index + 1 != join)
        {
            Push(new(op->Index + 1, join, others));
        }

        (Pc, Join, Active) = (op->Target, join, taken);
        if (op->Target == join && !Pop())
        {
            throw new InvalidOperationException("A branch to where its ways meet has left no lanes."); // Those that did not take it are always there.
        }
    }

    /// <summary>Ends threads.</summary>
    /// <param name="lanes">Their lanes.</param>
    /// <returns>Whether some of the active ones, or others, go on.</returns>
    public bool Leave(uint lanes)
    {
        Live &= ~lanes;
        Active &= ~lanes;
        return Active != 0 || Pop();
    }

    /// <summary>Goes on with the lanes that have waited last.</summary>
    /// <returns>Whether there are any.</returns>
    public bool Pop()
    {
        while (_depth > 0)
        {
            FlowEntry entry = _stack[--_depth];
            if ((entry.Mask & Live) != 0)
            {
                (Pc, Join, Active) = (entry.Pc, entry.Join, entry.Mask & Live);
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives the host's memory back.</summary>
    public void Free() => NativeMemory.AlignedFree(_memory);

    /// <summary>The first lane of a mask, for messages.</summary>
    /// <param name="mask">The lanes, one at least.</param>
    public static int FirstLane(uint mask) => BitOperations.TrailingZeroCount(mask) & (Warp.Lanes - 1);

    private void Push(FlowEntry entry)
    {
        if (_depth == _stack.Length)
        {
            Array.Resize(ref _stack, 2 * _depth);
        }

        _stack[_depth++] = entry;
    }
}
