using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Runs kernels.</summary>
internal static unsafe class KernelRun
{
    /// <summary>
    /// Runs a launch to its end. Blocks are spread over threads; a kernel whose blocks may change the same bytes with defined results, by atomic operations in
    /// global memory, runs them one after another, so that sums of floats too are the same every time.
    /// </summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="grid">How many blocks.</param>
    /// <param name="block">How many threads a block.</param>
    /// <param name="dynamicSharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="parameters">The parameters' bytes, laid out as <see cref="PtxKernel.Parameters"/> tells.</param>
    /// <param name="memory">The device's memory.</param>
    /// <param name="options">How it is run.</param>
    /// <exception cref="EmulatorFaultException">The kernel did what it must not do.</exception>
    /// <exception cref="ArgumentException">The launch is not possible on the device.</exception>
    public static LaunchCounters Execute(
        PtxKernel kernel,
        LaunchSize grid,
        LaunchSize block,
        int dynamicSharedBytes,
        ReadOnlySpan<byte> parameters,
        GlobalMemory memory,
        EmulatorOptions options)
    {
        Check(kernel, grid, block, dynamicSharedBytes, parameters);
        bool checksRaces = options.Checks.HasFlag(EmulatorChecks.Races);
        Launch launch = new(kernel, grid, block, kernel.StaticSharedBytes + dynamicSharedBytes, dynamicSharedBytes, parameters.ToArray(), memory, options)
        {
            Races = checksRaces ? new(kernel.Program.GlobalGranule) : null,
        };
        int threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount;
        threads = kernel.Program.HasGlobalAtomics || checksRaces ? 1 : (int)Math.Min(threads, launch.Blocks);

        Worker[] workers = [.. Enumerable.Range(0, threads).Select(_ => new Worker(launch))];
        long next = 0;
        long stop = long.MaxValue; // The lowest block that has failed: blocks behind it need not run.
        if (threads == 1)
        {
            workers[0].Run(ref next, ref stop);
        }
        else
        {
            Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => workers[i].Run(ref next, ref stop));
        }

        List<Finding> findings = [.. workers.SelectMany(worker => worker.Findings).Where(found => found.Block <= stop).OrderBy(found => found.Block)
            .SelectMany(found => found.Findings).DistinctBy(finding => (finding.Kind, finding.Line))];
        LaunchCounters counters = CounterReport.Make(launch, [.. workers.Select(worker => worker.Tallies)]);
        return findings.Count == 0 ? counters : throw new EmulatorFaultException(findings);
    }

    /// <summary>Refuses a launch that is not possible on the device.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="grid">How many blocks.</param>
    /// <param name="block">How many threads a block.</param>
    /// <param name="dynamicSharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="parameters">The parameters' bytes.</param>
    /// <exception cref="ArgumentException">It is not possible; says why.</exception>
    public static void Check(PtxKernel kernel, LaunchSize grid, LaunchSize block, int dynamicSharedBytes, ReadOnlySpan<byte> parameters)
    {
        const int MaxBlocksYZ = 65535;
        const int MaxThreadsZ = 64;
        if (grid.X < 1 || grid.Y is < 1 or > MaxBlocksYZ || grid.Z is < 1 or > MaxBlocksYZ)
        {
            throw new ArgumentException($"A grid of {grid.X}×{grid.Y}×{grid.Z} blocks is not possible.", nameof(grid));
        }

        if (block.X < 1 || block.Y < 1 || block.Z is < 1 or > MaxThreadsZ || (long)block.X * block.Y * block.Z > kernel.MaxThreads)
        {
            throw new ArgumentException(
                $"A block of {block.X}×{block.Y}×{block.Z} threads is not possible: kernel '{kernel.Name}' takes {kernel.MaxThreads} at most.", nameof(block));
        }

        if (kernel.RequiredBlock is LaunchSize required && required != block)
        {
            throw new ArgumentException(
                $"Kernel '{kernel.Name}' needs blocks of {required.X}×{required.Y}×{required.Z} threads, not {block.X}×{block.Y}×{block.Z}.", nameof(block));
        }

        if (dynamicSharedBytes < 0 || kernel.StaticSharedBytes + (long)dynamicSharedBytes > kernel.Target.MaxSharedMemoryPerBlock)
        {
            throw new ArgumentException(
                $"{kernel.StaticSharedBytes} + {dynamicSharedBytes} bytes of shared memory are more than the "
                + $"{kernel.Target.MaxSharedMemoryPerBlock} that a block may have on {kernel.Target.Name}.",
                nameof(dynamicSharedBytes));
        }

        if (parameters.Length < kernel.ParameterBytes)
        {
            throw new ArgumentException($"Kernel '{kernel.Name}' has {kernel.ParameterBytes} bytes of parameters, not {parameters.Length}.", nameof(parameters));
        }
    }

    /// <summary>What one thread of the host does: a block after another.</summary>
    private sealed class Worker(Launch launch)
    {
        /// <summary>What was found, by the blocks' numbers.</summary>
        public List<(long Block, Finding[] Findings)> Findings { get; } = [];

        /// <summary>What was counted.</summary>
        public Tally[] Tallies { get; private set; } = [];

        public void Run(ref long next, ref long stop)
        {
            using BlockState block = new(launch);
            while (true)
            {
                long number = Interlocked.Increment(ref next) - 1;
                if (number >= launch.Blocks || number > Interlocked.Read(ref stop))
                {
                    break;
                }

                bool isComplete = block.Run(number);
                if (block.Findings.Count > 0)
                {
                    Findings.Add((number, [.. block.Findings]));
                }

                if (!isComplete)
                {
                    LowerTo(ref stop, number);
                }
            }

            Tallies = new ReadOnlySpan<Tally>(block.Tallies, launch.Kernel.Program.Count).ToArray();
        }

        private static void LowerTo(ref long stop, long number)
        {
            for (long current = Interlocked.Read(ref stop); number < current;)
            {
                current = Interlocked.CompareExchange(ref stop, number, current);
            }
        }
    }
}
