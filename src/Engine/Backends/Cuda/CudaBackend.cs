using KernelAD.Graph;
using KernelAD.Interop;

namespace KernelAD.Backends.Cuda;

/// <summary>A CUDA device, NVIDIA's or an emulated one.</summary>
internal sealed class CudaBackend : IBackend
{
    private readonly CudaWeights _weights;
    private readonly Precision _precision;
    private readonly long? _maxMemory;

    /// <summary>Creates the backend.</summary>
    /// <param name="weights">The model's weights on the device; released with the backend.</param>
    /// <param name="precision">Arithmetic of matrix products.</param>
    /// <param name="maxMemory">Bytes that weights and one context's activations may take together; null: what the device has.</param>
    public CudaBackend(CudaWeights weights, Precision precision, long? maxMemory)
    {
        _weights = weights;
        _precision = precision;
        _maxMemory = maxMemory;
    }

    /// <summary>All: a GPU has room for them, and one picture does not fill it.</summary>
    public int PicturesAtOnce(int batch) => batch;

    public string Device
    {
        get
        {
            CudaDevice device = _weights.Session.Device;
            return $"cuda:{device.Ordinal}, {device.Name} ({device.Architecture}, kernels for {_weights.Session.Target})";
        }
    }

    public long WeightBytes => _weights.Bytes;

    public IExecutable Compile(ComputeGraph graph)
    {
        CudaSession session = _weights.Session;
        session.Enter();
        try
        {
            return CudaCompiler.Compile(graph, _weights, _precision, _maxMemory);
        }
        catch (CudaException e)
        {
            session.NoteFailure(e);
            throw;
        }
        finally
        {
            _weights.EndLoading();
        }
    }

    public void Dispose() => _weights.Dispose();
}
