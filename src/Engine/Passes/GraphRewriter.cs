using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>
/// Copies a graph node by node, letting a pass replace some of them. Keeps track of what became of each old node, so that outputs, taps and users
/// follow.
/// </summary>
internal sealed class GraphRewriter
{
    private readonly ComputeGraph _old;
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<Node, Node> _replacement = [];
    private readonly Dictionary<Node, int> _uses = [];

    public GraphRewriter(ComputeGraph graph)
    {
        _old = graph;
        foreach (Node input in graph.Nodes.SelectMany(n => n.Inputs))
        {
            _uses[input] = _uses.GetValueOrDefault(input) + 1;
        }

        // A result is a use of its own: nothing may be fused across it.
        foreach ((_, Node result) in graph.Results)
        {
            _uses[result] = _uses.GetValueOrDefault(result) + 2;
        }
    }

    /// <summary>Whether exactly one node reads this old node and nobody asked for it.</summary>
    public bool HasSingleUse(Node old) => _uses.GetValueOrDefault(old) == 1;

    /// <summary>What an old node became.</summary>
    public Node this[Node old] => _replacement[old];

    /// <summary>Adds a node to the new graph.</summary>
    public Node Add(Operator op, bool sliced, params IReadOnlyList<Node> inputs)
    {
        Node node = new(_nodes.Count, op, inputs, op.InferShape([.. inputs.Select(i => i.Shape)]), sliced);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Rewrites all nodes in order.</summary>
    /// <param name="replace">Returns the new node for an old one, or null to copy it.</param>
    public ComputeGraph Run(Func<Node, Node?> replace)
    {
        foreach (Node old in _old.Nodes)
        {
            _replacement[old] = replace(old) ?? Add(old.Operator, old.Sliced, [.. old.Inputs.Select(i => _replacement[i])]);
        }

        return RemoveUnused.Apply(new ComputeGraph(_nodes, Renamed(_old.Outputs), Renamed(_old.Taps)));
    }

    private Dictionary<string, Node> Renamed(IReadOnlyDictionary<string, Node> named) =>
        named.ToDictionary(p => p.Key, p => _replacement[p.Value], StringComparer.Ordinal);
}
