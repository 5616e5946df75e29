namespace KernelAD.Emulator;

/// <summary>Adds the tallies of all operations up to counters.</summary>
internal static unsafe class CounterReport
{
    /// <summary>Makes a launch's counters.</summary>
    /// <param name="launch">The launch.</param>
    /// <param name="tallies">For each worker a tally for each operation.</param>
    public static LaunchCounters Make(Launch launch, Tally[][] tallies)
    {
        KernelProgram program = launch.Kernel.Program;
        SortedDictionary<string, long> values = new(StringComparer.Ordinal);
        for (int i = 0; i < program.Count; i++)
        {
            Tally sum = default;
            foreach (Tally[] worker in tallies)
            {
                sum.Add(worker[i]);
            }

            if (program.Classes[i] != OpClass.None && sum.Warps > 0)
            {
                Count(values, program.Classes[i], program.Ops[i], sum);
            }
        }

        return new(values);
    }

    private static void Count(SortedDictionary<string, long> values, OpClass kind, in Op op, in Tally tally)
    {
        void Add(string name, long value)
        {
            if (value != 0)
            {
                values[name] = values.GetValueOrDefault(name) + value;
            }
        }

        Add(CounterNames.Instructions, tally.Warps);
        Add(CounterNames.ThreadInstructions, tally.Threads);
        Add(Pipe(kind), tally.Warps);
        Add(CounterNames.DivergentBranches, tally.Divergences);
        switch (kind)
        {
            case OpClass.Fadd:
                Add(CounterNames.ThreadFadd, tally.Threads);
                break;
            case OpClass.Fmul:
                Add(CounterNames.ThreadFmul, tally.Threads);
                break;
            case OpClass.Ffma:
                Add(CounterNames.ThreadFfma, tally.Threads);
                break;
            case OpClass.Tensor:
                Add(CounterNames.TensorOperations, tally.Warps * MatrixInstructions.Operations(op.Immediate));
                break;
            case OpClass.Barrier:
                Add(CounterNames.Barriers, tally.Warps);
                break;
            case OpClass.Shuffle:
                Add(CounterNames.Shuffles, tally.Warps);
                break;
            case OpClass.MatrixLoad:
                Add(CounterNames.MatrixLoads, tally.Warps);
                break;
            case OpClass.AsyncCopy:
                Add(CounterNames.AsyncCopies, tally.Warps);
                break;
        }

        Add(CounterNames.Flops, tally.Threads * FlopsOf(kind));
        CountMemory(Add, kind, op.Space, tally);
    }

    private static void CountMemory(Action<string, long> add, OpClass kind, PtxSpace space, in Tally tally)
    {
        bool isGlobal = space is PtxSpace.Global or PtxSpace.Generic;
        switch (kind)
        {
            case OpClass.Load or OpClass.MatrixLoad:
                add(CounterNames.GlobalLoadRequests, isGlobal && tally.Sectors > 0 ? tally.Warps : 0);
                add(CounterNames.GlobalLoadSectors, tally.Sectors);
                add(CounterNames.GlobalLoadBytes, tally.Bytes);
                add(CounterNames.SharedLoadWavefronts, tally.Wavefronts);
                add(CounterNames.SharedLoadConflicts, tally.Conflicts);
                break;
            case OpClass.Store:
                add(CounterNames.GlobalStoreRequests, isGlobal && tally.Sectors > 0 ? tally.Warps : 0);
                add(CounterNames.GlobalStoreSectors, tally.Sectors);
                add(CounterNames.GlobalStoreBytes, tally.Bytes);
                add(CounterNames.SharedStoreWavefronts, tally.Wavefronts);
                add(CounterNames.SharedStoreConflicts, tally.Conflicts);
                break;
            case OpClass.AsyncCopy:
                add(CounterNames.GlobalLoadRequests, tally.Sectors > 0 ? tally.Warps : 0);
                add(CounterNames.GlobalLoadSectors, tally.Sectors);
                add(CounterNames.GlobalLoadBytes, tally.Bytes);
                add(CounterNames.SharedStoreWavefronts, tally.Wavefronts);
                add(CounterNames.SharedStoreConflicts, tally.Conflicts);
                break;
            case OpClass.Atomic:
                add(CounterNames.GlobalAtomicRequests, isGlobal && tally.Sectors > 0 ? tally.Warps : 0);
                break;
        }
    }

    private static int FlopsOf(OpClass kind) => kind switch
    {
        OpClass.Fadd or OpClass.Fmul or OpClass.Half or OpClass.Double => 1,
        OpClass.Ffma or OpClass.HalfFma or OpClass.Half2 or OpClass.DoubleFma => 2,
        OpClass.Half2Fma => 4,
        _ => 0,
    };

    private static string Pipe(OpClass kind) => kind switch
    {
        OpClass.Fadd or OpClass.Fmul or OpClass.Ffma or OpClass.IntegerMultiply => CounterNames.FmaPipe,
        OpClass.Half or OpClass.HalfFma or OpClass.Half2 or OpClass.Half2Fma => CounterNames.HalfPipe,
        OpClass.Double or OpClass.DoubleFma => CounterNames.DoublePipe,
        OpClass.Special => CounterNames.SpecialPipe,
        OpClass.Tensor => CounterNames.TensorPipe,
        OpClass.Load or OpClass.Store or OpClass.Atomic or OpClass.MatrixLoad or OpClass.AsyncCopy or OpClass.Order or OpClass.Shuffle => CounterNames.LoadStorePipe,
        OpClass.Barrier or OpClass.Control => CounterNames.ControlPipe,
        _ => CounterNames.AluPipe,
    };
}
