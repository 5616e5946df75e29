using KernelAD.Graph;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends;

/// <summary>
/// What compiling a graph is on every backend: walking the schedule, knowing who reads a value, keeping track of lifetimes, and finding the slices that
/// fit into
/// memory. A backend derives from it and emits its own steps, node by node. Steps need addresses and addresses need lifetimes, so emission is deferred: this
/// pass records who touches which buffer, the steps' addresses are known once the arena is laid out.
/// </summary>
internal abstract class GraphLowering
{
    private readonly ILookup<Node, Node> _users;
    private readonly HashSet<Node> _results;
    private readonly Dictionary<Node, string> _resultNames = [];
    private readonly List<PlannedBuffer> _buffers = [];

    protected GraphLowering(ComputeGraph graph, Schedule schedule, int sliceSize)
    {
        Graph = graph;
        Schedule = schedule;
        SliceSize = sliceSize;
        _users = graph.Nodes.SelectMany(n => n.Inputs.Distinct().Select(i => (Input: i, User: n))).ToLookup(p => p.Input, p => p.User);
        _results = [.. graph.Results.Select(r => r.Value)];
        foreach ((string name, Node node) in graph.Results)
        {
            _resultNames[node] = name;
        }
    }

    /// <summary>The graph, after all passes.</summary>
    protected ComputeGraph Graph { get; }

    /// <summary>Its order of execution.</summary>
    protected Schedule Schedule { get; }

    /// <summary>Items of a slice of the sliced region.</summary>
    protected int SliceSize { get; }

    /// <summary>How often the sliced region runs; 0 if the graph has none.</summary>
    protected int Slices => Schedule.Region.Count == 0 ? 0 : Schedule.Items / SliceSize;

    /// <summary>The steps of the sliced region: its first, and the first after it.</summary>
    protected (int First, int End) Region { get; private set; }

    /// <summary>Whether the node being emitted belongs to the sliced region.</summary>
    protected bool InRegion { get; private set; }

    /// <summary>Number of steps emitted so far.</summary>
    protected abstract int StepCount { get; }

    /// <summary>
    /// Lowers a graph with the largest slices whose activations fit into memory beside the weights.
    /// </summary>
    /// <param name="graph">The graph, after all passes.</param>
    /// <param name="maxSliceRows">Most rows that a slice is worth having.</param>
    /// <param name="maxMemory">Most bytes of weights and activations together.</param>
    /// <param name="isLimit">Whether more is an error; otherwise the finest slicing is taken, and it is up to the allocation whether it succeeds.</param>
    /// <param name="weightBytes">Bytes of the weights taken up so far: they are known once a lowering has asked for all of them.</param>
    /// <param name="create">Makes the lowering for slices of a size.</param>
    /// <returns>The lowering, done, and the arena's size in bytes.</returns>
    /// <exception cref="ConfigurationException">Not even the finest slicing fits.</exception>
    protected static (T Lowering, long ArenaBytes) Fit<T>(
        ComputeGraph graph, int maxSliceRows, long maxMemory, bool isLimit, Func<long> weightBytes, Func<Schedule, int, T> create)
        where T : GraphLowering
    {
        Schedule schedule = Schedule.Of(graph);
        long smallest = long.MaxValue;
        int[] sizes = [.. schedule.SliceSizes(maxSliceRows)];
        foreach (int size in sizes)
        {
            T lowering = create(schedule, size);
            long arena = lowering.Lower();
            long total = weightBytes() + arena;
            smallest = Math.Min(smallest, total);
            if (total <= maxMemory || (!isLimit && size == sizes[^1]))
            {
                return (lowering, arena);
            }
        }

        throw new ConfigurationException(
            $"the memory limit is {maxMemory / 1e6:F1} MB, but weights and activations need at least {smallest / 1e6:F1} MB; raise the limit");
    }

    /// <summary>Emits the steps of one node.</summary>
    protected abstract void Emit(Node node);

    /// <summary>Called when the sliced region ends: what was prepared for its steps holds one slice only.</summary>
    protected abstract void LeaveRegion();

    /// <summary>Notes that the step being emitted, or another, needs a node's value.</summary>
    protected abstract void TouchValue(Node node, int step);

    /// <summary>A new block of activation memory.</summary>
    protected PlannedBuffer NewBuffer(long bytes)
    {
        PlannedBuffer buffer = new(bytes);
        _buffers.Add(buffer);
        return buffer;
    }

    /// <summary>Who reads a value.</summary>
    protected IEnumerable<Node> Users(Node node) => _users[node];

    /// <summary>Whether somebody asked for a value by name.</summary>
    protected bool IsResult(Node node) => _results.Contains(node);

    /// <summary>A node's name in listings.</summary>
    protected string Name(Node node) => _resultNames.TryGetValue(node, out string? name) ? name : $"%{node.Id}";

    /// <summary>A layer's name in listings: its weight's key without the suffix.</summary>
    protected static string ParameterName(Node weight)
    {
        string key = weight.Operator is Folded folded ? folded.Source : ((Parameter)weight.Operator).Key;
        return key.EndsWith(".weight", StringComparison.Ordinal) ? key[..^".weight".Length] : key;
    }

    /// <summary>
    /// Whether somebody outside the sliced region reads this value of it, itself or through a view: it is then kept whole, and each slice writes its
    /// part.
    /// </summary>
    protected bool Crosses(Node node) =>
        node.Sliced && (IsResult(node) || Users(node).Any(u => !u.Sliced || (u.Operator is Reshape or Slice or Broadcast && Crosses(u))));

    /// <summary>
    /// Whether nobody needs a layer's value, or a view of it, after a node has read it, so that the node may write over it. Not where the node reads it twice:
    /// as its residual it could be written over element by element, but not while it is multiplied.
    /// </summary>
    protected bool DiesAt(Node value, Node last) =>
        value.Operator is Linear && value.Sliced == last.Sliced
        && last.Inputs.Count(i => i == value) == 1
        && !IsResult(value) && !Crosses(value) && !IsResult(last) && !Crosses(last)
        && Users(value).All(u => u.Id <= last.Id && u.Operator is not (Reshape or Slice or Broadcast));

    /// <summary>The channels-last pictures of which a node is the mean over the pixels; null if it is something else.</summary>
    internal static Node? MeanOfPixels(Node node) =>
        node.Operator is Mean { Axis: 1 } && node.Inputs[0] is { Operator: Reshape, Shape.Rank: 3 } pixels && pixels.Inputs[0].Shape is { Rank: 4 } picture
        && pixels.Shape[0] == picture[0] && pixels.Shape[2] == picture[3]
            ? pixels.Inputs[0]
            : null;

    /// <summary>
    /// Whether the range that a slice takes lies in one piece, so that it can be a view. A range of a slice's only item is no range of all items, which is what
    /// a reader outside the region sees.
    /// </summary>
    protected bool IsContiguous(Node node, Slice op) =>
        (Crosses(node) ? node.Inputs[0].Shape : Local(node.Inputs[0])).Extents[..op.Axis].ToArray().All(e => e == 1);

    /// <summary>A node's shape as the step at hand sees it: within the region, one slice of it.</summary>
    protected Shape Local(Node node) => node.Sliced && InRegion ? node.Shape.With(0, SliceSize) : node.Shape;

    /// <summary>What a step is, for listings.</summary>
    /// <param name="node">The node that it computes, or a part of it.</param>
    /// <param name="name">Its name.</param>
    /// <param name="kind">What runs.</param>
    /// <param name="extraBytes">Bytes of operands that are no activations.</param>
    /// <param name="flops">Its work; null: all of the node's.</param>
    protected PlanStep Describe(Node node, string name, string kind, long extraBytes, long? flops)
    {
        Shape local = Local(node);
        long bytes = extraBytes + (4 * (local.Count + node.Inputs.Where(i => i.Operator is not Parameter).Sum(i => Local(i).Count)));
        long work = flops ?? (node.Sliced ? node.Flops / Slices : node.Flops);
        return new PlanStep(name, kind, local, InRegion ? Slices : 1, work, bytes);
    }

    /// <summary>Elements from one row to the next of a dense value.</summary>
    protected static long RowLength(Shape shape) => shape.Rank == 0 ? 1 : shape[-1];

    /// <summary>Elements from one index of a dimension to the next.</summary>
    protected static long Inner(Shape shape, int axis)
    {
        long inner = 1;
        foreach (int extent in shape.Extents[(axis + 1)..])
        {
            inner *= extent;
        }

        return inner;
    }

    /// <summary>The strides of a dense value.</summary>
    protected static long[] Strides(Shape shape) => [.. Enumerable.Range(0, shape.Rank).Select(i => Inner(shape, i))];

    /// <summary>Strides with which a shape is read as a larger one: 0 along the dimensions that it lacks or has once.</summary>
    protected static long[] BroadcastStrides(Shape source, Shape target)
    {
        long[] strides = Strides(source);
        int missing = target.Rank - source.Rank;
        return [.. Enumerable.Range(0, target.Rank).Select(i => i < missing || (source[i - missing] == 1 && target[i] != 1) ? 0 : strides[i - missing])];
    }

    private long Lower()
    {
        Emit(Schedule.Before);
        InRegion = true;
        int first = StepCount;
        Emit(Schedule.Region);
        Region = (first, StepCount);
        InRegion = false;
        LeaveRegion();
        Emit(Schedule.After);
        foreach (Node result in _results)
        {
            TouchValue(result, StepCount);
        }

        // What crosses the region's border has to survive all of its repetitions.
        foreach (PlannedBuffer buffer in _buffers)
        {
            bool touchedInside = buffer.First < Region.End && buffer.Last >= Region.First;
            if (touchedInside && buffer.First < Region.First)
            {
                buffer.Touch(Math.Max(buffer.Last, Region.End - 1));
            }

            if (touchedInside && buffer.Last >= Region.End)
            {
                buffer.Touch(Math.Min(buffer.First, Region.First));
            }
        }

        return MemoryPlanner.Assign([.. _buffers.Where(b => b.Last >= b.First)]);
    }

    private void Emit(IReadOnlyList<Node> nodes)
    {
        foreach (Node node in nodes)
        {
            Emit(node);
        }
    }
}
