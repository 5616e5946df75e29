using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// An ordered list of CPU steps over one arena, compiled for a fixed batch and a fixed set of taps. Immutable; any number of contexts may run it at once.
/// </summary>
internal sealed class CpuPlan
{
    public CpuPlan(
        CpuStep[] before,
        CpuStep[] region,
        int slices,
        CpuStep[] after,
        IReadOnlyList<PlanStep> steps,
        long arenaBytes,
        (BufferRef Buffer, Shape Shape)? input,
        IReadOnlyDictionary<string, (BufferRef Buffer, Shape Shape)> results)
    {
        Before = before;
        Region = region;
        Slices = slices;
        After = after;
        Steps = steps;
        ArenaBytes = arenaBytes;
        Input = input;
        Results = results;
    }

    /// <summary>Steps ahead of the sliced region, or all of them.</summary>
    public CpuStep[] Before { get; }

    /// <summary>Steps run once per slice.</summary>
    public CpuStep[] Region { get; }

    /// <summary>How often the region runs.</summary>
    public int Slices { get; }

    /// <summary>Steps after the region.</summary>
    public CpuStep[] After { get; }

    /// <summary>What each step is, for listings; in the order before, region, after.</summary>
    public IReadOnlyList<PlanStep> Steps { get; }

    /// <summary>Activation memory of one context.</summary>
    public long ArenaBytes { get; }

    /// <summary>Where the network's input goes, and its shape, batch included; null for a plan that depends on the weights alone.</summary>
    public (BufferRef Buffer, Shape Shape)? Input { get; }

    /// <summary>Outputs and taps by name, each dense and row-major.</summary>
    public IReadOnlyDictionary<string, (BufferRef Buffer, Shape Shape)> Results { get; }

    /// <summary>Runs all steps.</summary>
    /// <param name="arena">This context's arena, <see cref="ArenaBytes"/> long.</param>
    /// <param name="threads">Threads to use at most.</param>
    /// <param name="ticks">Receives the Stopwatch ticks of each step (summed over slices), or empty.</param>
    /// <param name="cancellation">Checked between steps.</param>
    public unsafe void Run(byte* arena, int threads, Span<long> ticks, CancellationToken cancellation)
    {
        ticks.Clear();
        fixed (long* all = ticks)
        {
            WorkerTeam team = WorkerTeam.Shared;
            team.RunAll(Before, new RunContext(arena, 0), threads, ticks: all, cancellation: cancellation);
            if (Slices > 0)
            {
                team.RunAll(Region, new RunContext(arena, 0), threads, Slices, all == null ? null : all + Before.Length, cancellation);
            }

            team.RunAll(After, new RunContext(arena, 0), threads, ticks: all == null ? null : all + Before.Length + Region.Length, cancellation: cancellation);
        }
    }
}
