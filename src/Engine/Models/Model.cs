using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>A tensor that a model expects in its file.</summary>
/// <param name="Name">Key in the file; the key of the published checkpoint.</param>
/// <param name="Shape">Its exact shape.</param>
/// <param name="Optional">Whether the file may lack it (the model says what it then assumes).</param>
public sealed record TensorSpec(string Name, Shape Shape, bool Optional = false);

/// <summary>
/// A detector's architecture with a fixed configuration: which tensors it needs, how its pictures are prepared, and its graph. Holds no weights
/// and no device code. The names of the configuration's keys are those of the model card.
/// </summary>
public abstract class Model
{
    /// <summary>The model's name as written in files: "ViTAD", "InTra".</summary>
    public abstract string Name { get; }

    /// <summary>The configuration, complete: <see cref="ModelRegistry.Create"/> turns it back into an equal model.</summary>
    public abstract JsonObject Config { get; }

    /// <summary>How a picture becomes the network's input.</summary>
    public abstract PicturePreprocessing Preprocessing { get; }

    /// <summary>Height of the network's input and of the anomaly map, in pixels.</summary>
    public abstract int ImageHeight { get; }

    /// <summary>Width of the network's input and of the anomaly map, in pixels.</summary>
    public abstract int ImageWidth { get; }

    /// <summary>The tensors that the model's file holds.</summary>
    public abstract IReadOnlyList<TensorSpec> Tensors { get; }

    /// <summary>
    /// Describes the computation for a batch of <paramref name="batch"/> pictures: from the input <c>input</c> (N,3,H,W) to the outputs
    /// <c>anomaly_map</c> (N,1,H,W) and <c>image_score</c> (N). Intermediates that the published code names are declared as taps.
    /// </summary>
    public abstract void Build(GraphBuilder g, int batch);

    /// <summary>Sentences about what is assumed because an optional tensor is missing from the file, for warnings and reports.</summary>
    /// <param name="present">Whether a tensor of that name is in the file.</param>
    public virtual IReadOnlyList<string> Assumptions(Func<string, bool> present) => [];
}
