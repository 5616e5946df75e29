using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>Zeros around a picture, in pixels.</summary>
/// <param name="Top">Rows above.</param>
/// <param name="Left">Columns to the left.</param>
/// <param name="Bottom">Rows below.</param>
/// <param name="Right">Columns to the right.</param>
public readonly record struct Padding(int Top, int Left, int Bottom, int Right)
{
    /// <summary>The same on all sides.</summary>
    public static Padding Same(int pixels) => new(pixels, pixels, pixels, pixels);
}

/// <summary>
/// Two-dimensional cross-correlation, channels last: y[n, i, j, o] = activation(b[o] + Σ x[n, i·s − top + u, j·s − left + v, c] · W[o, c, u, v]) + r[n, i, j, o]; with
/// G groups, output channel o sees the C/G input channels of its group. Operands: x (N, H, W, C), W (O, C/G, kh, kw) as PyTorch stores it,
/// then b (O) if <see cref="HasBias"/>, then r (N, H', W', O) if <see cref="HasResidual"/>. Result (N, H', W', O).
/// Models write it without epilogue; the fusion pass adds activation and residual.
/// </summary>
/// <param name="Stride">s.</param>
/// <param name="Padding">Zeros around x.</param>
/// <param name="Groups">G; C of them make it a depthwise convolution.</param>
/// <param name="HasBias">Whether operand b is there.</param>
/// <param name="Activation">The epilogue's function.</param>
/// <param name="HasResidual">Whether operand r is there. It is added after the activation unless <paramref name="ActivateSum"/>.</param>
/// <param name="ActivateSum">Whether the activation is applied to the sum with the residual (ResNet's block).</param>
public sealed record Convolution(
    int Stride,
    Padding Padding,
    int Groups = 1,
    bool HasBias = false,
    Activation Activation = Activation.None,
    bool HasResidual = false,
    bool ActivateSum = false) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0], w = inputs[1];
        Require(inputs.Count == 2 + (HasBias ? 1 : 0) + (HasResidual ? 1 : 0), "wrong number of operands", inputs);
        Require(
            x.Rank == 4 && w.Rank == 4 && x[3] == w[1] * Groups && w[0] % Groups == 0,
            $"x (N, H, W, C) and W (O, C/G, kh, kw) must agree in C with {Groups} groups",
            inputs);
        Require(!HasBias || (inputs[2].Rank == 1 && inputs[2][0] == w[0]), "b must be (O)", inputs);
        int height = x[1] + Padding.Top + Padding.Bottom - w[2], width = x[2] + Padding.Left + Padding.Right - w[3];
        Require(height >= 0 && width >= 0, "x is smaller than the kernel", inputs);
        Shape y = new(x[0], (height / Stride) + 1, (width / Stride) + 1, w[0]);
        Require(!HasResidual || inputs[^1] == y, "the residual must have the result's shape", inputs);
        return y;
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Shape.Count * (node.Inputs[1].Shape.Count / node.Inputs[1].Shape[0]);
}

/// <summary>
/// Transposed convolution, channels last: every x[n, i, j, c] adds x · W[c, o, u, v] to y[n, i·s − p + u, j·s − p + v, o] where that lies within y; then bias and
/// activation. Operands: x (N, H, W, C), W (C, O, k, k) as PyTorch stores it, then b (O) if <see cref="HasBias"/>. Result (N, H', W', O) with H' = (H − 1)·s − 2p + k.
/// </summary>
/// <param name="Stride">s.</param>
/// <param name="Padding">p.</param>
/// <param name="HasBias">Whether operand b is there.</param>
/// <param name="Activation">The epilogue's function.</param>
public sealed record TransposedConvolution(int Stride, int Padding, bool HasBias = false, Activation Activation = Activation.None) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0], w = inputs[1];
        Require(inputs.Count == 2 + (HasBias ? 1 : 0), "wrong number of operands", inputs);
        Require(x.Rank == 4 && w.Rank == 4 && x[3] == w[0] && w[2] == w[3], "x (N, H, W, C) and W (C, O, k, k) must agree in C", inputs);
        Require(!HasBias || (inputs[2].Rank == 1 && inputs[2][0] == w[1]), "b must be (O)", inputs);
        int height = ((x[1] - 1) * Stride) - (2 * Padding) + w[2], width = ((x[2] - 1) * Stride) - (2 * Padding) + w[2];
        Require(height > 0 && width > 0, "nothing is left of the result", inputs);
        return new Shape(x[0], height, width, w[1]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Inputs[0].Shape.Count * (node.Inputs[1].Shape.Count / node.Inputs[1].Shape[0]);
}

/// <summary>
/// Batch normalisation with stored statistics over the last dimension: y = (x − mean) / √(var + ε) · w + b. Operands: x (…, C), then w, b, mean, var (C) each.
/// A pass turns it into a scale of the layer before it.
/// </summary>
/// <param name="Epsilon">ε.</param>
public sealed record BatchNorm(float Epsilon) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs.Count == 5 && inputs.Skip(1).All(s => s.Rank == 1 && s[0] == inputs[0][-1]), "w, b, mean and var must be (C)", inputs);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Shape.Count;
}

/// <summary>Largest value of each square, channels last; what lies beyond the border does not count. Operand (N, H, W, C), result (N, H', W', C).</summary>
/// <param name="Kernel">Side of the square.</param>
/// <param name="Stride">Distance between squares.</param>
/// <param name="Padding">Pixels beyond the border on each side, at most half the kernel.</param>
public sealed record MaxPool(int Kernel, int Stride, int Padding) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0];
        int height = x[1] + (2 * Padding) - Kernel, width = x[2] + (2 * Padding) - Kernel;
        Require(x.Rank == 4 && height >= 0 && width >= 0 && 2 * Padding <= Kernel, $"x must be (N, H, W, C) and larger than {Kernel}", inputs);
        return new Shape(x[0], (height / Stride) + 1, (width / Stride) + 1, x[3]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => (long)Kernel * Kernel * node.Shape.Count;
}
