namespace KernelAD.Emulator;

/// <summary>Recorded work in the order it is done: of all that its dependencies allow, always what was recorded last.</summary>
internal sealed class EmulatedGraphExecutable
{
    /// <summary>Orders a graph's nodes.</summary>
    public EmulatedGraphExecutable(EmulatedGraph graph)
    {
        int[] awaited = [.. graph.Nodes.Select(node => node.Dependencies.Count)];
        ILookup<int, int> dependents = graph.Nodes.SelectMany((node, later) => node.Dependencies.Select(earlier => (earlier, later)))
            .ToLookup(edge => edge.earlier, edge => edge.later);
        PriorityQueue<int, int> ready = new();
        Release(Enumerable.Range(0, awaited.Length).Where(node => awaited[node] == 0));
        List<StreamWork> order = [];
        while (ready.TryDequeue(out int node, out _))
        {
            order.Add(graph.Nodes[node].Work);
            Release(dependents[node].Where(later => --awaited[later] == 0));
        }

        Work = order;

        void Release(IEnumerable<int> nodes)
        {
            foreach (int node in nodes)
            {
                ready.Enqueue(node, -node);
            }
        }
    }

    /// <summary>The work in its order.</summary>
    public IReadOnlyList<StreamWork> Work { get; }

    /// <summary>Where the latest launch ends, for which the next one has to wait; null before the first.</summary>
    public Completion? LatestLaunch { get; set; }
}
