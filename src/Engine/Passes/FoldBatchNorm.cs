using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Passes;

/// <summary>
/// Batch normalisation after a layer without epilogue becomes part of it: with s = w / √(var + ε), the weight of each output channel is multiplied by its s and
/// the bias becomes (bias − mean)·s + b. The new weight and bias depend on parameters only, so that <see cref="FoldConstants"/> leaves them to the loading of
/// the weights.
/// </summary>
internal static class FoldBatchNorm
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node => node.Operator is BatchNorm op && rewriter.HasSingleUse(node.Inputs[0]) ? Fold(rewriter, node, op) : null);
    }

    private static Node? Fold(GraphRewriter rewriter, Node node, BatchNorm norm)
    {
        Node layer = rewriter[node.Inputs[0]];
        (Operator? folded, int channelAxis) = layer.Operator switch
        {
            Linear { Activation: Activation.None, HasResidual: false } op => (op with { HasBias = true }, 0),
            Convolution { Activation: Activation.None, HasResidual: false } op => (op with { HasBias = true }, 0),
            TransposedConvolution { Activation: Activation.None } op => ((Operator)(op with { HasBias = true }), 1),
            _ => (null, 0),
        };
        if (folded is null)
        {
            return null;
        }

        Node Parameter(int operand) => rewriter[node.Inputs[operand]];
        Node weight = layer.Inputs[1], mean = Parameter(3);
        Node deviation = Add(new Unary(UnaryFunction.ReciprocalSqrt), Add(new Affine(1, norm.Epsilon), Parameter(4)));
        Node scale = Add(new Binary(BinaryFunction.Multiply), Parameter(1), deviation);
        int[] perChannel = [.. Enumerable.Range(0, weight.Shape.Rank).Select(axis => axis == channelAxis ? weight.Shape[axis] : 1)];
        Node scaled = Add(new Binary(BinaryFunction.Multiply), weight, Add(new Reshape(new Shape(perChannel)), scale));

        // −mean·s + b, or (bias − mean)·s + b.
        Node centre = layer.Inputs.Count > 2
            ? Add(new Binary(BinaryFunction.Subtract), layer.Inputs[2], mean)
            : Add(new Affine(-1, 0), mean);
        Node bias = Add(new Binary(BinaryFunction.Add), Add(new Binary(BinaryFunction.Multiply), centre, scale), Parameter(2));
        return rewriter.Add(folded, node.Sliced, layer.Inputs[0], scaled, bias);

        Node Add(Operator op, params Node[] inputs) => rewriter.Add(op, sliced: false, inputs);
    }
}
