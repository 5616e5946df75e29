using KernelAD.Export;
using KernelAD.Golden;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Passes;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Bench;

/// <summary>A model of the published size with formula weights: speed does not depend on their values.</summary>
/// <param name="Key">Name on the command line.</param>
/// <param name="Model">The model.</param>
/// <param name="Rounds">How often each engine is timed, in turn.</param>
/// <param name="RunsPerRound">Runs timed in a round.</param>
/// <param name="Loads">Processes started to measure loading.</param>
/// <param name="CountsAllocations">Whether managed allocations of our engine are counted, over a thousand calls.</param>
/// <param name="MemoryCap">Cap on the memory of our engine's weights and activations in bytes, or null.</param>
internal sealed record PublishedModel(string Key, Model Model, int Rounds, int RunsPerRound, int Loads, bool CountsAllocations, long? MemoryCap)
{
    public static IReadOnlyList<PublishedModel> All { get; } =
    [
        new("vitad", new VitAd(new VitAdConfig
        {
            ImageSize = 256,
            PatchSize = 16,
            Width = 384,
            Heads = 6,
            TeacherDepth = 12,
            StudentDepth = 9,
            TeacherTaps = [3, 6, 9],
            StudentTaps = [3, 6, 9],
            Neck = [12],
        }), Rounds: 21, RunsPerRound: 5, Loads: 3, CountsAllocations: true, MemoryCap: null),
        new("intra", new InTra(new InTraConfig
        {
            ImageHeight = 256,
            ImageWidth = 256,
            PatchSize = 16,
            WindowSize = 7,
            Width = 512,
            Blocks = 13,
            Heads = 8,
            GridMax = 16,
        }), Rounds: 5, RunsPerRound: 1, Loads: 1, CountsAllocations: false, MemoryCap: 512L << 20),
    ];

    /// <summary>Floating-point operations of one picture, as the model is written.</summary>
    public long Flops => RemoveUnused.Apply(GraphBuilder.Build(Model, 1, _ => true).WithTaps([])).Flops;

    /// <summary>Bytes of the weights in single precision.</summary>
    public long WeightBytes => Model.Tensors.Sum(t => t.Shape.Count) * sizeof(float);

    /// <summary>Writes the model file and its ONNX export into a folder.</summary>
    public (string Safetensors, string Onnx) Write(string folder)
    {
        string safetensors = Path.Combine(folder, Key + ".safetensors"), onnx = Path.Combine(folder, Key + ".onnx");
        TensorSource[] tensors = [.. Model.Tensors.Select(t => new TensorSource(
            t.Name, ElementType.F32, t.Shape, stream => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape))).Write(stream)))];
        ModelFile.Write(safetensors, Model, tensors, new ModelFileDetails());
        using ModelFile file = ModelFile.Open(safetensors);
        OnnxExporter.Export(file, onnx);
        return (safetensors, onnx);
    }
}
