using KernelAD.Graph;
using KernelAD.Passes;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Turns a graph into a <see cref="CpuPlan"/>: decides which values are views of others and which are handed on in row tiles, and emits one or more steps per
/// node.
/// </summary>
internal sealed class CpuCompiler : GraphLowering
{
    // Slices of this many rows keep the activations between two layers in the caches, while each weight is still used often enough per read.
    // InTra at 256², 1 thread, share of the FMA peak by windows of 49 rows a slice: 4: 84 %, 8: 87 %, 16: 85 %, 64: 81 %.
    private const int MaxSliceRows = 512;

    // The product reads row-major rows where they are, some percent slower than row tiles when it reads them once for each of many panels. At 196x672 times 112
    // columns this saves 6 % of packing and product together, at 4352x512 times 2048 it costs 6 %.
    private const int MostUnpackedColumns = 512;

    private readonly CpuWeights _weights;
    private readonly int _threads;
    private readonly Dictionary<Node, Value> _values = [];
    private readonly Dictionary<Node, Value> _packed = [];

    // What the pixels of each row of a picture add up to, (N·H, C), if the picture's mean is asked for.
    private readonly Dictionary<Node, Value> _rowTotals = [];
    private readonly List<(Func<CpuStep> Create, PlanStep Info)> _pending = [];

    private CpuCompiler(ComputeGraph graph, CpuWeights weights, int threads, Schedule schedule, int sliceSize)
        : base(graph, schedule, sliceSize)
    {
        _weights = weights;
        _threads = threads;
    }

    protected override int StepCount => _pending.Count;

    /// <summary>Compiles a graph as the model wrote it.</summary>
    /// <param name="graph">The graph; its taps become results of the plan.</param>
    /// <param name="weights">The model's weights.</param>
    /// <param name="maxMemory">Upper bound of weights and arena together, in bytes; a sliced region is cut as finely as this asks for.</param>
    /// <param name="threads">Threads that will run the plan; it runs with any number.</param>
    /// <param name="passes">The passes to apply first; null: all of them.</param>
    /// <exception cref="ConfigurationException">Not even the finest slicing fits.</exception>
    public static CpuPlan Compile(ComputeGraph graph, CpuWeights weights, long maxMemory, int threads, Func<ComputeGraph, ComputeGraph>? passes = null)
    {
        ComputeGraph optimised = (passes ?? PassPipeline.Apply)(graph);
        weights.Define(optimised);
        (CpuCompiler compiler, long arena) = Fit(
            optimised,
            MaxSliceRows,
            maxMemory,
            isLimit: true,
            () => weights.Bytes,
            (schedule, size) => new CpuCompiler(optimised, weights, threads, schedule, size));
        CpuPlan plan = compiler.Finish(arena);
        weights.EndLoading();
        return plan;
    }

    /// <summary>Where a node's value is. Buffer null: at a fixed address.</summary>
    private sealed record Value(PlannedBuffer? Buffer, nint Address, long Offset, long RowStride, bool Tiled, long SliceStride)
    {
        /// <summary>A view that starts later.</summary>
        public Value At(long floats) => this with { Offset = Offset + floats };
    }

    private CpuPlan Finish(long arena)
    {
        CpuStep[] steps = [.. _pending.Select(p => p.Create())];
        if (steps.Any(s => s.Parts is < 0 or > WorkerTeam.MaxParts))
        {
            throw new ConfigurationException($"the plan has a step of more than {WorkerTeam.MaxParts} parts; run fewer pictures at a time");
        }

        Node? input = Graph.Nodes.SingleOrDefault(n => n.Operator is Input);
        return new CpuPlan(
            steps[..Region.First],
            steps[Region.First..Region.End],
            Slices,
            steps[Region.End..],
            [.. _pending.Select(p => p.Info)],
            arena,
            input is null ? null : (Ref(Get(input), sliced: false), input.Shape),
            Graph.Results.ToDictionary(r => r.Key, r => (Ref(Get(r.Value), sliced: false), r.Value.Shape), StringComparer.Ordinal));
    }

    protected override void LeaveRegion() => _packed.Clear();

    protected override void TouchValue(Node node, int step) => Touch(Get(node), step);

    protected override void Emit(Node node)
    {
        switch (node.Operator)
        {
            case Input:
                Touch(NewValue(node), -1);
                break;
            case Parameter or Constant:
                break; // placed when somebody reads it, since the reader decides the layout
            case Linear op:
                EmitLinear(node, op);
                break;
            case PatchEmbedding op:
                EmitPatchEmbedding(node, op);
                break;
            case LayerNorm op:
                EmitLayerNorm(node, op);
                break;
            case Attention op:
                EmitAttention(node, op);
                break;
            case Binary op:
                EmitBinary(node, op);
                break;
            case Unary op:
                EmitUnary(node, Operation(op.Function));
                break;
            case Affine op:
                EmitUnary(node, UnaryOperation.Affine, op.Scale, op.Offset);
                break;
            case Reshape:
                _values[node] = Dense(node.Inputs[0]) with { RowStride = RowLength(Local(node)) };
                break;
            case Slice op:
                EmitSlice(node, op);
                break;
            case Permute op:
                EmitCopy(node, node.Inputs[0], Local(node), [.. op.Axes.Select(a => Strides(Local(node.Inputs[0]))[a])], 0);
                break;
            case Broadcast op:
                EmitBroadcast(node, op);
                break;
            case Concat op:
                EmitConcat(node, op);
                break;
            case Gather op:
                EmitGather(node, op);
                break;
            case Mean op:
                EmitMean(node, op);
                break;
            case MaxPerImage:
                EmitMax(node);
                break;
            case SeparableFilter op:
                EmitFilter(node, op);
                break;
            case AveragePool op:
                EmitPool(node, op);
                break;
            case MaxPool op:
                EmitMaxPool(node, op);
                break;
            case Resize op:
                EmitResize(node, op);
                break;
            case Convolution op:
                EmitConvolution(node, op);
                break;
            case TransposedConvolution op:
                EmitTransposedConvolution(node, op);
                break;
            case BatchNorm op:
                EmitBatchNorm(node, op);
                break;
            case Softmax:
                EmitSoftmax(node);
                break;
            case Squash:
                EmitSquash(node);
                break;
            case MixtureLikelihood op:
                EmitMixture(node, op);
                break;
            case CosineDistance:
                EmitCosine(node);
                break;
            case EuclideanDistance:
                EmitEuclidean(node);
                break;
            case GradientMagnitudeSimilarity op:
                EmitSimilarity(node, op);
                break;
            case StructuralSimilarity op:
                EmitSimilarity(node, op);
                break;
            default:
                throw new NotSupportedException($"the CPU backend has no kernel for {node.Operator.Name}");
        }
    }

    // ---- operators -------------------------------------------------------------------------------------------------------------------------

    private void EmitLinear(Node node, Linear op)
    {
        if (IsExpansion(node))
        {
            return; // part of the depthwise convolution that reads it
        }

        Shape y = Local(node);
        int rows = checked((int)y.Rows), n = y[-1], k = node.Inputs[1].Shape[1];
        Node left = node.Inputs[0];
        Value? gate = IsGating(left) ? Dense(left.Inputs[1]) : null;
        Value x = gate is null ? LeftOperand(left) : Dense(left.Inputs[0]);
        Value? residual = op.HasResidual ? Dense(node.Inputs[^1]) : null;
        EmitGemm(node, ResultOver(node, residual), x, node.Inputs[1], op.HasBias ? node.Inputs[2] : null, residual, op.Activation, rows, n, k, gate);
    }

    private void EmitGemm(
        Node node, Value result, Value x, Node weight, Node? bias, Value? residual, Activation activation, int rows, int n, int k, Value? gate = null)
    {
        int images = gate is null ? 1 : node.Shape[0];
        PackedWeights packed = _weights.Packed(((Parameter)weight.Operator).Key, (bias?.Operator as Parameter)?.Key, n, k);
        bool sliced = InRegion;
        Step(
            node,
            ParameterName(weight),
            Kind(gate is null ? "Linear" : "Gated Linear", activation, residual is not null, activateSum: false),
            reads: [x, residual, gate],
            writes: result,
            extraBytes: 4L * n * k,
            () => new LinearStep(
                rows,
                packed,
                Ref(x, sliced),
                Ref(result, sliced),
                result.Tiled,
                activation,
                OptionalRef(residual, sliced),
                x.Tiled,
                OptionalRef(gate, sliced),
                images,
                _threads),
            flops: gate is null ? null : node.Flops + node.Inputs[0].Flops);
    }

    private void EmitConvolution(Node node, Convolution op)
    {
        Shape x = node.Inputs[0].Shape, w = node.Inputs[1].Shape, y = node.Shape;
        ConvolutionShape shape = new(x[1], x[2], x[3], y[1], y[2], y[3], w[2], w[3], op.Stride, op.Padding, op.Groups);
        string key = ((Parameter)node.Inputs[1].Operator).Key;
        string? biasKey = op.HasBias ? (node.Inputs[2].Operator as Parameter)?.Key : null;
        bool depthwise = IsDepthwise(node);
        Node? expansion = IsExpansion(node.Inputs[0]) ? node.Inputs[0] : null;
        Value source = Dense(expansion?.Inputs[0] ?? node.Inputs[0]);
        Value? residual = op.HasResidual ? Dense(node.Inputs[^1]) : null;
        Value result = ResultOver(node, residual);
        Func<CpuStep> create;
        Value? totals = null;
        if (depthwise)
        {
            DepthwiseWeights weights = _weights.Prepare("depthwise", key, biasKey, w.Count, w[0], (m, t, b) => new DepthwiseWeights(m, t, b, w[0]));
            DepthwiseRows rows = new(weights, shape, result.Tiled, op.Activation, op.ActivateSum);
            totals = RowTotals(node);
            if (expansion is not null)
            {
                EmitExpandedDepthwise(node, expansion, rows, shape, source, result, totals);
                return;
            }

            create = () => new DepthwiseStep(
                rows, shape, x[0], Ref(source, false), Ref(result, false), OptionalRef(residual, false), OptionalRef(totals, false));
        }
        else
        {
            ConvolutionPhase[] phases = _weights.Prepare(
                $"convolution {shape}", key, biasKey, w.Count, w[0], (m, t, b) => ConvolutionPhase.Of(m, t, b, shape));
            create = () => new ConvolutionStep(
                phases, x, y, Ref(source, false), Ref(result, false), result.Tiled, op.Activation, OptionalRef(residual, false), op.ActivateSum);
        }

        string name = $"{(depthwise ? "Depthwise" : "Convolution")} {w[2]}x{w[3]}{(op.Stride == 1 ? "" : $"/{op.Stride}")}";
        Step(
            node,
            ParameterName(node.Inputs[1]),
            Kind(name, op.Activation, op.HasResidual, op.ActivateSum),
            reads: [source, residual],
            writes: result,
            extraBytes: (4 * w.Count) + (totals is null ? 0 : 4 * TotalsCount(node)),
            create,
            flops: totals is null ? null : node.Flops + y.Count - TotalsCount(node));
    }

    /// <summary>Where a depthwise convolution puts its rows' totals if the mean over its pixels is asked for; null if it is not.</summary>
    private Value? RowTotals(Node node)
    {
        if (!Users(node).Where(u => u.Operator is Reshape).SelectMany(Users).Any(u => MeanOfPixels(u) == node))
            return null;

        Value totals = new(NewBuffer(TotalsCount(node) * sizeof(float)), 0, 0, node.Shape[3], Tiled: false, SliceStride: 0);
        Touch(totals, _pending.Count);
        _rowTotals.Add(node, totals);
        return totals;
    }

    private static long TotalsCount(Node picture) => picture.Shape.Count / picture.Shape[2];

    private void EmitExpandedDepthwise(
        Node node, Node expansion, DepthwiseRows rows, ConvolutionShape shape, Value source, Value result, Value? totals)
    {
        Linear op = (Linear)expansion.Operator;
        Node weight = expansion.Inputs[1];
        long sums = totals is null ? 0 : TotalsCount(node);
        PackedWeights packed = _weights.Packed(
            ((Parameter)weight.Operator).Key, op.HasBias ? ((Parameter)expansion.Inputs[2].Operator).Key : null, weight.Shape[0], weight.Shape[1]);
        string depthwise = Kind($"Depthwise {shape.KernelHeight}x{shape.KernelWidth}{(shape.Stride == 1 ? "" : $"/{shape.Stride}")}", ((Convolution)node.Operator).Activation, false, false);
        Step(
            node,
            ParameterName(weight),
            $"{Kind("Linear", op.Activation, false, false)}, {depthwise}",
            reads: [source],
            writes: result,
            extraBytes: 4 * (weight.Shape.Count + node.Inputs[1].Shape.Count + expansion.Inputs[0].Shape.Count - expansion.Shape.Count + sums),
            () => new ExpandedDepthwiseStep(
                packed, op.Activation, rows, shape, node.Shape[0], Ref(source, false), Ref(result, false), OptionalRef(totals, false)),
            flops: node.Flops + expansion.Flops + (totals is null ? 0 : node.Shape.Count - sums));
    }

    /// <summary>
    /// Whether a layer is computed as part of the depthwise convolution that reads it. The rows of its operand are then multiplied where they are; from some
    /// width on packing them would pay, and the product outweighs what is saved.
    /// </summary>
    private bool IsExpansion(Node node) =>
        node.Operator is Linear { HasResidual: false } && node.Shape.Rank == 4 && !node.Sliced && !IsResult(node)
        && node.Inputs[1].Shape[1] <= MostUnpackedColumns
        && Users(node).Count() == 1 && Users(node).Single() is Node user && IsDepthwise(user) && user.Operator is Convolution { HasResidual: false };

    /// <summary>
    /// Whether a product of pictures and one factor per picture and channel is computed as part of the linear layer that reads it (see
    /// <see cref="LinearStep"/>). That is so for any number of pictures or for none, since the order of the multiplications shows in the last bits.
    /// </summary>
    private bool IsGating(Node node) =>
        node.Operator is Binary { Function: BinaryFunction.Multiply } && node.Shape.Rank == 4 && !node.Sliced && !IsResult(node)
        && node.Inputs[0].Shape == node.Shape
        && node.Inputs[1].Shape is { Rank: 4 } gate && gate[0] == node.Shape[0] && gate[1] == 1 && gate[2] == 1 && gate[3] == node.Shape[3]
        && Users(node).Count() == 1 && Users(node).Single() is { Operator: Linear } user && user.Inputs[0] == node && user.Inputs.Count(i => i == node) == 1
        && !IsExpansion(user) && user.Shape[3] < (long)node.Shape[1] * node.Shape[2];

    /// <summary>The node whose step computes a node, and so reads its operands: itself, or the one that it is a part of.</summary>
    private Node ComputedWith(Node node) => IsExpansion(node) || IsGating(node) ? Users(node).Single() : node;

    /// <summary>Where a layer's result goes: over its residual, if nobody needs that afterwards, or into memory of its own.</summary>
    private Value ResultOver(Node node, Value? residual)
    {
        bool dies = residual is not null && DiesAt(node.Inputs[^1], node)
            && Users(node.Inputs[^1]).All(user => user == node || ComputedWith(user).Id < node.Id);
        return dies ? InPlace(node, residual!) : NewValue(node);
    }

    /// <summary>Whether each channel of a convolution's result sees one channel of its own.</summary>
    private static bool IsDepthwise(Node node) =>
        node.Operator is Convolution op && op.Groups == node.Inputs[0].Shape[3] && op.Groups == node.Shape[3];

    private void EmitTransposedConvolution(Node node, TransposedConvolution op)
    {
        Shape x = node.Inputs[0].Shape, w = node.Inputs[1].Shape, y = node.Shape;
        TransposedConvolutionShape shape = new(x[1], x[2], x[3], y[1], y[2], y[3], w[2], op.Stride, op.Padding);
        string key = ((Parameter)node.Inputs[1].Operator).Key;
        string? biasKey = op.HasBias ? (node.Inputs[2].Operator as Parameter)?.Key : null;
        ConvolutionPhase[] phases = _weights.Prepare(
            $"transposed convolution {shape}", key, biasKey, w.Count, w[1], (m, t, b) => ConvolutionPhase.Of(m, t, b, shape));
        Value source = Dense(node.Inputs[0]), result = NewValue(node);
        string name = $"TransposedConvolution {w[2]}x{w[3]}{(op.Stride == 1 ? "" : $"/{op.Stride}")}";
        Step(
            node,
            ParameterName(node.Inputs[1]),
            Kind(name, op.Activation, residual: false, activateSum: false),
            reads: [source],
            writes: result,
            extraBytes: 4 * w.Count,
            () => new ConvolutionStep(phases, x, y, Ref(source, false), Ref(result, false), activation: op.Activation));
    }

    private void EmitBatchNorm(Node node, BatchNorm op)
    {
        Value[] operands = [.. node.Inputs.Select(Dense)];
        Value y = NewValue(node);
        long rows = Local(node).Rows;
        bool sliced = InRegion;
        Step(node, ParameterName(node.Inputs[1]), "BatchNorm", operands, y, 0, () => new BatchNormStep(
            Ref(y, sliced),
            Ref(operands[0], sliced),
            Ref(operands[1], sliced),
            Ref(operands[2], sliced),
            Ref(operands[3], sliced),
            Ref(operands[4], sliced),
            rows,
            node.Shape[-1],
            op.Epsilon));
    }

    private void EmitPatchEmbedding(Node node, PatchEmbedding op)
    {
        Shape image = node.Inputs[0].Shape, y = node.Shape;
        int rows = checked((int)y.Rows), n = y[-1], k = image[1] * op.Patch * op.Patch;
        Value source = Dense(node.Inputs[0]), tiles = NewTiles(rows, k);
        Step(node, "patches", "PatchRows", [source], tiles, 0, () => new PatchRowsStep(
            Ref(tiles, false), Ref(source, false), op.Order, image[0], image[1], image[2], image[3], op.Patch), flops: 0);
        EmitGemm(node, NewValue(node), tiles, node.Inputs[1], node.Inputs[2], null, Activation.None, rows, n, k);
    }

    private void EmitLayerNorm(Node node, LayerNorm op)
    {
        Value x = Dense(node.Inputs[0]), w = Dense(node.Inputs[1]), b = Dense(node.Inputs[2]), y = NewValue(node);
        int rows = checked((int)Local(node).Rows), width = node.Shape[-1];
        bool sliced = InRegion;
        Step(node, ParameterName(node.Inputs[1]), "LayerNorm", [x, w, b], y, 0, () => new LayerNormStep(
            Ref(y, sliced), Ref(x, sliced), Ref(w, sliced), Ref(b, sliced), rows, width, op.Epsilon, y.Tiled));
    }

    private void EmitAttention(Node node, Attention op)
    {
        Value q = Get(node.Inputs[0]), k = Get(node.Inputs[1]), v = Get(node.Inputs[2]), y = NewValue(node);
        Shape qs = Local(node.Inputs[0]), vs = Local(node.Inputs[2]);
        bool sliced = InRegion;
        AttentionShape shape = new(qs[0], qs[1], vs[1], op.Heads, qs[2] / op.Heads, vs[2] / op.Heads);
        string kind = op.Mask is NeighborMask mask ? $"Attention (without {(2 * mask.RadiusY) + 1}x{(2 * mask.RadiusX) + 1})" : "Attention";
        Step(node, Name(node), kind, [q, k, v], y, 0, () => new AttentionStep(
            shape, op.Scale, Ref(q, sliced), Ref(k, sliced), Ref(v, sliced), Ref(y, sliced), y.Tiled, op.Mask, _threads));
    }

    private void EmitBinary(Node node, Binary op)
    {
        if (IsGating(node))
        {
            return; // part of the linear layer that reads it
        }

        Value a = Dense(node.Inputs[0]), b = Dense(node.Inputs[1]), y = NewValue(node);
        Shape left = Local(node.Inputs[0]), right = Local(node.Inputs[1]);
        BinaryOperation operation = op.Function switch
        {
            BinaryFunction.Add => BinaryOperation.Add,
            BinaryFunction.Subtract => BinaryOperation.Subtract,
            BinaryFunction.Multiply => BinaryOperation.Multiply,
            _ => BinaryOperation.Divide,
        };
        bool sliced = InRegion;
        Step(node, Name(node), op.Name, [a, b], y, 0, () => new BinaryStep(
            Ref(y, sliced), Ref(a, sliced), Ref(b, sliced), operation, left.Extents, right.Extents));
    }

    private void EmitUnary(Node node, UnaryOperation operation, float scale = 1, float offset = 0)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape shape = Local(node);
        bool sliced = InRegion;
        Step(node, Name(node), node.Operator.Name, [x], y, 0, () => new UnaryStep(
            Ref(y, sliced), Ref(x, sliced), operation, (int)shape.Rows, shape[-1], scale, offset));
    }

    private static UnaryOperation Operation(UnaryFunction function) => function switch
    {
        UnaryFunction.Gelu => UnaryOperation.Gelu,
        UnaryFunction.Relu => UnaryOperation.Relu,
        UnaryFunction.Square => UnaryOperation.Square,
        UnaryFunction.Swish => UnaryOperation.Swish,
        UnaryFunction.Sigmoid => UnaryOperation.Sigmoid,
        UnaryFunction.Tanh => UnaryOperation.Tanh,
        UnaryFunction.Softplus => UnaryOperation.Softplus,
        UnaryFunction.Abs => UnaryOperation.Abs,
        UnaryFunction.ReciprocalSqrt => UnaryOperation.ReciprocalSqrt,
        _ => throw new NotSupportedException($"the CPU backend has no kernel for {function}"),
    };

    private void EmitSlice(Node node, Slice op)
    {
        Shape source = Local(node.Inputs[0]);
        long inner = Inner(source, op.Axis);
        Value x = Dense(node.Inputs[0]);
        // Attention reads columns of a wider matrix in place; everyone else wants dense rows.
        bool columns = op.Axis == source.Rank - 1 && !IsResult(node) && Users(node).Any() && Users(node).All(u => u.Operator is Attention);
        if (IsContiguous(node, op))
        {
            _values[node] = x.At(op.Start * inner) with { RowStride = RowLength(Local(node)) };
        }
        else if (columns)
        {
            _values[node] = x.At(op.Start);
        }
        else
        {
            EmitCopy(node, node.Inputs[0], Local(node), Strides(source), op.Start * inner);
        }
    }

    private void EmitBroadcast(Node node, Broadcast op)
    {
        Shape source = Local(node.Inputs[0]);
        if (source == op.Shape)
        {
            _values[node] = Dense(node.Inputs[0]);
        }
        else
        {
            EmitCopy(node, node.Inputs[0], Local(node), BroadcastStrides(source, Local(node)), 0);
        }
    }

    private void EmitCopy(Node node, Node source, Shape extents, long[] sourceStrides, long sourceOffset)
    {
        Value x = Dense(source).At(sourceOffset), y = NewValue(node);
        bool sliced = InRegion;
        Step(node, Name(node), node.Operator.Name, [x], y, 0, () => new CopyStep(
            Ref(y, sliced), Ref(x, sliced), extents.Extents, Strides(extents), sourceStrides));
    }

    private void EmitConcat(Node node, Concat op)
    {
        Value y = NewValue(node);
        long[] strides = Strides(Local(node));
        long start = 0;
        foreach (Node part in node.Inputs)
        {
            Shape extents = Local(part);
            Value x = Dense(part), target = y.At(start * strides[op.Axis]);
            bool sliced = InRegion;
            Step(node, Name(node), "Concat", [x], target, 0, () => new CopyStep(
                Ref(target, sliced), Ref(x, sliced), extents.Extents, strides, Strides(extents)));
            start += extents[op.Axis];
        }
    }

    private void EmitGather(Node node, Gather op)
    {
        Value table = Dense(node.Inputs[0]), y = NewValue(node);
        Shape source = node.Inputs[0].Shape;
        int count = Local(node)[0];
        bool sliced = InRegion;
        Step(node, Name(node), "Gather", [table], y, 0, () => new GatherStep(
            Ref(y, sliced), Ref(table, sliced: false), op.Indices, node.Shape[1], source[0], source[1], source[2], count));
    }

    private void EmitMean(Node node, Mean op)
    {
        Value y = NewValue(node);
        Shape source = Local(node.Inputs[0]);
        long inner = Inner(source, op.Axis), outer = source.Count / (inner * source[op.Axis]), axis = source[op.Axis], terms = 1, summed = 0;
        Value? x = null;
        if (MeanOfPixels(node) is Node picture && _rowTotals.TryGetValue(picture, out x))
        {
            axis = picture.Shape[1];
            terms = picture.Shape[2];
            summed = picture.Shape.Count - TotalsCount(picture);
        }

        // To the step a row is what lies behind the reduced dimension, or that dimension itself if it is the last.
        x = (x ?? Dense(node.Inputs[0])) with { RowStride = inner > 1 ? inner : axis };
        Value rows = y with { RowStride = inner };
        bool sliced = InRegion;
        Step(
            node,
            Name(node),
            "Mean",
            [x],
            y,
            extraBytes: -4 * summed,
            () => new ReduceStep(Ref(rows, sliced), Ref(x, sliced), Reduction.Mean, outer, axis, (int)inner, terms),
            flops: summed == 0 ? null : node.Flops - summed);
    }

    private void EmitMax(Node node)
    {
        Shape source = node.Inputs[0].Shape;
        Value x = Dense(node.Inputs[0]) with { RowStride = source.Count / source[0] }, y = NewValue(node);
        Step(node, Name(node), "Max", [x], y, 0, () => new ReduceStep(
            Ref(y, false), Ref(x, false), Reduction.Max, source[0], source.Count / source[0], inner: 1));
    }

    private void EmitFilter(Node node, SeparableFilter op)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape shape = node.Shape;
        Step(node, Name(node), $"SeparableFilter({op.Taps.Length})", [x], y, 0, () => new SeparableFilterStep(
            Ref(y, false), Ref(x, false), op.Taps, op.Border, shape[0] * shape[1], shape[2], shape[3]));
    }

    private void EmitPool(Node node, AveragePool op)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape source = node.Inputs[0].Shape;
        Step(node, Name(node), $"AveragePool({op.Kernel}/{op.Stride})", [x], y, 0, () => new PoolStep(
            Ref(y, false), Ref(x, false), Pooling.Average, source[0] * source[1], source[2], source[3], op.Kernel, op.Stride, padding: 0));
    }

    private void EmitResize(Node node, Resize op)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape source = node.Inputs[0].Shape;
        Step(node, Name(node), "Resize", [x], y, 0, () => op.ChannelsLast
            ? new ResizeChannelsStep(Ref(y, false), Ref(x, false), source[0], source[1], source[2], source[3], op.Height, op.Width, op.AlignCorners)
            : new ResizeStep(Ref(y, false), Ref(x, false), source[0] * source[1], source[2], source[3], op.Height, op.Width, op.AlignCorners));
    }

    private void EmitMaxPool(Node node, MaxPool op)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape source = node.Inputs[0].Shape;
        Step(node, Name(node), $"MaxPool({op.Kernel}/{op.Stride})", [x], y, 0, () => new MaxPoolStep(
            Ref(y, false), Ref(x, false), source[0], source[1], source[2], source[3], op.Kernel, op.Stride, op.Padding));
    }

    private void EmitSoftmax(Node node)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape shape = Local(node);
        bool sliced = InRegion;
        Step(node, Name(node), "Softmax", [x], y, 0, () => new SoftmaxStep(Ref(y, sliced), Ref(x, sliced), shape.Rows, shape[-1]));
    }

    private void EmitSquash(Node node)
    {
        Value x = Dense(node.Inputs[0]), y = NewValue(node);
        Shape shape = Local(node);
        bool sliced = InRegion;
        Step(node, Name(node), "Squash", [x], y, 0, () => new SquashStep(Ref(y, sliced), Ref(x, sliced), shape.Rows, shape[-1]));
    }

    private void EmitMixture(Node node, MixtureLikelihood op)
    {
        Value[] operands = [.. node.Inputs.Select(Dense)];
        Value y = NewValue(node);
        int dimensions = node.Inputs[0].Shape[2], gaussians = node.Inputs[1].Shape[2];
        Step(node, Name(node), "MixtureLikelihood", operands, y, 0, () => new MixtureLikelihoodStep(
            Ref(y, false),
            Ref(operands[0], false),
            Ref(operands[1], false),
            Ref(operands[2], false),
            Ref(operands[3], false),
            node.Shape.Count,
            dimensions,
            gaussians,
            op.LogSumExp));
    }

    private void EmitEuclidean(Node node)
    {
        Value a = Dense(node.Inputs[0]), b = Dense(node.Inputs[1]), y = NewValue(node);
        Step(node, Name(node), "EuclideanDistance", [a, b], y, 0, () => new EuclideanDistanceStep(
            Ref(y, false), Ref(a, false), Ref(b, false), node.Shape.Count, node.Inputs[0].Shape[2]));
    }

    private void EmitSimilarity(Node node, StructuralSimilarity op)
    {
        Value a = Dense(node.Inputs[0]), b = Dense(node.Inputs[1]), y = NewValue(node);
        Shape shape = node.Shape;
        Step(node, Name(node), $"SSIM({op.Taps.Length})", [a, b], y, 0, () => new StructuralSimilarityStep(
            Ref(y, false), Ref(a, false), Ref(b, false), op.Taps, op.C1, op.C2, shape[0] * shape[1], shape[2], shape[3]));
    }

    private void EmitCosine(Node node)
    {
        Value a = Dense(node.Inputs[0]), b = Dense(node.Inputs[1]), y = NewValue(node);
        int rows = checked((int)node.Shape.Count), width = node.Inputs[0].Shape[2];
        Step(node, Name(node), "CosineDistance", [a, b], y, 0, () => new CosineDistanceStep(
            Ref(y, false), Ref(a, false), Ref(b, false), rows, width));
    }

    private void EmitSimilarity(Node node, GradientMagnitudeSimilarity op)
    {
        Value a = Dense(node.Inputs[0]), b = Dense(node.Inputs[1]), y = NewValue(node);
        Shape shape = node.Shape;
        Step(node, Name(node), "GMS", [a, b], y, 0, () => new GradientMagnitudeSimilarityStep(
            Ref(y, false), Ref(a, false), Ref(b, false), shape[0] * shape[1], shape[2], shape[3], op.C));
    }

    // ---- values ----------------------------------------------------------------------------------------------------------------------------

    /// <summary>A node's value as it is, possibly a view of columns.</summary>
    private Value Get(Node node)
    {
        if (!_values.TryGetValue(node, out Value? value))
        {
            nint address = node.Operator switch
            {
                Parameter p => _weights.Raw(p.Key, p.Shape.Count),
                Constant c => _weights.Constant(c.Value, c.Shape.Count),
                _ => throw new InvalidOperationException($"{node} is read before it is computed"),
            };
            value = new Value(null, address, 0, RowLength(node.Shape), Tiled: false, SliceStride: 0);
            _values.Add(node, value);
        }

        return value;
    }

    /// <summary>A node's value, dense and row-major.</summary>
    private Value Dense(Node node)
    {
        Value value = Get(node);
        return !value.Tiled && value.RowStride == RowLength(Local(node))
            ? value
            : throw new InvalidOperationException($"{node} is needed dense, but was left tiled or as a view");
    }

    /// <summary>
    /// A node's value as linear layers read it: in row tiles if its producer wrote it so, or if their results are wide enough in all for packing to pay;
    /// otherwise as it is.
    /// </summary>
    private Value LeftOperand(Node node)
    {
        long columns = Users(node).Where(u => u.Operator is Linear && u.Inputs[0] == node && !IsExpansion(u)).Sum(u => (long)u.Shape[-1]);
        Value value = Get(node);
        return value.Tiled ? value : columns > MostUnpackedColumns ? InTiles(node) : Dense(node);
    }

    /// <summary>A node's value in row tiles; packed once for all its readers if its producer did not write it so.</summary>
    private Value InTiles(Node node)
    {
        Value value = Get(node);
        if (value.Tiled)
        {
            return value;
        }

        if (!_packed.TryGetValue(node, out Value? tiles))
        {
            Shape shape = Local(node);
            int rows = checked((int)shape.Rows), columns = shape[-1];
            Value source = Dense(node);
            tiles = NewTiles(rows, columns);
            bool sliced = InRegion;
            Value target = tiles;
            Step(node, Name(node), "PackRows", [source], target, 0, () => new PackRowsStep(rows, columns, Ref(source, sliced), Ref(target, sliced)), flops: 0);
            _packed.Add(node, tiles);
        }

        return tiles;
    }

    private Value NewTiles(int rows, int columns)
    {
        PlannedBuffer buffer = NewBuffer(RowTiles.Size(rows, columns) * sizeof(float));
        return new Value(buffer, 0, 0, columns, Tiled: true, SliceStride: 0);
    }

    private Value InPlace(Node node, Value value)
    {
        _values[node] = value;
        return value;
    }

    private Value NewValue(Node node)
    {
        Shape local = Local(node);
        bool crosses = Crosses(node);
        bool tiled = (node.Operator is LayerNorm or Linear or Attention or Convolution { Groups: 1 } || IsDepthwise(node))
            && !crosses && !IsResult(node) && !IsGating(node.Inputs[0])
            && Users(node).Any()
            && Users(node).All(u => u.Operator is Linear && !IsExpansion(u) && u.Inputs[0] == node && !u.Inputs.Skip(1).Contains(node));
        Value value;
        if (tiled)
        {
            value = NewTiles(checked((int)local.Rows), local[-1]);
        }
        else
        {
            PlannedBuffer buffer = NewBuffer((crosses ? node.Shape.Count : local.Count) * sizeof(float));
            value = new Value(buffer, 0, 0, RowLength(local), Tiled: false, crosses ? local.Count : 0);
        }

        _values[node] = value;
        return value;
    }

    private static BufferRef Ref(Value value, bool sliced)
    {
        unsafe
        {
            return value.Buffer is null
                ? BufferRef.At((float*)value.Address + value.Offset, value.RowStride)
                : BufferRef.InArena(value.Buffer.Offset + (value.Offset * sizeof(float)), value.RowStride, sliced ? value.SliceStride : 0);
        }
    }

    private static BufferRef? OptionalRef(Value? value, bool sliced) => value is null ? null : Ref(value, sliced);

    private static void Touch(Value? value, int step) => value?.Buffer?.Touch(step);

    // ---- listing ---------------------------------------------------------------------------------------------------------------------------

    /// <summary>What a layer is called together with its epilogue.</summary>
    private static string Kind(string layer, Activation activation, bool residual, bool activateSum)
    {
        string function = activation == Activation.None ? "" : $"+{activation}", sum = residual ? "+Residual" : "";
        return layer + (activateSum ? sum + function : function + sum);
    }

    private void Step(
        Node node, string name, string kind, IReadOnlyList<Value?> reads, Value writes, long extraBytes, Func<CpuStep> create, long? flops = null)
    {
        foreach (Value? value in reads)
        {
            Touch(value, _pending.Count);
        }

        Touch(writes, _pending.Count);
        _pending.Add((create, Describe(node, name, kind, extraBytes, flops)));
    }
}
