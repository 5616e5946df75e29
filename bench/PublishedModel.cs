using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
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
        Quick("vitad", "ViTAD", """
            { "image": [256, 256], "patch": 16, "embed_dim": 384, "heads": 6, "teacher_depth": 12, "student_depth": 9 }
            """),
        Long("intra", "InTra", memoryCap: 512L << 20, """
            { "image_h": 256, "image_w": 256, "K": 16, "L": 7, "d_model": 512, "N": 13, "h": 8, "grid_max": 16 }
            """),
        Quick("uniad", "UniAD", """
            { "image": [224, 224], "neighbor_mask": { "neighbor_size": [7, 7], "mask": [true, true, true] } }
            """),
        Quick("adtr", "ADTR", """
            { "image": [256, 256] }
            """),
        Quick("vtadl", "VT-ADL", """
            {
              "image_size": 512, "patch_size": 64, "dim": 512, "depth": 6, "heads": 8, "mlp_dim": 1024, "caps_per_token": 64, "in_dim_caps": 8,
              "latent_c": 8, "latent_h": 8, "latent_w": 8, "gaussians": 10
            }
            """),
        Long("utrad", "UTRAD", memoryCap: null, """
            {
              "backbone_base_width": 64, "patch_size": [4, 4, 4], "d_model": 512, "nhead": 8, "num_encoder_layers": [4, 4, 4],
              "num_decoder_layers": [4, 4, 4], "dim_feedforward": 2048
            }
            """),
    ];

    /// <summary>
    /// Floating-point operations of one picture in the layers that consist of multiply-adds, which the FMA peak is the limit of. What else the model does takes
    /// time, but counts for nothing.
    /// </summary>
    public long Flops => RemoveUnused.Apply(GraphBuilder.Build(Model, 1, _ => true).WithTaps([])).Nodes
        .Where(n => n.Operator is Linear or PatchEmbedding or Attention or Convolution or TransposedConvolution).Sum(n => n.Flops);

    /// <summary>Bytes of the weights in single precision.</summary>
    public long WeightBytes => Model.Tensors.Sum(t => t.Shape.Count) * sizeof(float);

    /// <summary>Writes the model file and its ONNX export into a folder.</summary>
    public (string Safetensors, string Onnx) Write(string folder)
    {
        // With the golden data's gain of kernels, values would grow from layer to layer: their batch norms have the statistics that go with it.
        string safetensors = Path.Combine(folder, Key + ".safetensors"), onnx = Path.Combine(folder, Key + ".onnx");
        TensorSource[] tensors = [.. Model.Tensors.Select(t => new TensorSource(
            t.Name, ElementType.F32, t.Shape, stream => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape, kernelGain: 1))).Write(stream)))];
        ModelFile.Write(safetensors, Model, tensors, new ModelFileDetails());
        using ModelFile file = ModelFile.Open(safetensors);
        OnnxExporter.Export(file, onnx);
        return (safetensors, onnx);
    }

    private static PublishedModel Quick(string key, string name, [StringSyntax(StringSyntaxAttribute.Json)] string config) =>
        new(key, Create(name, config), Rounds: 21, RunsPerRound: 5, Loads: 3, CountsAllocations: name == "ViTAD", MemoryCap: null);

    private static PublishedModel Long(string key, string name, long? memoryCap, [StringSyntax(StringSyntaxAttribute.Json)] string config) =>
        new(key, Create(name, config), Rounds: 5, RunsPerRound: 1, Loads: 1, CountsAllocations: false, memoryCap);

    private static Model Create(string name, string config) => ModelRegistry.Create(name, (JsonObject)JsonNode.Parse(config)!);
}
