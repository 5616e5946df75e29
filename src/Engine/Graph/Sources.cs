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

/// <summary>A tensor that is the same for every picture: of the model file, by its key, unless a derived type says otherwise.</summary>
/// <param name="Key">Key in the file.</param>
/// <param name="Shape">Its shape there.</param>
public record Parameter(string Key, Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => Shape;
}

/// <summary>Fixed values that follow from the configuration (sine positions).</summary>
/// <param name="Key">A name for them, unlike every key in the file.</param>
/// <param name="Values">The elements, row-major.</param>
/// <param name="Shape">Their shape.</param>
public sealed record Table(string Key, float[] Values, Shape Shape) : Parameter(Key, Shape);

/// <summary>What a graph without input makes of the file's tensors; computed when the weights are loaded.</summary>
/// <param name="Key">A name for it, unlike every key in the file.</param>
/// <param name="Source">Key of the first tensor that goes in, for listings.</param>
/// <param name="Recipe">The graph; its only output, <see cref="Output"/>, is the value.</param>
/// <param name="Shape">The value's shape.</param>
public sealed record Folded(string Key, string Source, ComputeGraph Recipe, Shape Shape) : Parameter(Key, Shape)
{
    /// <summary>Name of the recipe's output.</summary>
    public const string Output = "value";
}

/// <summary>A fixed tensor with one value everywhere: what a missing optional parameter stands for.</summary>
/// <param name="Value">The value of every element.</param>
/// <param name="Shape">The shape.</param>
public sealed record Constant(float Value, Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => Shape;
}
