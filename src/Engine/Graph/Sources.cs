using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>The network's input, fed at every run.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Shape">Its shape, batch included.</param>
public sealed record Input(string Key, Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => Shape;
}

/// <summary>A tensor of the model file, by its key.</summary>
/// <param name="Key">Key in the file.</param>
/// <param name="Shape">Its shape there.</param>
public sealed record Parameter(string Key, Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => Shape;
}

/// <summary>A fixed tensor with one value everywhere: what a missing optional parameter stands for.</summary>
/// <param name="Value">The value of every element.</param>
/// <param name="Shape">The shape.</param>
public sealed record Constant(float Value, Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => Shape;
}
