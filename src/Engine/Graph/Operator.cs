using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>
/// What a node computes. Operators are few, general and pure; each record's summary is the definition (formula, operand order, shapes) that every
/// backend and the ONNX exporter follow.
/// </summary>
public abstract record Operator
{
    /// <summary>The operator's name in listings.</summary>
    public virtual string Name => GetType().Name;

    /// <summary>Shape of the result.</summary>
    /// <exception cref="ArgumentException">The operands' shapes do not fit.</exception>
    public abstract Shape InferShape(IReadOnlyList<Shape> inputs);

    /// <summary>Floating-point operations of a node with this operator.</summary>
    public virtual long Flops(Node node) => 0;

    /// <summary>Throws when a condition on shapes does not hold.</summary>
    private protected void Require(bool condition, string what, IReadOnlyList<Shape> inputs)
    {
        if (!condition)
        {
            throw new ArgumentException($"{Name}: {what}, found {string.Join(", ", inputs)}");
        }
    }
}
