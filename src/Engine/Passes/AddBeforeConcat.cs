using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// concat(a, b) + c becomes concat(a + c₁, b + c₂) with the parts of c: where a is a patch embedding, the sum then fits its epilogue, and it can write
/// where the
/// concatenation wants it. Worth it where the parts of c are views, that is where they lie in one piece.
/// </summary>
internal static class AddBeforeConcat
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node => node.Operator is Binary { Function: BinaryFunction.Add } ? Split(rewriter, node, 0, 1) ?? Split(rewriter, node, 1, 0) : null);
    }

    private static Node? Split(GraphRewriter rewriter, Node node, int concatOperand, int otherOperand)
    {
        Node concat = rewriter[node.Inputs[concatOperand]], addend = rewriter[node.Inputs[otherOperand]];
        if (!rewriter.HasSingleUse(node.Inputs[concatOperand]) || concat.Operator is not Concat op || addend.Shape != concat.Shape
            || node.Sliced || concat.Sliced || addend.Sliced
            || !concat.Inputs.Any(i => i.Operator is PatchEmbedding) || !concat.Shape.Extents[..op.Axis].ToArray().All(e => e == 1))
        {
            return null;
        }

        List<Node> parts = [];
        int start = 0;
        foreach (Node part in concat.Inputs)
        {
            int length = part.Shape[op.Axis];
            parts.Add(rewriter.Add(node.Operator, sliced: false, part, rewriter.Add(new Slice(op.Axis, start, length), sliced: false, addend)));
            start += length;
        }

        return rewriter.Add(op, sliced: false, parts);
    }
}
