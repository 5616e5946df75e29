using System.Security.Cryptography;
using System.Text;
using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Leaves what depends on parameters alone to the loading of the weights: batch norms folded into weights, rows of a stacked projection, a decoder's attention
/// among its learned queries. Each becomes a <see cref="Folded"/> parameter. Views (reshapes, slices, repetitions) of a parameter cost nothing where
/// activations are read and stay; as a layer's weight they are folded too, since layers want theirs packed.
/// </summary>
internal static class FoldConstants
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        GraphRewriter rewriter = new(graph);
        HashSet<Node> constants = [];
        Dictionary<(Node, bool), Node> folded = [];
        return rewriter.Run(node =>
        {
            if (IsFoldable(node) && node.Inputs.All(constants.Contains))
            {
                constants.Add(node);

                // A layer of a recipe has no user outside that would fold it, but wants its own weights packed.
                return HasDerivedWeight(node) ? Copy(node, _ => false) : null;
            }

            return node.Inputs.Any(constants.Contains) ? Copy(node, constants.Contains) : null;
        });

        Node Copy(Node node, Func<Node, bool> isFolded) => rewriter.Add(
            node.Operator,
            node.Sliced,
            [.. node.Inputs.Select((input, i) => isFolded(input) || (IsWeight(node, i) && constants.Contains(input)) ? Fold(input, IsWeight(node, i)) : rewriter[input])]);

        Node Fold(Node node, bool asWeight)
        {
            if (node.Operator is Parameter or Constant)
            {
                return rewriter[node];
            }

            if (!folded.TryGetValue((node, asWeight), out Node? result))
            {
                result = !asWeight && node.Operator is Reshape or Slice or Broadcast
                    ? rewriter.Add(node.Operator, sliced: false, Fold(node.Inputs[0], asWeight: false))
                    : rewriter.Add(Folded(node), sliced: false);
                folded.Add((node, asWeight), result);
            }

            return result;
        }
    }

    /// <summary>Operators whose attributes <see cref="Text"/> writes out in full, so that equal texts mean equal values.</summary>
    private static bool IsFoldable(Node node) => !node.Sliced && node.Operator
        is Parameter or Constant or Binary or Unary or Affine or Reshape or Slice or Broadcast or Permute or Concat or Linear or LayerNorm or Attention or Softmax;

    private static bool HasDerivedWeight(Node layer) => layer.Inputs.Where((input, i) => IsWeight(layer, i) && input.Operator is not Parameter).Any();

    private static bool IsWeight(Node layer, int operand) => operand > 0 && layer.Operator switch
    {
        Linear { HasResidual: true } or Convolution { HasResidual: true } => operand < layer.Inputs.Count - 1,
        Linear or Convolution or TransposedConvolution or PatchEmbedding or LayerNorm or BatchNorm => true,
        _ => false,
    };

    private static Folded Folded(Node value)
    {
        HashSet<Node> needed = [];
        Collect(value);
        Node[] nodes = [.. needed.OrderBy(n => n.Id)];
        string text = string.Join('\n', nodes.Select(n => Text(n, nodes)));
        string source = nodes.Select(n => n.Operator).OfType<Parameter>().First().Key;
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));
        return new Folded(
            $"{source} folded {hash}",
            source,
            new ComputeGraph(nodes, new Dictionary<string, Node> { [Graph.Folded.Output] = value }, new Dictionary<string, Node>()),
            value.Shape);

        void Collect(Node node)
        {
            if (needed.Add(node))
            {
                foreach (Node input in node.Inputs)
                {
                    Collect(input);
                }
            }
        }
    }

    private static string Text(Node node, Node[] nodes)
    {
        string op = node.Operator switch
        {
            Parameter parameter => $"Parameter {parameter.Key}",
            Permute permute => $"Permute {string.Join(' ', permute.Axes)}",
            _ => FormattableString.Invariant($"{node.Operator}"),
        };
        return $"{op} ({string.Join(' ', node.Inputs.Select(i => Array.IndexOf(nodes, i)))})";
    }
}
