using KernelAD.Graph;
using KernelAD.Passes;
using KernelAD.Weights;

namespace KernelAD.Export;

/// <summary>
/// Writes a model as an ONNX file (operator set 20) for other runtimes: the graph as the model describes it, before any of the engine's passes, in the
/// operators that PyTorch's exporter would choose. Input <c>input</c> (N,3,H,W); outputs <c>anomaly_map</c> (N,1,H,W) and <c>image_score</c> (N); N is fixed.
/// A sliced region (InTra's windows) that is large becomes a Scan over portions that stay in the caches. The metadata name the model and its configuration.
/// </summary>
public static class OnnxExporter
{
    /// <summary>Exports a model file.</summary>
    /// <param name="file">The model and its weights, which are read one tensor at a time.</param>
    /// <param name="path">The ONNX file; an older one is replaced. It appears complete or not at all.</param>
    /// <param name="batch">Pictures per run.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <exception cref="BadInputException">The weights do not fit into the 2 GB that the format allows.</exception>
    /// <exception cref="OutputException">The file cannot be written.</exception>
    /// <exception cref="ModelFileException">The model file was cut since it was opened.</exception>
    public static void Export(ModelFile file, string path, int batch = 1, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(file);
        ArgumentException.ThrowIfNullOrEmpty(path);
        Dictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            ["model"] = file.Model.Name,
            ["config"] = file.Model.Config.ToJsonString(),
        };
        ComputeGraph graph = GraphBuilder.Build(file.Model, batch, file.Has);
        Translate(graph, file.Model.Name, metadata, file.ReadFloat32).Write(path, cancellation);
    }

    /// <summary>Translates a graph. Values that have a name keep it; intermediates that no output needs are left out.</summary>
    internal static OnnxModel Translate(ComputeGraph graph, string name, IReadOnlyDictionary<string, string> metadata, ParameterReader read)
    {
        OnnxModel model = new(name, metadata);
        ComputeGraph needed = RemoveUnused.Apply(graph.WithTaps([]));
        new OnnxTranslation(model, read, needed, graph.Results.DistinctBy(r => r.Value).ToDictionary(r => r.Value, r => r.Key)).Run();
        return model;
    }
}
