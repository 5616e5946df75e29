using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>Functions of two operands.</summary>
public enum BinaryFunction
{
    /// <summary>a + b.</summary>
    Add,

    /// <summary>a − b.</summary>
    Subtract,

    /// <summary>a · b.</summary>
    Multiply,

    /// <summary>a / b, as IEEE 754 has it: no guard against zero.</summary>
    Divide,
}

/// <summary>y = f(a, b), shapes broadcast from the last dimension as numpy does.</summary>
/// <param name="Function">f.</param>
public sealed record Binary(BinaryFunction Function) : Operator
{
    /// <inheritdoc/>
    public override string Name => Function.ToString();

    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs)
    {
        Shape a = inputs[0], b = inputs[1];
        int[] extents = new int[Math.Max(a.Rank, b.Rank)];
        for (int i = 1; i <= extents.Length; i++)
        {
            int x = i <= a.Rank ? a[-i] : 1, y = i <= b.Rank ? b[-i] : 1;
            Require(x == y || x == 1 || y == 1, "shapes do not broadcast", inputs);
            extents[^i] = Math.Max(x, y);
        }

        return new Shape(extents);
    }

    /// <inheritdoc/>
    public override long Flops(Node node) => node.Shape.Count;
}

/// <summary>Functions of one operand.</summary>
public enum UnaryFunction
{
    /// <summary>x/2 · (1 + erf(x/√2)).</summary>
    Gelu,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x².</summary>
    Square,

    /// <summary>x · sigmoid(x), also called SiLU.</summary>
    Swish,

    /// <summary>1 / (1 + exp(−x)).</summary>
    Sigmoid,

    /// <summary>tanh(x).</summary>
    Tanh,

    /// <summary>log(1 + exp(x)), and x itself above 20 as torch has it.</summary>
    Softplus,

    /// <summary>|x|.</summary>
    Abs,

    /// <summary>1/√x.</summary>
    ReciprocalSqrt,
}

/// <summary>y = f(x) element by element.</summary>
/// <param name="Function">f.</param>
public sealed record Unary(UnaryFunction Function) : Operator
{
    /// <inheritdoc/>
    public override string Name => Function.ToString();

    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => inputs[0];

    /// <inheritdoc/>
    public override long Flops(Node node) => node.Shape.Count * Function switch
    {
        UnaryFunction.Gelu or UnaryFunction.Swish or UnaryFunction.Sigmoid or UnaryFunction.Tanh or UnaryFunction.Softplus => 20,
        _ => 1,
    };
}

/// <summary>y = scale · x + offset with fixed numbers.</summary>
/// <param name="Scale">Factor.</param>
/// <param name="Offset">Summand.</param>
public sealed record Affine(float Scale, float Offset) : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => inputs[0];

    /// <inheritdoc/>
    public override long Flops(Node node) => 2 * node.Shape.Count;
}

/// <summary>y = exp(x − max) / Σ exp(x − max) over the last dimension.</summary>
public sealed record Softmax : Operator
{
    /// <inheritdoc/>
    public override Shape InferShape(IReadOnlyList<Shape> inputs) => inputs[0];

    /// <inheritdoc/>
    public override long Flops(Node node) => 24 * node.Shape.Count;
}
