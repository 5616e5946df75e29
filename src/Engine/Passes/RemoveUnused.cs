using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>Drops every node that no output and no tap depends on.</summary>
internal static class RemoveUnused
{
    public static ComputeGraph Apply(ComputeGraph graph)
    {
        HashSet<Node> used = [.. graph.Results.Select(r => r.Value)];
        foreach (Node node in graph.Nodes.Reverse().Where(used.Contains))
        {
            used.UnionWith(node.Inputs);
        }

        // The network's input stays even where nothing reads it: it is part of the interface.
        return new ComputeGraph([.. graph.Nodes.Where(n => used.Contains(n) || n.Operator is Input)], graph.Outputs, graph.Taps);
    }
}
