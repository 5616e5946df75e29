using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Moves an activation or a residual addition that follows a Linear into its epilogue, where the result is still in registers:
/// gelu(Linear(x)) and Linear(x) + r become one node each. Values that somebody asked for, or that have a second user, stay as they are.
/// </summary>
internal static class FuseLinearEpilogue
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node => node.Operator switch
        {
            Unary { Function: UnaryFunction.Gelu } => WithActivation(rewriter, node, Activation.Gelu),
            Unary { Function: UnaryFunction.Relu } => WithActivation(rewriter, node, Activation.Relu),
            Binary { Function: BinaryFunction.Add } => WithResidual(rewriter, node, 1, 0) ?? WithResidual(rewriter, node, 0, 1),
            _ => null,
        });
    }

    private static Node? WithActivation(GraphRewriter rewriter, Node node, Activation activation)
    {
        Node linear = rewriter[node.Inputs[0]];
        return rewriter.HasSingleUse(node.Inputs[0]) && linear.Operator is Linear { Activation: Activation.None, HasResidual: false } op
            ? rewriter.Add(op with { Activation = activation }, node.Sliced, linear.Inputs)
            : null;
    }

    private static Node? WithResidual(GraphRewriter rewriter, Node node, int linearOperand, int residualOperand)
    {
        Node linear = rewriter[node.Inputs[linearOperand]], residual = rewriter[node.Inputs[residualOperand]];
        return rewriter.HasSingleUse(node.Inputs[linearOperand])
            && linear.Operator is Linear { HasResidual: false } op
            && linear.Shape == node.Shape && residual.Shape == node.Shape && residual.Sliced == node.Sliced && linear.Sliced == node.Sliced
            ? rewriter.Add(op with { HasResidual = true }, node.Sliced, [.. linear.Inputs, residual])
            : null;
    }
}
