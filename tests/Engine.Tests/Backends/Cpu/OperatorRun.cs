using KernelAD.Backends;
using KernelAD.Backends.Cpu;
using KernelAD.Backends.Cuda;
using KernelAD.Emulator;
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
        CpuPlan plan = CpuCompiler.Compile(graph, weights, long.MaxValue, threads: 2, g => g);
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

    /// <summary>Computes a value on the emulated GPU, with everything that it can check; the names of the steps too.</summary>
    public (float[] Values, string[] Steps) Run(Node result, Precision precision, string architecture = "sm_80")
    {
        ComputeGraph graph = new(_nodes, new Dictionary<string, Node> { ["result"] = result }, new Dictionary<string, Node>());
        EmulatedDriver driver = new(new EmulatorOptions { Architecture = architecture, Multiprocessors = 16, Checks = EmulatorChecks.All });
        using CudaBackend backend = new(CudaWeights.Of(ModelFile.Open(_file.Path), driver, 0, KernelLibrary.Embedded), precision, maxMemory: null);
        IExecutable plan = backend.Compile(graph);
        using IRunContext context = plan.CreateContext();
        foreach (float[] values in _inputs.Values)
        {
            values.CopyTo(context.Input);
        }

        context.Run([], CancellationToken.None);
        return (context.Result("result").ToArray(), [.. plan.Steps.Select(s => s.Operator)]);
    }

    public void Dispose() => _file.Dispose();
}
