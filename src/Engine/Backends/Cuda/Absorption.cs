using KernelAD.Graph;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// Which nodes need no launch of their own, because a later one does their work along with its own: arithmetic by arithmetic (y = scale · f(a ∘ b) + offset is
/// one kernel), the sum of two maps by the distance that gives the second, a factor by the interpolation before it, a sum by the patch embedding before
/// it, a squeeze-and-excite by its product. Only values that have one reader and that nobody asked for.
/// </summary>
internal sealed class Absorption
{
    private readonly HashSet<Node> _absorbed = [];
    private readonly Dictionary<Node, int> _uses = [];

    public Absorption(ComputeGraph graph)
    {
        foreach (Node input in graph.Nodes.SelectMany(n => n.Inputs).Concat(graph.Results.SelectMany(r => (Node[])[r.Value, r.Value])))
        {
            _uses[input] = _uses.GetValueOrDefault(input) + 1;
        }

        foreach (Node node in graph.Nodes)
        {
            switch (node.Operator)
            {
                case Binary { Function: BinaryFunction.Add }:
                    AbsorbProducer(node);
                    break;
                case Binary { Function: BinaryFunction.Multiply } when SqueezeAndExcite.Behind(node) is { Between: var between } && between.All(n => IsSole(node, n)):
                    _absorbed.UnionWith(between);
                    break;
                case Unary when IsSole(node, node.Inputs[0]) && node.Inputs[0].Operator is Binary && !TakesProducer(node.Inputs[0]):
                case Affine when IsSole(node, node.Inputs[0]) && node.Inputs[0].Operator is Binary or Unary && !TakesProducer(node.Inputs[0]):
                case Affine { Offset: 0 } when IsSole(node, node.Inputs[0]) && node.Inputs[0].Operator is Resize:
                    _absorbed.Add(node.Inputs[0]);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>Whether a later node does this node's work.</summary>
    public bool Absorbs(Node node) => _absorbed.Contains(node);

    /// <summary>What a chain of reshapes is a view of.</summary>
    public static Node BehindReshapes(Node node) => node.Operator is Reshape ? BehindReshapes(node.Inputs[0]) : node;

    private bool TakesProducer(Node sum) => sum.Inputs.Any(_absorbed.Contains);

    private bool IsSole(Node user, Node value) => _uses[value] == 1 && user.Sliced == value.Sliced;

    private void AbsorbProducer(Node sum)
    {
        foreach (Node operand in sum.Inputs.Reverse())
        {
            if (operand.Shape == sum.Shape && sum.Inputs.All(i => i.Shape == sum.Shape) && !sum.Sliced && IsProducer(sum, operand))
            {
                for (Node view = operand; ; view = view.Inputs[0])
                {
                    _absorbed.Add(view);
                    if (view.Operator is not Reshape)
                    {
                        return;
                    }
                }
            }
        }
    }

    private bool IsProducer(Node user, Node value) =>
        IsSole(user, value) && (value.Operator is CosineDistance or EuclideanDistance or PatchEmbedding || (value.Operator is Reshape && IsProducer(value, value.Inputs[0])));
}
