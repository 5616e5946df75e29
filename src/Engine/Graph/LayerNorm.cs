using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>
/// y = (x − mean) / √(var + ε) · w + b over the last dimension, biased variance. Operands: x (…, D), w (D), b (D). Result: shape of x.
/// </summary>
/// <param name="Epsilon">ε.</param>
public sealed record LayerNorm(float Epsilon) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[1].Count == inputs[0][-1] && inputs[2].Count == inputs[0][-1], "w and b must be (D)", inputs);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 8 * node.Shape.Count;
}
