using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>The same elements in the same order under another shape.</summary>
/// <param name="Shape">The new shape.</param>
public sealed record Reshape(Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs[0].Count == Shape.Count, $"cannot become {Shape}", inputs);
        return Shape;
    }
}

/// <summary>Reorders dimensions: dimension i of the result is dimension axes[i] of the operand.</summary>
/// <param name="Axes">A permutation of the dimensions.</param>
public sealed record Permute(IReadOnlyList<int> Axes) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0];
        Require(Axes.Order().SequenceEqual(Enumerable.Range(0, x.Rank)), $"axes [{string.Join(", ", Axes)}] are no permutation", inputs);
        return new Shape([.. Axes.Select(a => x[a])]);
    }
}

/// <summary>A contiguous range of one dimension.</summary>
/// <param name="Axis">The dimension, counted from the first.</param>
/// <param name="Start">First index taken.</param>
/// <param name="Length">Number of indices taken.</param>
public sealed record Slice(int Axis, int Start, int Length) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(Start >= 0 && Start + Length <= inputs[0][Axis], $"range {Start}…{Start + Length} of dimension {Axis} is outside", inputs);
        return inputs[0].With(Axis, Length);
    }
}

/// <summary>Operands one after the other along a dimension.</summary>
/// <param name="Axis">The dimension, counted from the first.</param>
public sealed record Concat(int Axis) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Require(inputs.All(s => s.With(Axis, 0) == inputs[0].With(Axis, 0)), $"must agree in all dimensions but {Axis}", inputs);
        return inputs[0].With(Axis, inputs.Sum(s => s[Axis]));
    }
}

/// <summary>Repeats dimensions of extent 1 until the operand has the given shape (of the same rank).</summary>
/// <param name="Shape">The result's shape.</param>
public sealed record Broadcast(Shape Shape) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0];
        Require(x.Rank == Shape.Rank && Enumerable.Range(0, x.Rank).All(i => x[i] == Shape[i] || x[i] == 1), $"cannot be broadcast to {Shape}", inputs);
        return Shape;
    }
}

/// <summary>
/// Rows picked from a table per picture: y[n·A + a, b, :] = x[n, indices[a·B + b], :]. Operand x (N, R, D); result (N·A, B, D).
/// The indices are the same for every picture of the batch.
/// </summary>
/// <param name="Indices">A·B row numbers below R.</param>
/// <param name="Items">A: leading extent per picture.</param>
public sealed record Gather(int[] Indices, int Items) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape x = inputs[0];
        Require(x.Rank == 3 && Indices.Length % Items == 0 && Indices.All(i => i >= 0 && i < x[1]), "x must be (N, R, D) with every index below R", inputs);
        return new Shape(x[0] * Items, Indices.Length / Items, x[2]);
    }
}
