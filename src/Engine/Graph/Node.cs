using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>One value of a graph in static single assignment form: an operator applied to earlier values. Pure and immutable.</summary>
public sealed class Node
{
    internal Node(int id, Operator op, IReadOnlyList<Node> inputs, Shape shape, bool sliced)
    {
        Id = id;
        Operator = op;
        Inputs = inputs;
        Shape = shape;
        Sliced = sliced;
    }

    /// <summary>Position in the graph's order; inputs have smaller ones.</summary>
    public int Id { get; }

    /// <summary>What is computed.</summary>
    public Operator Operator { get; }

    /// <summary>The operands, in the order that the operator documents.</summary>
    public IReadOnlyList<Node> Inputs { get; }

    /// <summary>Logical shape: NCHW for pictures, NLD for tokens, batch included.</summary>
    public Shape Shape { get; }

    /// <summary>
    /// Whether this value belongs to the graph's sliced region, in which the first dimension is a list of independent items (InTra's windows) that
    /// a plan may process a few at a time to bound its memory.
    /// </summary>
    public bool Sliced { get; }

    /// <summary>Floating-point operations that this node stands for (a multiply-add counts 2); 0 for data movement.</summary>
    public long Flops => Operator.Flops(this);

    /// <inheritdoc/>
    public override string ToString() => $"%{Id} = {Operator.Name}({string.Join(", ", Inputs.Select(i => $"%{i.Id}"))}) {Shape}";
}
