using KernelAD.Graph;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cpu;

/// <summary>The CPU as a device.</summary>
internal sealed class CpuBackend : IBackend
{
    private readonly CpuWeights _weights;
    private readonly int _threads;
    private readonly long _maxMemory;

    /// <summary>Creates the backend.</summary>
    /// <param name="weights">The model's weights; released with the backend.</param>
    /// <param name="threads">Threads a run may use.</param>
    /// <param name="maxMemory">Bytes that weights and one context's activations may take together.</param>
    public CpuBackend(CpuWeights weights, int threads, long maxMemory)
    {
        _weights = weights;
        _threads = threads;
        _maxMemory = maxMemory;
    }

    public string Device => $"cpu, {_threads} thread{(_threads == 1 ? "" : "s")}, {SimdTier.Name}";

    public long WeightBytes => _weights.Bytes;

    /// <summary>
    /// One a thread: more at once are slower than one after the other, because a layer then finds in memory, no longer in the caches, what the one before it has
    /// written.
    /// </summary>
    public int PicturesAtOnce(int batch) => Math.Min(_threads, batch);

    public IExecutable Compile(ComputeGraph graph) => new Executable(CpuCompiler.Compile(graph, _weights, _maxMemory, _threads), _threads);

    public void Dispose() => _weights.Dispose();

    /// <summary>The memory for one run at a time of a plan.</summary>
    internal static IRunContext CreateContext(CpuPlan plan, int threads) => new Context(plan, threads);

    private sealed class Executable(CpuPlan plan, int threads) : IExecutable
    {
        public IReadOnlyList<PlanStep> Steps => plan.Steps;

        public long ActivationBytes => plan.ArenaBytes;

        public IReadOnlyDictionary<string, Shape> Results { get; } =
            plan.Results.ToDictionary(r => r.Key, r => r.Value.Shape, StringComparer.Ordinal);

        public IRunContext CreateContext() => CpuBackend.CreateContext(plan, threads);
    }

    private sealed unsafe class Context(CpuPlan plan, int threads) : IRunContext
    {
        private readonly AlignedMemory _arena = new(plan.ArenaBytes);

        public Span<float> Input => plan.Input is (BufferRef buffer, Shape shape)
            ? new(buffer.Resolve(new RunContext(_arena.Pointer, 0)), checked((int)shape.Count))
            : [];

        public void Run(Span<long> ticks, CancellationToken cancellation) => plan.Run(_arena.Pointer, threads, ticks, cancellation);

        public ReadOnlySpan<float> Result(string name)
        {
            (BufferRef buffer, Shape shape) = plan.Results[name];
            return new(buffer.Resolve(new RunContext(_arena.Pointer, 0)), checked((int)shape.Count));
        }

        public void Dispose() => _arena.Dispose();
    }
}
