using KernelAD.Backends;
using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>Runs a graph of one operator, or a few, through compiler and plan.</summary>
internal sealed class OperatorRun : IDisposable
{
    private readonly RandomModel _file = RandomModel.InTra();
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<Node, float[]> _inputs = [];

    /// <summary>The network's input.</summary>
    public Node Input(float[] values, Shape shape)
    {
        Node node = Add(new Input("input", shape));
        _inputs.Add(node, values);
        return node;
    }

    /// <summary>An operand that is the same in every run.</summary>
    public Node Parameter(float[] values, Shape shape) => Add(new Table($"operand {_nodes.Count}", values, shape));

    /// <summary>Applies an operator.</summary>
    public Node Add(Operator op, params Node[] inputs)
    {
        Node node = new(_nodes.Count, op, inputs, op.InferShape([.. inputs.Select(i => i.Shape)]), sliced: false);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Computes a value, without any pass; the names of the steps too.</summary>
    public (float[] Values, string[] Steps) Run(Node result)
    {
        ComputeGraph graph = new(_nodes, new Dictionary<string, Node> { ["result"] = result }, new Dictionary<string, Node>());
        CpuWeights weights = CpuWeights.Of(ModelFile.Open(_file.Path));
        CpuPlan plan = CpuCompiler.Compile(graph, weights, long.MaxValue, g => g);
        using IRunContext context = CpuBackend.CreateContext(plan, threads: 2);
        foreach (float[] values in _inputs.Values)
        {
            values.CopyTo(context.Input);
        }

        context.Run([], CancellationToken.None);
        float[] y = context.Result("result").ToArray();
        weights.Dispose();
        return (y, [.. plan.Steps.Select(s => s.Operator)]);
    }

    public void Dispose() => _file.Dispose();
}
