using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>How a filter sees beyond the border.</summary>
public enum Border
{
    /// <summary>Zeros.</summary>
    Zero,

    /// <summary>Mirrored with the edge pixel repeated (d c b a | a b c d | d c b a), again and again if the filter is larger than the picture.</summary>
    Reflect,
}

/// <summary>Correlates the last two dimensions with <paramref name="Taps"/>, first along rows' direction (vertically), then along columns'. Operand and result (N, C, H, W).</summary>
/// <param name="Taps">The one-dimensional filter, an odd number of taps.</param>
/// <param name="Border">The rule at the border.</param>
public sealed record SeparableFilter(float[] Taps, Border Border) : Operator
{
    /// <summary>Normalised Gaussian taps exp(−d²/2σ²), d = −radius … radius.</summary>
    public static float[] Gaussian(double sigma, int radius)
    {
        double[] taps = [.. Enumerable.Range(-radius, (2 * radius) + 1).Select(d => Math.Exp(-0.5 * d * d / (sigma * sigma)))];
        double sum = taps.Sum();
        return [.. taps.Select(t => (float)(t / sum))];
    }

    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0].Rank == 4 && Taps.Length % 2 == 1, "x must be (N, C, H, W) and the taps odd in number", inputs);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 4L * Taps.Length * node.Shape.Count;
}

/// <summary>Average pooling without padding over the last two dimensions of (N, C, H, W).</summary>
/// <param name="Kernel">Side of the pooled square.</param>
/// <param name="Stride">Distance between squares.</param>
public sealed record AveragePool(int Kernel, int Stride) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0];
        Require(x.Rank == 4 && x[2] >= Kernel && x[3] >= Kernel, $"x must be (N, C, H, W) with H and W of at least {Kernel}", inputs);
        return new Shape(x[0], x[1], ((x[2] - Kernel) / Stride) + 1, ((x[3] - Kernel) / Stride) + 1);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 2L * Kernel * node.Inputs[0].Shape.Count;
}

/// <summary>
/// Bilinear interpolation of (N, C, h, w) to (N, C, Height, Width). With <paramref name="AlignCorners"/> corners meet:
/// src = dst·(in−1)/(out−1); without, pixel centres are half a pixel in: src = max((dst+½)·in/out − ½, 0).
/// </summary>
/// <param name="Height">New height.</param>
/// <param name="Width">New width.</param>
/// <param name="AlignCorners">Which convention.</param>
/// <param name="ChannelsLast">Whether operand and result are (N, H, W, C) instead.</param>
public sealed record Resize(int Height, int Width, bool AlignCorners, bool ChannelsLast = false) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0].Rank == 4, ChannelsLast ? "x must be (N, H, W, C)" : "x must be (N, C, H, W)", inputs);
        int y = ChannelsLast ? 1 : 2;
        return inputs[0].With(y, Height).With(y + 1, Width);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 6 * node.Shape.Count;
}

/// <summary>1 − a·b / (max(‖a‖, 1e−8) max(‖b‖, 1e−8)) over the last dimension. Operands (N, L, D); result (N, L).</summary>
public sealed record CosineDistance : Operator
{
    /// <summary>Lower bound of the norms, as torch's cosine_similarity has it.</summary>
    public const float Epsilon = 1e-8f;

    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0] == inputs[1] && inputs[0].Rank == 3, "operands must be (N, L, D) alike", inputs);
        return new Shape(inputs[0][0], inputs[0][1]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 6 * node.Inputs[0].Shape.Count;
}

/// <summary>
/// Gradient magnitude similarity per channel: with Prewitt gradients divided by 3, zero padding 1, g = √(gx² + gy² + 1e−12):
/// (2 g_a g_b + c) / (g_a² + g_b² + c + 1e−12). Operands and result (N, C, H, W), pixels in [0, 1].
/// </summary>
/// <param name="C">The constant c, 0.0026 for pixels in [0, 1].</param>
public sealed record GradientMagnitudeSimilarity(float C = 0.0026f) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0] == inputs[1] && inputs[0].Rank == 4, "operands must be (N, C, H, W) alike", inputs);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 45 * node.Shape.Count;
}

/// <summary>√Σ(a − b)² over the last dimension. Operands (N, L, D); result (N, L).</summary>
public sealed record EuclideanDistance : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0] == inputs[1] && inputs[0].Rank == 3, "operands must be (N, L, D) alike", inputs);
        return new Shape(inputs[0][0], inputs[0][1]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 3 * node.Inputs[0].Shape.Count;
}

/// <summary>
/// Structural similarity per pixel and channel (Wang et al. 2004): with E the separable filter with zeros beyond the border, μ = E[x],
/// σ² = E[x²] − μ², σ_ab = E[ab] − μ_a μ_b: (2μ_a μ_b + c₁)(2σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂)). Operands and result (N, C, H, W).
/// </summary>
/// <param name="Taps">The one-dimensional window, an odd number of taps.</param>
/// <param name="C1">c₁, 0.01² for pixels in [0, 1].</param>
/// <param name="C2">c₂, 0.03² for pixels in [0, 1].</param>
public sealed record StructuralSimilarity(float[] Taps, float C1, float C2) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0] == inputs[1] && inputs[0].Rank == 4 && Taps.Length % 2 == 1, "operands must be (N, C, H, W) alike and the taps odd in number", inputs);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => ((5 * 4L * Taps.Length) + 20) * node.Shape.Count;
}
