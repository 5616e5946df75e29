using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

public sealed unsafe class WorkerTeamTests
{
    [Test]
    public void Every_part_of_every_step_and_slice_runs_once_and_in_order([Values(1, 2, 4, 9)] int threads)
    {
        int[] parts = [1, 7, 0, 100, 2];
        CountingStep[] steps = [.. parts.Select(n => new CountingStep(n))];
        foreach (CountingStep step in steps)
            step.Check = slice => steps.TakeWhile(s => s != step).All(s => s.Done == s.Parts * (slice - 2));
        for (int round = 0; round < 50; round++)
        {
            foreach (CountingStep step in steps)
                step.Reset();
            WorkerTeam.Shared.RunAll(steps, new RunContext(null, 3), threads, slices: 5);
            foreach (CountingStep step in steps)
            {
                Assert.That(step.Counts, Is.All.EqualTo(5));
                Assert.That(step.OutOfOrder, Is.Zero);
            }
        }
    }

    [Test]
    public void A_thread_begins_with_its_share_and_then_helps_with_the_others()
    {
        WorkerTeam team = new(); // nobody else keeps it busy
        SharedStep[] steps = [new(8), new(9), new(8)];
        team.RunAll(steps, default, threads: 2);
        foreach (SharedStep step in steps)
        {
            int half = step.Parts / 2;
            Assert.That(step.Threads[0], Is.EqualTo(Environment.CurrentManagedThreadId), "the caller's share is the first in every step");
            Assert.That(step.Threads[half], Is.Not.EqualTo(step.Threads[0]), "the helper's is the second");
            Assert.That(step.Threads.Where((_, part) => part != half), Is.All.EqualTo(step.Threads[0]), "the helper stayed with its first part");
        }
    }

    [Test]
    public void Concurrent_callers_all_get_their_work_done()
    {
        Parallel.For(0, 16, new ParallelOptions { MaxDegreeOfParallelism = 16 }, caller =>
        {
            CountingStep[] steps = [new(3), new(20)];
            for (int round = 1; round <= 100; round++)
            {
                WorkerTeam.Shared.RunAll(steps, default, 1 + (caller % 4));
                Assert.That(steps[0].Counts.Concat(steps[1].Counts), Is.All.EqualTo(round));
            }
        });
    }

    [Test]
    public void An_exception_in_a_part_surfaces_in_the_caller_and_ends_the_run([Values(1, 2, 4)] int threads)
    {
        CountingStep after = new(4);
        for (int round = 0; round < 20; round++)
        {
            Assert.That(
                () => WorkerTeam.Shared.RunAll([new FailingStep(), after], default, threads),
                Throws.InvalidOperationException.With.Message.EqualTo("part 5"));
        }

        Assert.That(after.Counts, Is.All.Zero);
        WorkerTeam.Shared.RunAll([after], default, threads);
        Assert.That(after.Counts, Is.All.EqualTo(1), "the team still works");
    }

    [Test]
    public void A_cancelled_run_begins_no_further_step([Values(1, 2, 4)] int threads)
    {
        using CancellationTokenSource source = new();
        CountingStep before = new(4), cancelling = new(4) { Check = _ => Cancel(source) }, after = new(4);
        Assert.That(
            () => WorkerTeam.Shared.RunAll([before, cancelling, after], default, threads, cancellation: source.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(cancelling.Counts, Is.All.EqualTo(1), "a step that has begun is finished");
        Assert.That(after.Counts, Is.All.Zero);
        WorkerTeam.Shared.RunAll([after], default, threads);
        Assert.That(after.Counts, Is.All.EqualTo(1), "the team still works");

        static bool Cancel(CancellationTokenSource source)
        {
            source.Cancel();
            return true;
        }
    }

    [Test]
    public void Scratch_memory_is_aligned_private_and_large_enough()
    {
        ScratchStep[] steps = [new(100), new(3_000_000), new(1)];
        WorkerTeam.Shared.RunAll(steps, default, 4);
        Assert.That(steps.Sum(s => s.Wrong), Is.Zero);
    }

    [Test]
    public void Ticks_are_added_per_step([Values(1, 2)] int threads)
    {
        long[] ticks = new long[2];
        fixed (long* pointer = ticks)
        {
            WorkerTeam.Shared.RunAll([new SleepingStep(20), new SleepingStep(1)], default, threads, slices: 2, pointer);
        }

        Assert.That(ticks[0], Is.GreaterThan(ticks[1]));
        Assert.That(ticks[1], Is.Positive);
    }

    [Test]
    public void Runs_allocate_nothing()
    {
        using MemoryPool memory = new();
        PackedWeights weights = Packing.Pack(memory, new float[64 * 32], 64, 32, default);
        using GuardedMatrix x = GuardedMatrix.Random(new Random(1), 30, 32, rowTiles: true);
        using GuardedMatrix y = new(30, 64);
        CpuStep[] steps =
        [
            new LinearStep(30, weights, x.Ref, y.Ref),
            new AttentionStep(new AttentionShape(1, 30, 30, 2, 16, 16), 1, y.Ref, y.Ref, y.Ref, x.Ref, yRowTiles: true),
        ];
        for (int i = 0; i < 100; i++)
            WorkerTeam.Shared.RunAll(steps, default, 3);
        Thread.Sleep(20); // parking once must not count either

        // Other threads of the test host allocate now and then: one quiet round in a few is the proof.
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 10 && least > 0; attempt++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < 1000; i++)
                WorkerTeam.Shared.RunAll(steps, default, 3);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        Assert.That(least, Is.Zero);
    }

    [Test]
    public void Impossible_numbers_of_threads_and_slices_are_refused()
    {
        Assert.That(() => WorkerTeam.Shared.RunAll([], default, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => WorkerTeam.Shared.RunAll([], default, 1, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private sealed class CountingStep(int parts) : CpuStep
    {
        private int _done;
        private int _outOfOrder;

        public int[] Counts { get; } = new int[parts];

        public Func<int, bool>? Check { get; set; }

        public int Done => Volatile.Read(ref _done);

        public int OutOfOrder => _outOfOrder;

        public override int Parts => parts;

        public void Reset()
        {
            _done = 0;
            Array.Clear(Counts);
        }

        public override void Run(in RunContext run, int part, byte* scratch)
        {
            if (Check?.Invoke(run.Slice) == false)
                Interlocked.Increment(ref _outOfOrder);
            Interlocked.Increment(ref Counts[part]);
            Interlocked.Increment(ref _done);
        }
    }

    /// <summary>A step for two threads: each has to take the first part of its share; the second thread then waits until all the others are done.</summary>
    private sealed class SharedStep(int parts) : CpuStep
    {
        private int _begun;
        private int _others;

        public int[] Threads { get; } = new int[parts];

        public override int Parts => parts;

        public override void Run(in RunContext run, int part, byte* scratch)
        {
            Threads[part] = Environment.CurrentManagedThreadId;
            bool first = part == 0 || part == parts / 2;
            if (first)
                Interlocked.Increment(ref _begun);
            if (first && !SpinWait.SpinUntil(() => Volatile.Read(ref _begun) == 2, TimeSpan.FromSeconds(30)))
                throw new TimeoutException("the other thread did not begin with its share");
            if (part != parts / 2)
                Interlocked.Increment(ref _others);
            else if (!SpinWait.SpinUntil(() => Volatile.Read(ref _others) == parts - 1, TimeSpan.FromSeconds(30)))
                throw new TimeoutException("the other thread did not help");
        }
    }

    private sealed class FailingStep : CpuStep
    {
        public override int Parts => 10;

        public override void Run(in RunContext run, int part, byte* scratch)
        {
            if (part == 5)
                throw new InvalidOperationException("part 5");
        }
    }

    private sealed class ScratchStep(int bytes) : CpuStep
    {
        public int Wrong { get; private set; }

        public override int Parts => 20;

        public override int ScratchBytes => bytes;

        public override void Run(in RunContext run, int part, byte* scratch)
        {
            Span<byte> memory = new(scratch, bytes);
            memory.Fill((byte)part);
            Thread.Yield();
            if ((nint)scratch % 64 != 0 || memory.ContainsAnyExcept((byte)part))
                Wrong++;
        }
    }

    private sealed class SleepingStep(int milliseconds) : CpuStep
    {
        public override int Parts => 1;

        public override void Run(in RunContext run, int part, byte* scratch) => Thread.Sleep(milliseconds);
    }
}
