using KernelAD.Graph;
using KernelAD.Kernels;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cuda;

/// <summary>A squeeze-and-excite, x · sigmoid(W₂·swish(W₁·mean(x) + b₁) + b₂), found behind the product that ends it.</summary>
/// <param name="Maps">x (N, H, W, C).</param>
/// <param name="Squeeze">The linear layer with W₁.</param>
/// <param name="Excite">The linear layer with W₂.</param>
/// <param name="Between">What lies between x and the product, in the order of computation.</param>
internal sealed record SqueezeAndExcite(Node Maps, Node Squeeze, Node Excite, IReadOnlyList<Node> Between)
{
    /// <summary>The one that a product ends; null if it ends none that the kernels can compute.</summary>
    public static SqueezeAndExcite? Behind(Node product) =>
        product is { Operator: Binary { Function: BinaryFunction.Multiply }, Inputs: [{ Shape.Rank: 4 } maps, { Operator: Reshape } gates] }
        && gates.Inputs[0] is { Operator: Linear { HasBias: true, HasResidual: false, Activation: Activation.Sigmoid } } excite
        && excite.Inputs[0] is { Operator: Linear { HasBias: true, HasResidual: false, Activation: Activation.Swish } } squeeze
        && squeeze.Inputs[0] is Node means && GraphLowering.MeanOfPixels(means) == maps
        && gates.Shape == new Shape(maps.Shape[0], 1, 1, maps.Shape[3])
        && squeeze.Shape[-1] <= SqueezeExciteArguments.MaxSqueezed
            ? new SqueezeAndExcite(maps, squeeze, excite, [means.Inputs[0], means, squeeze, excite, gates])
            : null;
}
