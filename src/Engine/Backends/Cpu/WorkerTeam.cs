using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// The threads that run CPU plans: one team a process. The calling thread takes part; helpers are created when first needed and parked when idle.
/// Runs of several callers never wait for each other: who finds the team busy computes alone. Nothing is allocated after the first run.
/// </summary>
/// <remarks>
/// A step's parts are handed out by one word, <c>_ticket</c>: an epoch, unique to the step's execution, above the number of parts not yet
/// taken. Who lowers it by compare-and-swap owns a part; until that part is done the step, hence the run, cannot end, so the fields that describe
/// it stay put. Whoever finishes a step's last part publishes the next step. No thread is ever waited for unless it holds a part: a helper that the
/// operating system has descheduled, or that wakes late, costs nothing.
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

    private Padded _ticket;
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
            Advance();
            int idle = 0;
            while (Volatile.Read(ref _finished) == 0)
            {
                if (TakePart(0))
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
        for (int i = _helpers.Length; i < count; i++)
            helpers[i] = new Helper(this, i + 1);
        _helpers = helpers;
    }

    /// <summary>Takes one part of the current step and runs it.</summary>
    /// <returns>Whether there was a part to take.</returns>
    private bool TakePart(int thread)
    {
        long ticket = Volatile.Read(ref _ticket.Value);
        int left = (int)(ticket & PartMask);

        // A stale number of threads cannot do harm: the exchange succeeds only if the ticket, hence the run, is still the same.
        if (left == 0 || thread >= Volatile.Read(ref _threads))
            return false;
        if (Interlocked.CompareExchange(ref _ticket.Value, ticket - 1, ticket) != ticket)
            return false;

        try
        {
            CpuStep step = _steps[_step];
            if (Volatile.Read(ref _failure) is null)
                step.Run(new RunContext(_arena, _slice), step.Parts - left, Scratch(step.ScratchBytes));
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
        }

        if (Interlocked.Decrement(ref _pending.Value) == 0)
        {
            if (_ticks != null)
            {
                long now = Stopwatch.GetTimestamp();
                _ticks[_step] += now - _stepStart;
                _stepStart = now;
            }

            Advance();
        }

        return true;
    }

    /// <summary>Goes on to the next step with work in it, or ends the run. Called by the one thread that finished a step.</summary>
    private void Advance()
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
            Publish();
    }

    private void Publish()
    {
        int parts = _steps[_step].Parts;
        int threads = _threads;
        Helper[] helpers = _helpers;
        _pending.Value = parts;
        long epoch = (_ticket.Value >> PartBits) + 1;
        Interlocked.Exchange(ref _ticket.Value, (epoch << PartBits) | (long)parts);

        // The publisher and the spinning helpers take a part each; parked helpers are worth waking for the others only.
        for (int i = 0; i < Math.Min(threads, parts) - 1; i++)
            helpers[i].Wake();
    }

    /// <summary>A counter on cache lines of its own, so that those who spin on it disturb nobody else.</summary>
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

        private bool HasWork => (Volatile.Read(ref _team._ticket.Value) & PartMask) != 0 && _index < Volatile.Read(ref _team._threads);

        private void Work()
        {
            long spinTicks = SpinMicroseconds * Stopwatch.Frequency / 1_000_000;
            while (true)
            {
                long idleSince = Stopwatch.GetTimestamp();
                do
                {
                    if (_team.TakePart(_index))
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
