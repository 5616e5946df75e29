using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Interpolation is linear: resize(a) + resize(b) = resize(a + b) up to rounding. Maps are summed while they are small and enlarged once.
/// </summary>
internal static class SumBeforeResize
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        return rewriter.Run(node =>
        {
            if (node.Operator is not Binary { Function: BinaryFunction.Add } || !node.Inputs.All(rewriter.HasSingleUse))
            {
                return null;
            }

            Node a = rewriter[node.Inputs[0]], b = rewriter[node.Inputs[1]];
            return a.Operator is Resize && a.Operator == b.Operator && a.Inputs[0].Shape == b.Inputs[0].Shape
                ? rewriter.Add(a.Operator, node.Sliced, rewriter.Add(node.Operator, node.Sliced, a.Inputs[0], b.Inputs[0]))
                : null;
        });
    }
}
