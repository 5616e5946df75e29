using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Moves an activation or a residual addition that follows a Linear or a convolution into its epilogue, where the result is still in registers:
/// gelu(Linear(x)), Linear(x) + r and relu(conv(x) + r) become one node each. Values that somebody asked for, or that have a second user, stay as they are.
/// </summary>
internal static class FuseEpilogue
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node => node.Operator switch
        {
            Unary op when ActivationOf(op.Function) is Activation activation => WithActivation(rewriter, node, activation),
            Binary { Function: BinaryFunction.Add } => WithResidual(rewriter, node, 1, 0) ?? WithResidual(rewriter, node, 0, 1),
            _ => null,
        });
    }

    private static Activation? ActivationOf(UnaryFunction function) => function switch
    {
        UnaryFunction.Gelu => Activation.Gelu,
        UnaryFunction.Relu => Activation.Relu,
        UnaryFunction.Swish => Activation.Swish,
        UnaryFunction.Sigmoid => Activation.Sigmoid,
        UnaryFunction.Tanh => Activation.Tanh,
        UnaryFunction.Softplus => Activation.Softplus,
        _ => null,
    };

    private static Node? WithActivation(GraphRewriter rewriter, Node node, Activation activation)
    {
        Node layer = rewriter[node.Inputs[0]];
        Operator? fused = layer.Operator switch
        {
            Linear { Activation: Activation.None, HasResidual: false } op => op with { Activation = activation },
            Convolution { Activation: Activation.None } op => op with { Activation = activation, ActivateSum = op.HasResidual },
            TransposedConvolution { Activation: Activation.None } op => op with { Activation = activation },
            _ => null,
        };
        return fused is not null && rewriter.HasSingleUse(node.Inputs[0]) ? rewriter.Add(fused, node.Sliced, layer.Inputs) : null;
    }

    private static Node? WithResidual(GraphRewriter rewriter, Node node, int layerOperand, int residualOperand)
    {
        Node layer = rewriter[node.Inputs[layerOperand]], residual = rewriter[node.Inputs[residualOperand]];
        Operator? fused = layer.Operator switch
        {
            Linear { HasResidual: false } op => op with { HasResidual = true },
            Convolution { HasResidual: false } op => op with { HasResidual = true },
            _ => null,
        };
        return fused is not null && rewriter.HasSingleUse(node.Inputs[layerOperand])
            && layer.Shape == node.Shape && residual.Shape == node.Shape && residual.Sliced == node.Sliced && layer.Sliced == node.Sliced
            ? rewriter.Add(fused, node.Sliced, [.. layer.Inputs, residual])
            : null;
    }
}
