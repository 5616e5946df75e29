using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>Functions applied element by element after a Linear or on their own.</summary>
public enum Activation
{
    /// <summary>The identity.</summary>
    None,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x/2 · (1 + erf(x/√2)), the exact form.</summary>
    Gelu,

    /// <summary>x · sigmoid(x), also called SiLU.</summary>
    Swish,

    /// <summary>1 / (1 + exp(−x)).</summary>
    Sigmoid,

    /// <summary>tanh(x).</summary>
    Tanh,

    /// <summary>log(1 + exp(x)), and x itself above 20 as torch has it.</summary>
    Softplus,
}

/// <summary>
/// y = activation(x Wᵀ + b) + r over the last dimension.
/// Operands: x (…, K), W (N, K) or a 1×1 convolution's (N, K, 1, 1), then b (N) if <see cref="HasBias"/>, then r (…, N) if <see cref="HasResidual"/>. Result (…, N).
/// Models write it with bias only; the fusion pass adds activation and residual.
/// </summary>
/// <param name="HasBias">Whether operand b is there.</param>
/// <param name="Activation">The epilogue's function.</param>
/// <param name="HasResidual">Whether operand r is there.</param>
public sealed record Linear(bool HasBias, Activation Activation = Activation.None, bool HasResidual = false) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0], w = inputs[1];
        Require(inputs.Count == 2 + (HasBias ? 1 : 0) + (HasResidual ? 1 : 0), "wrong number of operands", inputs);
        Require(x.Rank >= 1 && w.Rank >= 2 && x[-1] == w[1] && w.Count == (long)w[0] * w[1], "x (…, K) and W (N, K) must agree in K", inputs);
        Require(!HasBias || (inputs[2].Rank == 1 && inputs[2][0] == w[0]), "b must be (N)", inputs);
        Shape y = x.With(-1, w[0]);
        Require(!HasResidual || inputs[^1] == y, "the residual must have the result's shape", inputs);
        return y;
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Shape.Count * node.Inputs[1].Shape[1];
}

/// <summary>Order of a patch's values in its vector.</summary>
public enum PatchOrder
{
    /// <summary>(channel, row, column): the layout of a convolution's weights.</summary>
    ChannelRowColumn,

    /// <summary>(row, column, channel): InTra's.</summary>
    RowColumnChannel,
}

/// <summary>
/// Cuts pictures into patches and projects each: y[n, p] = W · vec(patch p) + b, patches row by row.
/// Operands: x (N, C, H, W), weight (D, C·P·P) or (D, C, P, P), bias (D). Result (N, H/P·W/P, D).
/// </summary>
/// <param name="Patch">Side P of a patch in pixels.</param>
/// <param name="Order">Order of the values within a patch vector.</param>
public sealed record PatchEmbedding(int Patch, PatchOrder Order) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0], w = inputs[1];
        Require(x.Rank == 4 && x[2] % Patch == 0 && x[3] % Patch == 0, $"x must be (N, C, H, W) with H and W multiples of {Patch}", inputs);
        Require(w.Count == (long)w[0] * x[1] * Patch * Patch && inputs[2].Count == w[0], "weight must be (D, C·P·P), bias (D)", inputs);
        return new Shape(x[0], x[2] / Patch * (x[3] / Patch), w[0]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Shape.Count * (node.Inputs[1].Shape.Count / node.Inputs[1].Shape[0]);
}
