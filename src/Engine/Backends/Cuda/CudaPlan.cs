using KernelAD.Interop;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cuda;

/// <summary>A step of a CUDA plan.</summary>
/// <param name="Info">What it is, for listings.</param>
/// <param name="Launches">Its launches for a run context's memory and a slice.</param>
internal sealed record CudaStep(PlanStep Info, Func<DeviceRun, IReadOnlyList<KernelLaunch>> Launches);

/// <summary>One execution of a step.</summary>
/// <param name="Step">Index of the step.</param>
/// <param name="Launch">One of its launches.</param>
internal readonly record struct PlannedLaunch(int Step, KernelLaunch Launch);

/// <summary>
/// An ordered list of steps over one arena, compiled for a fixed batch and a fixed set of taps. Immutable; any number of contexts may run it at once.
/// </summary>
internal sealed class CudaPlan : IExecutable
{
    private readonly CudaStep[] _steps;
    private readonly (int First, int End) _region;
    private readonly int _slices;

    public CudaPlan(
        CudaSession session,
        CudaStep[] steps,
        (int First, int End) region,
        int slices,
        long arenaBytes,
        (DeviceValue Value, Shape Shape) input,
        IReadOnlyDictionary<string, (DeviceValue Value, Shape Shape)> results)
    {
        Session = session;
        _steps = steps;
        _region = region;
        _slices = slices;
        ActivationBytes = arenaBytes;
        Input = input;
        Values = results;
        Results = results.ToDictionary(r => r.Key, r => r.Value.Shape, StringComparer.Ordinal);
        Steps = [.. steps.Select(s => s.Info)];
    }

    /// <summary>The device.</summary>
    public CudaSession Session { get; }

    public IReadOnlyList<PlanStep> Steps { get; }

    public long ActivationBytes { get; }

    public IReadOnlyDictionary<string, Shape> Results { get; }

    /// <summary>Where the network's input goes, dense.</summary>
    public (DeviceValue Value, Shape Shape) Input { get; }

    /// <summary>Outputs and taps by name, each dense and in float32.</summary>
    public IReadOnlyDictionary<string, (DeviceValue Value, Shape Shape)> Values { get; }

    /// <summary>All launches of a run in their order; a sliced region's steps come once per slice.</summary>
    /// <param name="arena">The run context's arena, <see cref="ActivationBytes"/> long.</param>
    public IEnumerable<PlannedLaunch> Launches(DeviceAddress arena) =>
        Launches(new DeviceRun(arena, 0), 0, _region.First)
            .Concat(Enumerable.Range(0, _slices).SelectMany(slice => Launches(new DeviceRun(arena, slice), _region.First, _region.End)))
            .Concat(Launches(new DeviceRun(arena, 0), _region.End, _steps.Length));

    public IRunContext CreateContext()
    {
        Session.Enter();
        try
        {
            return new CudaRunContext(this);
        }
        catch (CudaException e)
        {
            Session.NoteFailure(e);
            throw;
        }
    }

    private IEnumerable<PlannedLaunch> Launches(DeviceRun run, int first, int end)
    {
        for (int step = first; step < end; step++)
        {
            foreach (KernelLaunch launch in _steps[step].Launches(run))
            {
                yield return new PlannedLaunch(step, launch);
            }
        }
    }
}
