namespace KernelAD.Graph;

/// <summary>
/// A model's computation: nodes in an order in which inputs precede users, named outputs, and taps (intermediates that can be asked for by name).
/// Passes turn one graph into another; a graph itself never changes.
/// </summary>
public sealed class ComputeGraph
{
    internal ComputeGraph(IReadOnlyList<Node> nodes, IReadOnlyDictionary<string, Node> outputs, IReadOnlyDictionary<string, Node> taps)
    {
        Nodes = nodes;
        Outputs = outputs;
        Taps = taps;
    }

    /// <summary>All nodes; the inputs of each precede it.</summary>
    public IReadOnlyList<Node> Nodes { get; }

    /// <summary>The results that every run delivers.</summary>
    public IReadOnlyDictionary<string, Node> Outputs { get; }

    /// <summary>The intermediates that have a name. They are computed only in a plan that was asked for them.</summary>
    public IReadOnlyDictionary<string, Node> Taps { get; }

    /// <summary>Outputs and taps together: the values that nothing may fuse away.</summary>
    public IEnumerable<KeyValuePair<string, Node>> Results => Outputs.Concat(Taps);

    /// <summary>Floating-point operations of one run, as written by the model (before passes save any).</summary>
    public long Flops => Nodes.Sum(n => n.Flops);

    /// <summary>The same graph with only some of its taps.</summary>
    /// <exception cref="TensorException">A name is not a tap of this model.</exception>
    public ComputeGraph WithTaps(IEnumerable<string> names)
    {
        Dictionary<string, Node> taps = new(StringComparer.Ordinal);
        foreach (string name in names)
        {
            taps[name] = Taps.TryGetValue(name, out Node? node)
                ? node
                : throw new TensorException($"no tap \"{name}\"; this model has {string.Join(", ", Taps.Keys)}");
        }

        return new ComputeGraph(Nodes, Outputs, taps);
    }
}
