using KernelAD.Graph;
using KernelAD.Weights;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// The value of a graph without input, computed once on the calling thread: what becomes of a <see cref="Folded"/> parameter. Frees everything with its
/// disposal.
/// </summary>
internal sealed class Evaluation : IDisposable
{
    private readonly CpuWeights _weights;
    private readonly IRunContext _context;

    /// <summary>Computes the value.</summary>
    /// <param name="recipe">The graph; <see cref="Folded.Output"/> is its only result.</param>
    /// <param name="file">Where its parameters are; stays open.</param>
    public Evaluation(ComputeGraph recipe, ModelFile file)
    {
        _weights = CpuWeights.Borrowing(file);
        try
        {
            _context = CpuBackend.CreateContext(CpuCompiler.Compile(recipe, _weights, long.MaxValue, threads: 1), threads: 1);
            _context.Run(ticks: [], CancellationToken.None);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The value, row-major.</summary>
    public ReadOnlySpan<float> Values => _context.Result(Folded.Output);

    public void Dispose()
    {
        _context?.Dispose();
        _weights.Dispose();
    }
}
