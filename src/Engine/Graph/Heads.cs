using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>A capsule's squash: y = |s|²/(1 + |s|²) · s/|s| over the last dimension. No epsilon: s = 0 gives NaN, as published.</summary>
public sealed record Squash : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => inputs[0];

    /// <inheritdoc/>
    public override long Flops(Node node) => 3 * node.Shape.Count;
}

/// <summary>
/// Negative log-likelihood of each token under a mixture of K diagonal Gaussians. Per Gaussian
/// L_k = ½ (log 2π + Σ_d [v_dk + (x_d − μ_dk)² exp(−v_dk)]). The published code returns Σ_k π_k L_k; with <paramref name="LogSumExp"/> the proper
/// −log Σ_k π_k N(x; μ_k, exp v_k), whose constant is D times as large: L_k + ½(D − 1) log 2π.
/// Operands: x (N, L, D), π (N, L, K), μ and v (N, L, D·K) with index d·K + k. Result (N, L).
/// </summary>
/// <param name="LogSumExp">Which form.</param>
public sealed record MixtureLikelihood(bool LogSumExp) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0], pi = inputs[1], mu = inputs[2];
        Require(x.Rank == 3 && pi == x.With(2, pi[-1]) && mu == x.With(2, x[2] * pi[-1]) && inputs[3] == mu, "x (N, L, D), π (N, L, K), μ and v (N, L, D·K)", inputs);
        return new Shape(x[0], x[1]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => 20 * node.Inputs[2].Shape.Count;
}
