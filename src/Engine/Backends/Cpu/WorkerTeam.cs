using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// The threads that run CPU plans: one team a process. The calling thread takes part; helpers are created when first needed and parked when idle.
/// Runs of several callers never wait for each other: who finds the team busy computes alone. Nothing is allocated after the first run.
/// </summary>
/// <remarks>
/// <para>Each thread begins with its own share of a step's parts, the same part of the range in every step: as parts follow the rows of a picture, a thread then
/// finds in its own caches what it wrote the step before, and its share of the weights. Processors may have a last-level cache for a few cores only, and reading
/// what was written behind another one takes several times as long. A thread that has finished its share takes parts of the others'.</para>
/// <para>The parts of a share are handed out by one word, the ticket: an epoch, unique among all steps' executions, above the number of parts not yet taken. Who
/// lowers it by compare-and-swap owns a part; until that part is done and reported the step, hence the run, cannot end, so the fields that describe it stay put.
/// Whoever reports a step's last part publishes the next step. No thread is ever waited for unless it holds a part: a helper that the operating system has
/// descheduled, or that wakes late, costs nothing.</para>
/// </remarks>
internal sealed unsafe class WorkerTeam
{
    private const int PartBits = 24;
    private const long PartMask = (1L << PartBits) - 1;

    /// <summary>Parts that a step may have at most.</summary>
    public const int MaxParts = (int)PartMask;

    // A helper that has found nothing to do for about this long parks.
    private const int SpinMicroseconds = 100;
    private const int IdleSpins = 1000;

    [ThreadStatic]
    private static AlignedMemory? _threadScratch;

    private Helper[] _helpers = [];
    private Share[] _shares = [new()];
    private int _busy;

    // The run under way. Written by its caller, or by the thread that finished a step, before the ticket that makes them valid.
    private CpuStep[] _steps = [];
    private int _threads;
    private int _endSlice;
    private long* _ticks;
    private CancellationToken _cancellation;
    private int _step;
    private byte* _arena;
    private int _slice;
    private long _stepStart;
    private int _finished;
    private ExceptionDispatchInfo? _failure;

    // Parts not yet reported as done.
    private Padded _pending;

    /// <summary>The team of this process.</summary>
    public static WorkerTeam Shared { get; } = new();

    /// <summary>Runs steps in order, each to its end before the next begins.</summary>
    /// <param name="steps">The steps.</param>
    /// <param name="run">Where the buffers are. Its slice is the first one computed.</param>
    /// <param name="threads">Threads to use at most, the caller's included.</param>
    /// <param name="slices">How many times the list is run, with the slice counting up.</param>
    /// <param name="ticks">Null, or one number per step to which its duration in <see cref="Stopwatch"/> ticks is added.</param>
    /// <param name="cancellation">Checked before each step.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled; steps may be missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> or <paramref name="slices"/> is not positive.</exception>
    public void RunAll(CpuStep[] steps, in RunContext run, int threads, int slices = 1, long* ticks = null, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slices);
        if (steps.Length == 0)
            return;
        if (threads == 1 || Interlocked.CompareExchange(ref _busy, 1, 0) != 0)
        {
            RunAlone(steps, run, slices, ticks, cancellation);
            return;
        }

        try
        {
            Recruit(threads - 1);
            _steps = steps;
            _threads = threads;
            _arena = run.Arena;
            _slice = run.Slice;
            _endSlice = run.Slice + slices;
            _ticks = ticks;
            _cancellation = cancellation;
            _stepStart = ticks != null ? Stopwatch.GetTimestamp() : 0;
            _step = -1;
            _finished = 0;
            Advance(0);
            int idle = 0;
            while (Volatile.Read(ref _finished) == 0)
            {
                if (TakeParts(0))
                    idle = 0;
                else if (++idle < IdleSpins)
                    Thread.SpinWait(1);
                else
                    Thread.Yield(); // a helper that holds a part may need this very core
            }

            _failure?.Throw();
            cancellation.ThrowIfCancellationRequested();
        }
        finally
        {
            _steps = [];
            _cancellation = default;
            _failure = null;
            Volatile.Write(ref _busy, 0);
        }
    }

    private static void RunAlone(CpuStep[] steps, in RunContext run, int slices, long* ticks, CancellationToken cancellation)
    {
        for (int slice = run.Slice; slice < run.Slice + slices; slice++)
        {
            RunContext context = new(run.Arena, slice);
            for (int i = 0; i < steps.Length; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                CpuStep step = steps[i];
                long start = ticks != null ? Stopwatch.GetTimestamp() : 0;
                byte* scratch = Scratch(step.ScratchBytes);
                for (int part = 0; part < step.Parts; part++)
                    step.Run(context, part, scratch);
                if (ticks != null)
                    ticks[i] += Stopwatch.GetTimestamp() - start;
            }
        }
    }

    private static byte* Scratch(int bytes)
    {
        if (_threadScratch is null || _threadScratch.Length < bytes)
        {
            _threadScratch?.Dispose();
            _threadScratch = null;
            _threadScratch = new AlignedMemory(Math.Max(bytes, 64 * 1024));
        }

        return _threadScratch.Pointer;
    }

    private void Recruit(int count)
    {
        if (_helpers.Length >= count)
            return;
        Helper[] helpers = new Helper[count];
        _helpers.CopyTo(helpers, 0);
        Share[] shares = new Share[count + 1];
        for (int i = 0; i < shares.Length; i++)
            shares[i] = i < _shares.Length ? _shares[i] : new Share();

        // A helper may look for work as soon as it exists, in shares that exist.
        Volatile.Write(ref _shares, shares);
        for (int i = _helpers.Length; i < count; i++)
            helpers[i] = new Helper(this, i + 1);
        _helpers = helpers;
    }

    /// <summary>Runs parts of the current step until none is left to take.</summary>
    /// <returns>Whether there was a part to take.</returns>
    private bool TakeParts(int thread)
    {
        int done = 0;
        for (int part = TakePart(thread); part >= 0; part = TakePart(thread))
        {
            try
            {
                CpuStep step = _steps[_step];
                if (Volatile.Read(ref _failure) is null)
                    step.Run(new RunContext(_arena, _slice), part, Scratch(step.ScratchBytes));
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            }

            done++;
        }

        if (done == 0)
            return false;
        if (Interlocked.Add(ref _pending.Value, -done) == 0)
        {
            if (_ticks != null)
            {
                long now = Stopwatch.GetTimestamp();
                _ticks[_step] += now - _stepStart;
                _stepStart = now;
            }

            Advance(thread);
        }

        return true;
    }

    /// <summary>Takes a part of the current step: one of this thread's own share or, when that is used up, of another one's.</summary>
    /// <returns>The part, or −1.</returns>
    private int TakePart(int thread)
    {
        Share[] shares = Volatile.Read(ref _shares);
        for (int i = 0; i < shares.Length;)
        {
            Share share = shares[(thread + i) % shares.Length];
            long ticket = Volatile.Read(ref share.Ticket);
            int left = (int)(ticket & PartMask);
            if (left == 0)
            {
                i++;
                continue;
            }

            // A stale number of threads cannot do harm: the exchange succeeds only if the ticket, hence the run, is still the same.
            if (thread >= Volatile.Read(ref _threads))
                return -1;

            // Perhaps the step was published just now, the publisher's share last.
            if (i > 0 && shares[thread].HasParts)
                i = 0;
            else if (Interlocked.CompareExchange(ref share.Ticket, ticket - 1, ticket) == ticket)
                return share.End - left;
        }

        return -1;
    }

    /// <summary>Goes on to the next step with work in it, or ends the run. Called by the one thread that finished a step.</summary>
    private void Advance(int thread)
    {
        do
        {
            if (++_step == _steps.Length)
            {
                _step = 0;
                _slice++;
            }
        }
        while (_slice < _endSlice && _steps[_step].Parts == 0);

        if (_slice == _endSlice || _failure is not null || _cancellation.IsCancellationRequested)
            Volatile.Write(ref _finished, 1);
        else
            Publish(thread);
    }

    private void Publish(int thread)
    {
        int parts = _steps[_step].Parts;
        int threads = _threads;
        int count = Math.Min(parts, threads);
        Share[] shares = _shares;
        Helper[] helpers = _helpers;
        _pending.Value = parts;

        // A step with fewer parts than threads goes to the publisher first, who has just seen what it needs. The publisher's share is published last, lest the
        // others take parts of it before they see their own.
        int first = parts < threads ? thread : 0;
        for (int i = 1; i <= threads; i++)
        {
            int owner = (thread + i) % threads;
            int index = (owner - first + threads) % threads;
            if (index >= count)
                continue;
            Share share = shares[owner];
            (int start, share.End) = Split.Range(parts, count, index);
            long epoch = (share.Ticket >> PartBits) + 1;
            Interlocked.Exchange(ref share.Ticket, (epoch << PartBits) | (long)(share.End - start));
        }

        for (int owner = 1; owner < threads; owner++)
        {
            if (owner != thread && (owner - first + threads) % threads < count)
                helpers[owner - 1].Wake();
        }
    }

    /// <summary>The parts of the current step that one thread begins with: those up to <see cref="End"/>, as many as the ticket says are left.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private sealed class Share
    {
        [FieldOffset(128)]
        public long Ticket;

        [FieldOffset(136)]
        public int End;

        /// <summary>Whether parts are left to take.</summary>
        public bool HasParts => (Volatile.Read(ref Ticket) & PartMask) != 0;
    }

    /// <summary>A counter on cache lines of its own, like <see cref="Share"/>, so that those who wait for it disturb nobody else.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Padded
    {
        [FieldOffset(128)]
        public long Value;
    }

    /// <summary>A background thread of the team.</summary>
    private sealed class Helper
    {
        private readonly WorkerTeam _team;
        private readonly int _index;
        private readonly object _gate = new();
        private bool _parked;

        public Helper(WorkerTeam team, int index)
        {
            _team = team;
            _index = index;
            new Thread(Work, maxStackSize: 1 << 20) { IsBackground = true, Name = $"KernelAD worker {index}" }.Start();
        }

        public void Wake()
        {
            if (!Volatile.Read(ref _parked))
                return;
            try
            {
                lock (_gate)
                {
                    _parked = false;
                    Monitor.Pulse(_gate);
                }
            }
            catch (ThreadInterruptedException)
            {
                // The caller's thread has been interrupted. Its run is under way and must be seen to its end, with one helper less.
                Thread.CurrentThread.Interrupt();
            }
        }

        private bool HasWork
        {
            get
            {
                if (_index >= Volatile.Read(ref _team._threads))
                    return false;
                foreach (Share share in Volatile.Read(ref _team._shares))
                {
                    if (share.HasParts)
                        return true;
                }

                return false;
            }
        }

        private void Work()
        {
            long spinTicks = SpinMicroseconds * Stopwatch.Frequency / 1_000_000;
            while (true)
            {
                long idleSince = Stopwatch.GetTimestamp();
                do
                {
                    if (_team.TakeParts(_index))
                        idleSince = Stopwatch.GetTimestamp();
                    else
                        Thread.SpinWait(1);
                }
                while (Stopwatch.GetTimestamp() - idleSince < spinTicks);
                Park();
            }
        }

        private void Park()
        {
            lock (_gate)
            {
                // Either this thread sees a ticket published before it announced itself, or the publisher sees the announcement.
                Volatile.Write(ref _parked, true);
                Interlocked.MemoryBarrier();
                if (HasWork)
                    _parked = false;
                while (_parked)
                    Monitor.Wait(_gate);
            }
        }
    }
}
