namespace KernelAD.Emulator;

/// <summary>A capture that has begun: the graph that it has recorded, and the streams that take part.</summary>
/// <param name="origin">The stream that it began in, and has to end in.</param>
internal sealed class CaptureSequence(EmulatedStream origin)
{
    private readonly List<GraphNode> _nodes = [];
    private readonly HashSet<EmulatedStream> _streams = [origin];

    /// <summary>The stream that it began in.</summary>
    public EmulatedStream Origin { get; } = origin;

    /// <summary>The thread that it began on.</summary>
    public int Thread { get; } = Environment.CurrentManagedThreadId;

    /// <summary>The recorded work, each after what it has to wait for.</summary>
    public IReadOnlyList<GraphNode> Nodes => _nodes;

    /// <summary>Whether an error has spoilt it, so that it can only be ended.</summary>
    public bool IsInvalidated { get; private set; }

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether work in another stream is not waited for, directly or not, by what the origin would do next.</summary>
    public bool HasUnjoinedWork
    {
        get
        {
            bool[] isJoined = new bool[_nodes.Count];
            foreach (int node in Origin.Frontier)
            {
                isJoined[node] = true;
            }

            for (int node = _nodes.Count - 1; node >= 0; node--)
            {
                foreach (int earlier in isJoined[node] ? _nodes[node].Dependencies : [])
                {
                    isJoined[earlier] = true;
                }
            }

            return _streams.Any(stream => stream.Frontier.Any(node => !isJoined[node]));
        }
    }

    /// <summary>Lets a stream take part, after some nodes.</summary>
    public void Join(EmulatedStream stream, IReadOnlyCollection<int> nodes)
    {
        _streams.Add(stream);
        stream.Join(this, nodes);
    }

    /// <summary>Records work that is given to a stream.</summary>
    public void Add(EmulatedStream stream, StreamWork work)
    {
        _nodes.Add(new GraphNode(work, stream.Frontier));
        stream.Advance(_nodes.Count - 1);
    }

    /// <summary>Marks it as spoilt.</summary>
    public void Invalidate() => IsInvalidated = true;

    /// <summary>Sets all streams free.</summary>
    public void End()
    {
        HasEnded = true;
        foreach (EmulatedStream stream in _streams)
        {
            stream.Leave();
        }
    }
}
