using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>Mean over one dimension; with <paramref name="KeepDimension"/> it stays with extent 1.</summary>
/// <param name="Axis">The dimension, counted from the first.</param>
/// <param name="KeepDimension">Whether the dimension stays.</param>
public sealed record Mean(int Axis, bool KeepDimension) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(Axis < inputs[0].Rank, $"there is no dimension {Axis}", inputs);
        return KeepDimension
            ? inputs[0].With(Axis, 1)
            : new Shape([.. inputs[0].Extents.ToArray().Where((_, i) => i != Axis)]);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => node.Inputs[0].Shape.Count;
}

/// <summary>Largest element of each picture: x (N, …) → (N). NaN wins, so that a broken map cannot pass for a good one.</summary>
public sealed record MaxPerImage : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => new(inputs[0][0]);

    /// <inheritdoc/>
    public override long Flops(Node node) => node.Inputs[0].Shape.Count;
}
