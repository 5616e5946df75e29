using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>
/// Multi-head attention: per head h, o_h = softmax(scale · q_h k_hᵀ) v_h over the keys; heads are contiguous slices of the last dimension and
/// are concatenated in order. Operands: q (B, Lq, heads·dq), k (B, Lk, heads·dq), v (B, Lk, heads·dv). Result (B, Lq, heads·dv).
/// </summary>
/// <param name="Heads">Number of heads.</param>
/// <param name="Scale">Factor on the logits.</param>
/// <param name="Mask">Which keys a query does not see; null: it sees all.</param>
public sealed record Attention(int Heads, float Scale, NeighborMask? Mask = null) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape q = inputs[0], k = inputs[1], v = inputs[2];
        Require(q.Rank == 3 && k.Rank == 3 && v.Rank == 3, "operands must be (B, L, D)", inputs);
        Require(q[0] == k[0] && k[0] == v[0] && k[1] == v[1] && q[2] == k[2], "q and k must agree in width, k and v in length", inputs);
        Require(q[2] % Heads == 0 && v[2] % Heads == 0, $"widths must be multiples of {Heads} heads", inputs);
        Require(Mask is null || (q[1] == Mask.Height * Mask.Width && k[1] == q[1]), $"the mask is for {Mask?.Height}×{Mask?.Width} tokens", inputs);
        return new Shape(q[0], q[1], v[2]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node)
    {
        Shape q = node.Inputs[0].Shape, v = node.Inputs[2].Shape;
        return 2L * q[0] * q[1] * v[1] * (q[2] + v[2]);
    }
}

/// <summary>
/// UniAD's neighbour mask over a grid of tokens, token t at row t / Width and column t mod Width: a query does not see the keys that are at most
/// <paramref name="RadiusY"/> rows <b>and</b> at most <paramref name="RadiusX"/> columns away, itself among them. At the border the window is cut, not moved.
/// </summary>
/// <param name="Height">Rows of the grid.</param>
/// <param name="Width">Columns of the grid.</param>
/// <param name="RadiusY">Rows that are blocked above and below; 0: the own row.</param>
/// <param name="RadiusX">Columns that are blocked left and right; 0: the own column.</param>
public sealed record NeighborMask(int Height, int Width, int RadiusY, int RadiusX)
{
    /// <summary>Whether every query sees some key; a softmax over nothing would be NaN. The token in the middle sees least.</summary>
    public bool LeavesKeys => Height / 2 > RadiusY || Width / 2 > RadiusX;
}
