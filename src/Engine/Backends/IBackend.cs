using KernelAD.Graph;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends;

/// <summary>A device with a model's weights on it. Compiles graphs of that model; thread-safe.</summary>
internal interface IBackend : IDisposable
{
    /// <summary>What runs, for headers and reports: "cpu, 2 threads, Vector512 (AVX-512)".</summary>
    string Device { get; }

    /// <summary>Bytes that the weights take on the device.</summary>
    long WeightBytes { get; }

    /// <summary>How many pictures of a batch are best taken at once.</summary>
    /// <param name="batch">Pictures of the batch.</param>
    /// <returns>Between 1 and <paramref name="batch"/>.</returns>
    int PicturesAtOnce(int batch);

    /// <summary>Compiles a graph.</summary>
    /// <param name="graph">The graph as the model wrote it; only its outputs and taps become results.</param>
    IExecutable Compile(ComputeGraph graph);
}

/// <summary>A compiled plan: immutable, shared by any number of contexts.</summary>
internal interface IExecutable
{
    /// <summary>The steps, for listings.</summary>
    IReadOnlyList<PlanStep> Steps { get; }

    /// <summary>Bytes of activation memory of one context.</summary>
    long ActivationBytes { get; }

    /// <summary>Names and shapes of the results.</summary>
    IReadOnlyDictionary<string, Shape> Results { get; }

    /// <summary>Creates the memory for one run at a time.</summary>
    IRunContext CreateContext();
}

/// <summary>The memory of one run at a time: fill <see cref="Input"/>, run, read results. Not thread-safe.</summary>
internal interface IRunContext : IDisposable
{
    /// <summary>The network's input (N,3,H,W), to be filled before each run.</summary>
    Span<float> Input { get; }

    /// <summary>Runs the plan.</summary>
    /// <param name="ticks">Receives Stopwatch ticks per step, or empty.</param>
    /// <param name="cancellation">Cancels between steps.</param>
    void Run(Span<long> ticks, CancellationToken cancellation);

    /// <summary>A result of the last run, row-major.</summary>
    ReadOnlySpan<float> Result(string name);
}
