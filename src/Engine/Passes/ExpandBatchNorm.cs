using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Batch normalisation that no layer took in, because somebody asked for the layer's own result: x · s + (b − mean · s) with s = w / √(var + ε), all but the
/// first two operations left to <see cref="FoldConstants"/>.
/// </summary>
internal static class ExpandBatchNorm
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node => node.Operator is BatchNorm op ? Expand(rewriter, node, op) : null);
    }

    private static Node Expand(GraphRewriter rewriter, Node node, BatchNorm norm)
    {
        Node[] operands = [.. node.Inputs.Select(i => rewriter[i])];
        Node deviation = Constant(new Unary(UnaryFunction.ReciprocalSqrt), Constant(new Affine(1, norm.Epsilon), operands[4]));
        Node scale = Constant(new Binary(BinaryFunction.Multiply), operands[1], deviation);
        Node offset = Constant(new Binary(BinaryFunction.Subtract), operands[2], Constant(new Binary(BinaryFunction.Multiply), operands[3], scale));
        Node scaled = rewriter.Add(new Binary(BinaryFunction.Multiply), node.Sliced, operands[0], scale);
        return rewriter.Add(new Binary(BinaryFunction.Add), node.Sliced, scaled, offset);

        Node Constant(Operator op, params Node[] inputs) => rewriter.Add(op, sliced: false, inputs);
    }
}
