using KernelAD.Graph;
using KernelAD.Kernels;
using KernelAD.Passes;
using KernelAD.Planner;
using KernelAD.Tensors;
using Attention = KernelAD.Graph.Attention;
using Convolution = KernelAD.Graph.Convolution;
using LayerNorm = KernelAD.Graph.LayerNorm;
using Linear = KernelAD.Graph.Linear;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// Turns a graph into a <see cref="CudaPlan"/>: decides which values are views of others, in which type each is stored, and which nodes a later one takes in
/// (<see cref="Absorption"/>), and describes the launches of the rest.
/// <para>Values are row-major. With tensor cores, a value that only matrix products read is stored in their operands' type by whoever computes it; the
/// residual stream, norms' inputs, maps and results are float32.</para>
/// </summary>
internal sealed class CudaCompiler : GraphLowering
{
    // InTra's windows at 256² make 12544 rows of tokens: a picture in one slice fills any GPU (98 row tiles of 128); more rows only take memory.
    private const int MaxSliceRows = 16384;

    /// <summary>Operands of tensor cores are copied by so many bytes, so rows begin there and are padded with zeros up to there.</summary>
    private const int OperandAlignment = 16;

    private readonly CudaWeights _weights;
    private readonly CudaSession _session;
    private readonly StorageType _operandType;
    private readonly Absorption _absorption;
    private readonly Dictionary<Node, DeviceValue> _values = [];
    private readonly Dictionary<Node, DeviceValue> _operands = [];
    private readonly HashSet<Node> _placed = [];
    private readonly List<CudaStep> _steps = [];

    private CudaCompiler(ComputeGraph graph, CudaWeights weights, Precision precision, Schedule schedule, int sliceSize)
        : base(graph, schedule, sliceSize)
    {
        _weights = weights;
        _session = weights.Session;
        _operandType = precision.OperandType();
        _absorption = new Absorption(graph);
    }

    protected override int StepCount => _steps.Count;

    /// <summary>Compiles a graph as the model wrote it.</summary>
    /// <param name="graph">The graph; its taps become results of the plan.</param>
    /// <param name="weights">The model's weights on the device.</param>
    /// <param name="precision">Arithmetic of matrix products.</param>
    /// <param name="maxMemory">
    /// Upper bound of weights and arena together, in bytes; null: none. A sliced region is cut as finely as this or else the device's free memory asks for.
    /// </param>
    /// <exception cref="ConfigurationException">Not even the finest slicing fits into <paramref name="maxMemory"/>.</exception>
    public static CudaPlan Compile(ComputeGraph graph, CudaWeights weights, Precision precision, long? maxMemory)
    {
        ComputeGraph optimised = AddBeforeConcat.Apply(FoldConstants.Apply(ExpandBatchNorm.Apply(PassPipeline.Apply(graph))));
        weights.Define(optimised);
        long available = weights.Bytes + weights.Session.Driver.MemoryInfo().Free;
        (CudaCompiler compiler, long arena) = Fit(
            optimised, MaxSliceRows, maxMemory ?? available, isLimit: maxMemory is not null, () => weights.Bytes,
            (schedule, size) => new CudaCompiler(optimised, weights, precision, schedule, size));
        return compiler.Finish(arena);
    }

    protected override void Emit(Node node)
    {
        if (_absorption.Absorbs(node))
        {
            return;
        }

        switch (node.Operator)
        {
            case Input:
                Touch(NewValue(node, StorageType.Float), -1);
                break;
            case Parameter or Constant:
                break; // placed when somebody reads it, since the reader decides the layout
            case Linear op:
                EmitLinear(node, op);
                break;
            case PatchEmbedding op:
                EmitPatchEmbedding(node, op, node, residual: null);
                break;
            case Convolution { Groups: 1 } op:
                EmitConvolution(node, op);
                break;
            case Convolution op:
                EmitDepthwise(node, op);
                break;
            case TransposedConvolution op:
                EmitTransposedConvolution(node, op);
                break;
            case MaxPool op:
                EmitMaxPool(node, op);
                break;
            case LayerNorm op:
                EmitLayerNorm(node, op);
                break;
            case Attention op:
                EmitAttention(node, op);
                break;
            case Binary or Unary or Affine:
                EmitArithmetic(node);
                break;
            case Reshape:
                _values[node] = Dense(node.Inputs[0]) with { RowStride = RowLength(Local(node)) };
                break;
            case Slice op:
                EmitSlice(node, op);
                break;
            case Permute op:
                EmitPermute(node, op);
                break;
            case Broadcast:
                EmitBroadcast(node);
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
            case Resize op:
                EmitResize(node, op, node, 1);
                break;
            case CosineDistance or EuclideanDistance:
                EmitDistance(node, node, addend: null);
                break;
            case StructuralSimilarity op:
                EmitStructuralSimilarity(node, op);
                break;
            case Softmax or Squash:
                EmitRowFunction(node);
                break;
            case MixtureLikelihood op:
                EmitMixtureLikelihood(node, op);
                break;
            case GradientMagnitudeSimilarity op:
                EmitSimilarity(node, op);
                break;
            default:
                throw new NotSupportedException($"the CUDA backend has no kernel for {node.Operator.Name}");
        }
    }

    protected override void LeaveRegion() => _operands.Clear();

    protected override void TouchValue(Node node, int step) => Touch(Get(node), step);

    private CudaPlan Finish(long arena)
    {
        Node input = Graph.Nodes.Single(n => n.Operator is Input);
        return new CudaPlan(
            _session,
            [.. _steps],
            Region,
            Slices,
            arena,
            (Get(input), input.Shape),
            Graph.Results.ToDictionary(r => r.Key, r => (Plain(r.Value), r.Value.Shape), StringComparer.Ordinal));
    }

    // ---- matrix products -------------------------------------------------------------------------------------------------------------------

    private void EmitLinear(Node node, Linear op)
    {
        Shape y = Local(node);
        int m = checked((int)y.Rows), n = y[-1], k = node.Inputs[1].Shape[1];
        DeviceValue x = Operand(node.Inputs[0], aligned: true);
        DeviceValue? residual = op.HasResidual ? Plain(node.Inputs[^1]) : null;
        LinearChoice choice = LinearTiles.Choose(_session, m, n, k, _operandType);
        DeviceValue? workspace = Workspace(choice);
        LinearArguments arguments = Product(m, n, k, node.Inputs[1], op.HasBias ? node.Inputs[2] : null, op.Activation);
        string kind = "Linear" + Epilogue(op.Activation, op.HasResidual, activateSum: false);
        DeviceValue result = residual is not null && CanOverwrite(node.Inputs[^1], node) ? InPlace(node, residual) : NewValue(node, StoredType(node));
        Step(node, ParameterName(node.Inputs[1]), kind, [x, residual, workspace], [result], 4L * n * k, flops: null, run =>
            LinearLaunches.Product(_session, choice, Place(arguments, run, x, result, residual), workspace?.Resolve(run) ?? 0));
    }

    /// <summary>Patch embedding, with the sum that takes it in, if one does.</summary>
    private void EmitPatchEmbedding(Node node, PatchEmbedding op, Node result, DeviceValue? residual)
    {
        Shape image = node.Inputs[0].Shape, y = node.Shape;
        int m = checked((int)y.Rows), n = y[-1], k = image[1] * op.Patch * op.Patch;
        if (image.Count * sizeof(float) > uint.MaxValue)
        {
            throw new ConfigurationException($"a batch of {image[0]} pictures takes more than 4 GB; run fewer pictures at a time");
        }

        int unit = OperandAlignment / _operandType.Bytes(), stride = LinearTiles.Tiles(k, unit) * unit, row = image[3] * sizeof(float);
        DeviceValue x = Plain(node.Inputs[0]), value = NewValue(result, StoredType(result)), distances = Fixed(_weights.Table(PatchDistances(op, image)));
        DeviceValue patches = NewMemory((long)m * stride, _operandType);
        LinearChoice choice = LinearTiles.Choose(_session, m, n, k, _operandType);
        DeviceValue? workspace = Workspace(choice);
        LinearArguments arguments = Product(m, n, k, node.Inputs[1], node.Inputs[2], Activation.None);
        string kind = residual is null ? "PatchEmbedding" : "PatchEmbedding+Residual";
        Step(node, ParameterName(node.Inputs[1]), kind, [x, patches, residual, workspace], [value], 4L * n * k, flops: null, run =>
        {
            PatchArguments cut = new()
            {
                X = x.Resolve(run),
                Distances = distances.Resolve(run),
                Y = patches.Resolve(run),
                RowUnits = Divisor.Of(stride / 4),
                PatchColumns = Divisor.Of(image[3] / op.Patch),
                PatchesPerPicture = Divisor.Of(y[1]),
                Rows = m,
                K = k,
                YStride = stride,
                PictureBytes = image[1] * image[2] * row,
                PatchRowBytes = op.Patch * row,
                PatchColumnBytes = op.Patch * sizeof(float),
                Type = _operandType,
            };
            LinearArguments product = Place(arguments, run, patches, value, residual) with { XStride = stride };
            return [.. RowLaunches.Patches(_session, cut), .. LinearLaunches.Product(_session, choice, product, workspace?.Resolve(run) ?? 0)];
        });
    }

    /// <summary>Bytes from a patch's first pixel to each of its values, in the weight's order.</summary>
    private static int[] PatchDistances(PatchEmbedding op, Shape image)
    {
        int channels = image[1];
        int[] distances = new int[channels * op.Patch * op.Patch];
        for (int channel = 0; channel < channels; channel++)
        {
            for (int pixel = 0; pixel < op.Patch * op.Patch; pixel++)
            {
                int at = op.Order == PatchOrder.ChannelRowColumn ? (channel * op.Patch * op.Patch) + pixel : (pixel * channels) + channel;
                int row = (channel * image[2]) + (pixel / op.Patch);
                distances[at] = ((row * image[3]) + (pixel % op.Patch)) * sizeof(float);
            }
        }

        return distances;
    }

    /// <summary>A convolution over all channels: a product whose rows are its windows.</summary>
    private void EmitConvolution(Node node, Convolution op)
    {
        Shape y = Local(node), w = node.Inputs[1].Shape;
        if (Math.Max(w[2], w[3]) > ConvolutionArguments.MaxKernel)
        {
            throw new ConfigurationException(
                $"a convolution's kernel is {w[2]}×{w[3]}; the CUDA kernels take up to {ConvolutionArguments.MaxKernel}×{ConvolutionArguments.MaxKernel}: use --device cpu");
        }

        MapOperand maps = Maps(node.Inputs[0]);
        DeviceValue? residual = op.HasResidual ? Plain(node.Inputs[^1]) : null;
        int m = checked((int)y.Rows), n = w[0], k = w[2] * w[3] * maps.Channels;
        LinearChoice choice = LinearTiles.ChooseConvolution(_session, m, n, k, _operandType);
        DeviceValue result = NewValue(node, StoredType(node)), table = Fixed(_weights.Table(Taps(w[2], w[3], maps)));
        DeviceValue? workspace = Workspace(choice);
        LinearArguments arguments = Product(
            m, n, k, _weights.Panels(((Parameter)node.Inputs[1].Operator).Key, n, w[1], w[2] * w[3], maps.Channels, _operandType), op.HasBias ? node.Inputs[2] : null, op.Activation);
        arguments.ActivateSum = op.ActivateSum ? 1 : 0;
        string kind = Windowed("Convolution", w, op.Stride) + Epilogue(op.Activation, op.HasResidual, op.ActivateSum);
        Step(node, ParameterName(node.Inputs[1]), kind, [maps.Value, residual, workspace], [result], 4 * w.Count, flops: null, run => LinearLaunches.Convolution(
            _session,
            choice,
            WindowedProduct(Place(arguments, run, maps.Value, result, residual), table.Resolve(run), maps, y[1], y[2], op.Stride, op.Padding.Top, op.Padding.Left),
            workspace?.Resolve(run) ?? 0));
    }

    /// <summary>Maps as the operand of a product whose rows are windows over them.</summary>
    private MapOperand Maps(Node node)
    {
        Shape shape = Local(node);
        DeviceValue value = Operand(node, aligned: true);
        if (shape.Rows * value.RowStride * value.ElementBytes > uint.MaxValue)
        {
            throw new ConfigurationException($"a batch of {shape[0]} maps takes more than 4 GB; run fewer pictures at a time");
        }

        return new MapOperand(value, shape[1], shape[2], PaddedChannels(shape[3]), ChannelUnit);
    }

    /// <summary>Channels that the kernels copy at once.</summary>
    private int ChannelUnit => _operandType == StorageType.Float ? 1 : OperandAlignment / _operandType.Bytes();

    private int PaddedChannels(int channels) => LinearTiles.Tiles(channels, ChannelUnit) * ChannelUnit;

    /// <summary>The arguments of a product over windows.</summary>
    /// <param name="product">The product, its X the maps.</param>
    /// <param name="taps">Address of the table.</param>
    /// <param name="maps">The maps.</param>
    /// <param name="rows">Windows below each other.</param>
    /// <param name="columns">Windows side by side.</param>
    /// <param name="stride">Distance of windows in pixels.</param>
    /// <param name="top">Rows of the first windows above the map.</param>
    /// <param name="left">Columns of the first windows to the left of the map.</param>
    private static ConvolutionArguments WindowedProduct(LinearArguments product, long taps, MapOperand maps, int rows, int columns, int stride, int top, int left) => new()
    {
        Linear = product with { X = product.X - ((long)top * maps.RowBytes) - ((long)left * maps.PixelBytes) },
        Taps = taps,
        Columns = Divisor.Of(columns),
        Pixels = Divisor.Of(rows * columns),
        PictureBytes = unchecked((int)((long)maps.Height * maps.RowBytes)),
        WindowRowBytes = stride * maps.RowBytes,
        WindowColumnBytes = stride * maps.PixelBytes,
        Stride = stride,
        Top = top,
        Left = left,
        Height = maps.Height,
        Width = maps.Width,
    };

    /// <summary>Where a window's values lie, for every unit of channels of every tap, and zeros up to where the kernels read ahead.</summary>
    private int[] Taps(int rows, int columns, MapOperand maps)
    {
        int tile = LinearPanels.TileLength(_operandType) / maps.Unit, units = maps.Channels / maps.Unit, count = rows * columns * units;
        int[] table = new int[2 * (LinearTiles.Tiles(count, tile) + ConvolutionArguments.TableTiles) * tile];
        for (int i = 0; i < count; i++)
        {
            int tap = i / units, tapRow = tap / columns, tapColumn = tap % columns;
            table[2 * i] = (tapRow * maps.RowBytes) + (tapColumn * maps.PixelBytes) + (i % units * maps.Unit * maps.Value.ElementBytes);
            table[(2 * i) + 1] = ConvolutionArguments.TapFlags(tapRow, tapColumn);
        }

        return table;
    }

    /// <summary>A convolution of each channel by itself.</summary>
    private void EmitDepthwise(Node node, Convolution op)
    {
        Shape y = Local(node), maps = Local(node.Inputs[0]), w = node.Inputs[1].Shape;
        if (op.Groups != maps[3] || w[0] != maps[3])
        {
            throw new ConfigurationException(
                $"a convolution has {op.Groups} groups for {maps[3]} channels of input and {w[0]} of output; the CUDA kernels take one group or one for each channel: use --device cpu");
        }

        DeviceValue x = Get(node.Inputs[0]), result = NewValue(node, StoredType(node));
        DeviceValue weight = Fixed(_weights.TapsFirst(((Parameter)node.Inputs[1].Operator).Key, 1, w[0], w[2] * w[3], w[0]));
        DeviceValue? bias = op.HasBias ? Plain(node.Inputs[2]) : null, residual = op.HasResidual ? Plain(node.Inputs[^1]) : null;
        string kind = Windowed("Depthwise", w, op.Stride) + Epilogue(op.Activation, op.HasResidual, op.ActivateSum);
        Step(node, ParameterName(node.Inputs[1]), kind, [x, residual], [result], 4 * w.Count, flops: null, run =>
        {
            WindowArguments arguments = Windows(run, x, maps, result, y, w[2], w[3], op.Stride, op.Padding);
            arguments.Weight = weight.Resolve(run);
            arguments.Bias = bias?.Resolve(run) ?? 0;
            arguments.Residual = residual?.Resolve(run) ?? 0;
            arguments.ResidualStride = (int)(residual?.RowStride ?? 0);
            arguments.Function = Function(op.Activation);
            arguments.ActivateSum = op.ActivateSum ? 1 : 0;
            return ConvolutionLaunches.Depthwise(_session, arguments, y[0], y[1]);
        });
    }

    private void EmitMaxPool(Node node, MaxPool op)
    {
        Shape y = Local(node), maps = Local(node.Inputs[0]);
        DeviceValue x = Get(node.Inputs[0]), result = NewValue(node, StoredType(node));
        Step(node, Name(node), $"MaxPool({op.Kernel}/{op.Stride})", [x], [result], 0, flops: null, run => ConvolutionLaunches.MaxPool(
            _session, Windows(run, x, maps, result, y, op.Kernel, op.Kernel, op.Stride, Padding.Same(op.Padding)), y[0], y[1]));
    }

    private static WindowArguments Windows(
        DeviceRun run, DeviceValue x, Shape maps, DeviceValue y, Shape results, int kernelHeight, int kernelWidth, int stride, Padding padding) => new()
        {
            X = x.Resolve(run),
            XType = x.Type,
            XStride = (int)x.RowStride,
            Y = y.Resolve(run),
            Type = y.Type,
            YStride = (int)y.RowStride,
            YWidth = results[2],
            Height = maps[1],
            Width = maps[2],
            Channels = maps[3],
            KernelHeight = kernelHeight,
            KernelWidth = kernelWidth,
            Stride = stride,
            Top = padding.Top,
            Left = padding.Left,
        };

    /// <summary>A transposed convolution as a product on tensor cores, where they can take it, else as a gather in float32.</summary>
    private void EmitTransposedConvolution(Node node, TransposedConvolution op)
    {
        if (ChooseTransposed(node, op) is not (TransposedBlocks blocks, LinearChoice choice))
        {
            EmitTransposedGather(node, op);
            return;
        }

        Shape y = Local(node), w = node.Inputs[1].Shape;
        MapOperand maps = Maps(node.Inputs[0]);
        DeviceValue result = NewValue(node, StoredType(node)), table = Fixed(_weights.Table(Taps(blocks.Window, blocks.Window, maps)));
        LinearArguments arguments = Product(
            choice.M, choice.N, choice.K, _weights.Panels(((Parameter)node.Inputs[1].Operator).Key, blocks, w[0], maps.Channels, _operandType), bias: null, op.Activation);
        arguments.Bias = op.HasBias ? (long)_weights.Vector(((Parameter)node.Inputs[2].Operator).Key, blocks).Value : 0;
        Step(node, ParameterName(node.Inputs[1]), TransposedKind(w, op), [maps.Value], [result], 4 * w.Count, flops: null, run => LinearLaunches.Transposed(
            _session,
            choice,
            new TransposedProductArguments
            {
                Convolution = WindowedProduct(
                    Place(arguments, run, maps.Value, result, residual: null),
                    table.Resolve(run),
                    maps,
                    blocks.Cover(y[1]),
                    blocks.Cover(y[2]),
                    blocks.Pixels,
                    blocks.Before,
                    blocks.Before),
                RowColumns = Divisor.Of(blocks.RowColumns),
                RowElements = blocks.RowElements,
                BlockRows = blocks.Side,
                RowsAbove = blocks.Shift,
                ElementsBefore = blocks.Shift * y[3],
                YRows = y[1],
                YRowElements = y[2] * y[3],
            }));
    }

    private (TransposedBlocks Blocks, LinearChoice Product)? ChooseTransposed(Node node, TransposedConvolution op)
    {
        Shape y = Local(node), w = node.Inputs[1].Shape;
        return _operandType == StorageType.Float
            ? null
            : LinearTiles.ChooseTransposed(_session, TransposedBlocks.All(w[2], op.Stride, op.Padding, w[1]), y, PaddedChannels(w[0]), _operandType);
    }

    private void EmitTransposedGather(Node node, TransposedConvolution op)
    {
        Shape y = Local(node), maps = Local(node.Inputs[0]), w = node.Inputs[1].Shape;
        int columns = ConvolutionLaunches.WeightColumns(w[1]);
        DeviceValue x = Operand(node.Inputs[0], aligned: false), result = NewValue(node, StoredType(node));
        DeviceValue weight = Fixed(_weights.TapsFirst(((Parameter)node.Inputs[1].Operator).Key, w[0], w[1], w[2] * w[3], columns));
        DeviceValue? bias = op.HasBias ? Fixed(_weights.Vector(((Parameter)node.Inputs[2].Operator).Key, w[1])) : null;
        Step(node, ParameterName(node.Inputs[1]), TransposedKind(w, op), [x], [result], 4 * w.Count, flops: null, run => ConvolutionLaunches.Transposed(
            _session,
            new TransposedConvolutionArguments
            {
                X = x.Resolve(run),
                XType = x.Type,
                XStride = (int)x.RowStride,
                Weight = weight.Resolve(run),
                WeightColumns = columns,
                Bias = bias?.Resolve(run) ?? 0,
                Y = result.Resolve(run),
                Type = result.Type,
                YStride = (int)result.RowStride,
                Stride = Divisor.Of(op.Stride),
                Padding = op.Padding,
                Kernel = w[2],
                Height = maps[1],
                Width = maps[2],
                Channels = maps[3],
                YHeight = y[1],
                YWidth = y[2],
                YChannels = y[3],
                Function = Function(op.Activation),
            },
            y[0]));
    }

    private static string TransposedKind(Shape w, TransposedConvolution op) =>
        Windowed("TransposedConvolution", w, op.Stride) + Epilogue(op.Activation, hasResidual: false, activateSum: false);

    private static string Windowed(string name, Shape w, int stride) => $"{name} {w[2]}x{w[3]}{(stride == 1 ? "" : $"/{stride}")}";

    private static string Epilogue(Activation activation, bool hasResidual, bool activateSum)
    {
        string function = activation == Activation.None ? "" : $"+{activation}", residual = hasResidual ? "+Residual" : "";
        return activateSum ? residual + function : function + residual;
    }

    /// <summary>The arguments of a product but for addresses and strides of activations.</summary>
    private LinearArguments Product(int m, int n, int k, Node weight, Node? bias, Activation activation) =>
        Product(m, n, k, _weights.Panels(((Parameter)weight.Operator).Key, n, k, _operandType), bias, activation);

    private LinearArguments Product(int m, int n, int k, Interop.DeviceAddress panels, Node? bias, Activation activation) => new()
    {
        Weight = (long)panels.Value,
        Bias = bias?.Operator is Parameter b ? (long)_weights.Vector(b.Key, n).Value : 0,
        M = m,
        N = n,
        K = k,
        Function = Function(activation),
    };

    private static EpilogueFunction Function(Activation activation) => activation switch
    {
        Activation.None => EpilogueFunction.None,
        Activation.Relu => EpilogueFunction.Relu,
        Activation.Gelu => EpilogueFunction.Gelu,
        Activation.Swish => EpilogueFunction.Swish,
        Activation.Sigmoid => EpilogueFunction.Sigmoid,
        Activation.Tanh => EpilogueFunction.Tanh,
        Activation.Softplus => EpilogueFunction.Softplus,
        _ => throw new NotSupportedException($"the CUDA backend has no function {activation}"),
    };

    private static LinearArguments Place(LinearArguments arguments, DeviceRun run, DeviceValue x, DeviceValue y, DeviceValue? residual) => arguments with
    {
        X = x.Resolve(run),
        XStride = (int)x.RowStride,
        Y = y.Resolve(run),
        YStride = (int)y.RowStride,
        Type = y.Type,
        Residual = residual?.Resolve(run) ?? 0,
        ResidualStride = (int)(residual?.RowStride ?? 0),
    };

    // ---- norms and attention ---------------------------------------------------------------------------------------------------------------

    private void EmitLayerNorm(Node node, LayerNorm op)
    {
        int rows = checked((int)Local(node).Rows), width = node.Shape[-1];
        DeviceValue x = Plain(node.Inputs[0]), w = Plain(node.Inputs[1]), b = Plain(node.Inputs[2]);
        // Products get it in their type, everyone else in float32: both from one kernel.
        bool multiplied = _operandType != StorageType.Float && Users(node).Any(u => ReadsAsOperand(u, node));
        DeviceValue? plain = !multiplied || IsResult(node) || Crosses(node) || Users(node).Any(u => !ReadsAsOperand(u, node)) ? NewValue(node, StorageType.Float) : null;
        DeviceValue? operand = multiplied ? NewOperand(node) : null;
        DeviceValue y = operand ?? plain!;
        DeviceValue? second = operand is null ? null : plain;
        Step(node, ParameterName(node.Inputs[1]), "LayerNorm", [x, w, b], [operand, plain], 0, flops: null, run =>
            RowLaunches.LayerNorm(_session, new LayerNormArguments
            {
                X = x.Resolve(run),
                XStride = (int)x.RowStride,
                Weight = w.Resolve(run),
                Bias = b.Resolve(run),
                Y = y.Resolve(run),
                YStride = (int)y.RowStride,
                Type = y.Type,
                Plain = second?.Resolve(run) ?? 0,
                PlainStride = (int)(second?.RowStride ?? 0),
                Rows = rows,
                Width = width,
                Columns = (int)y.RowStride,
                Epsilon = op.Epsilon,
            }));
    }

    private void EmitAttention(Node node, Attention op)
    {
        DeviceValue q = Operand(node.Inputs[0], aligned: false), k = Operand(node.Inputs[1], aligned: false), v = Operand(node.Inputs[2], aligned: false);
        DeviceValue y = NewValue(node, StoredType(node));
        Shape qs = Local(node.Inputs[0]), vs = Local(node.Inputs[2]);
        Step(node, Name(node), op.Mask is NeighborMask mask ? $"Attention (without {(2 * mask.RadiusY) + 1}x{(2 * mask.RadiusX) + 1})" : "Attention", [q, k, v], [y], 0, flops: null, run => AttentionLaunches.Create(_session, _operandType, qs[0], op.Heads, new AttentionArguments
        {
            Q = q.Resolve(run),
            K = k.Resolve(run),
            V = v.Resolve(run),
            O = y.Resolve(run),
            QBatch = q.Strides(qs)[0],
            KBatch = k.Strides(Local(node.Inputs[1]))[0],
            VBatch = v.Strides(vs)[0],
            OBatch = qs[1] * y.RowStride,
            QStride = (int)q.RowStride,
            KStride = (int)k.RowStride,
            VStride = (int)v.RowStride,
            OStride = (int)y.RowStride,
            Queries = qs[1],
            Keys = vs[1],
            KeyWidth = qs[2] / op.Heads,
            ValueWidth = vs[2] / op.Heads,
            Scale = op.Scale,
            Type = y.Type,
            Mask = op.Mask is null ? AttentionMask.None : AttentionMask.Others,
            GridWidth = Divisor.Of(op.Mask?.Width ?? 1),
            RowRadius = op.Mask?.RadiusY ?? 0,
            ColumnRadius = op.Mask?.RadiusX ?? 0,
        }));
    }

    // ---- arithmetic and movement -----------------------------------------------------------------------------------------------------------

    /// <summary>A node of arithmetic with those that it takes in: y = scale · f(a ∘ b) + offset.</summary>
    private void EmitArithmetic(Node node)
    {
        ElementwiseArguments arguments = new() { Scale = 1 };
        string kind = node.Operator.Name;
        Node inner = node;
        if (inner.Operator is Affine affine)
        {
            arguments.Scale = affine.Scale;
            arguments.Offset = affine.Offset;
            if (!_absorption.Absorbs(inner.Inputs[0]))
            {
                EmitElementwise(node, kind, NewValue(node, StoredType(node)), Local(node), inner.Inputs[0], null, arguments);
                return;
            }

            inner = inner.Inputs[0];
            kind = $"{inner.Operator.Name}+{kind}";
        }

        if (inner.Operator is Resize resize)
        {
            EmitResize(inner, resize, node, arguments.Scale);
            return;
        }

        if (inner.Operator is Unary unary)
        {
            arguments.Function = unary.Function switch
            {
                UnaryFunction.Gelu => ElementFunction.Gelu,
                UnaryFunction.Relu => ElementFunction.Relu,
                UnaryFunction.Square => ElementFunction.Square,
                UnaryFunction.Swish => ElementFunction.Swish,
                UnaryFunction.Sigmoid => ElementFunction.Sigmoid,
                UnaryFunction.Tanh => ElementFunction.Tanh,
                UnaryFunction.Softplus => ElementFunction.Softplus,
                UnaryFunction.Abs => ElementFunction.Abs,
                UnaryFunction.ReciprocalSqrt => ElementFunction.ReciprocalSqrt,
                _ => throw new NotSupportedException($"the CUDA backend has no function {unary.Function}"),
            };
            if (!_absorption.Absorbs(inner.Inputs[0]))
            {
                EmitElementwise(node, kind, NewValue(node, StoredType(node)), Local(node), inner.Inputs[0], null, arguments);
                return;
            }

            inner = inner.Inputs[0];
            kind = $"{inner.Operator.Name}+{kind}";
        }

        Binary binary = (Binary)inner.Operator;
        foreach ((Node absorbed, Node addend) in ((Node, Node)[])[(inner.Inputs[1], inner.Inputs[0]), (inner.Inputs[0], inner.Inputs[1])])
        {
            if (_absorption.Absorbs(absorbed))
            {
                Node producer = Absorption.BehindReshapes(absorbed);
                if (producer.Operator is Linear)
                {
                    EmitSqueezeAndExcite(node, SqueezeAndExcite.Behind(inner)!);
                }
                else if (producer.Operator is PatchEmbedding embedding)
                {
                    EmitPatchEmbedding(producer, embedding, node, Plain(addend));
                }
                else
                {
                    EmitDistance(producer, node, Plain(addend));
                }

                return;
            }
        }

        arguments.Combination = binary.Function switch
        {
            BinaryFunction.Add => Combination.Add,
            BinaryFunction.Subtract => Combination.Subtract,
            BinaryFunction.Multiply => Combination.Multiply,
            BinaryFunction.Divide => Combination.Divide,
            _ => throw new NotSupportedException($"the CUDA backend has no function {binary.Function}"),
        };
        EmitElementwise(node, kind, NewValue(node, StoredType(node)), Local(node), inner.Inputs[0], inner.Inputs[1], arguments);
    }

    private void EmitElementwise(Node node, string kind, DeviceValue y, Shape extents, Node a, Node? b, ElementwiseArguments arguments)
    {
        DeviceValue left = Get(a);
        DeviceValue? right = b is null ? null : Get(b);
        long[] aStrides = Repeated(left.Strides(Local(a)), Local(a), extents), bStrides = right is null ? [] : Repeated(right.Strides(Local(b!)), Local(b!), extents);
        EmitElementwise(node, Name(node), kind, y, y.Strides(extents), extents, (left, aStrides), right is null ? null : (right, bStrides), arguments);
    }

    private void EmitElementwise(
        Node node,
        string name,
        string kind,
        DeviceValue y,
        long[] yStrides,
        Shape extents,
        (DeviceValue Value, long[] Strides) a,
        (DeviceValue Value, long[] Strides)? b,
        ElementwiseArguments arguments,
        int? columns = null) =>
        Step(node, name, kind, [a.Value, b?.Value], [y], 0, columns is null ? null : 0, run =>
        {
            ElementwiseArguments placed = arguments;
            placed.A = a.Value.Resolve(run);
            placed.AType = a.Value.Type;
            placed.B = b?.Value.Resolve(run) ?? 0;
            placed.BType = b?.Value.Type ?? StorageType.Float;
            placed.Y = y.Resolve(run);
            placed.Type = y.Type;
            return ElementwiseLaunches.Create(_session, extents.Extents, a.Strides, b?.Strides ?? [], yStrides, columns ?? extents[-1], placed);
        });

    private void EmitCopy(Node node, DeviceValue y, long[] yStrides, Shape extents, DeviceValue x, long[] xStrides) =>
        EmitElementwise(node, Name(node), node.Operator.Name, y, yStrides, extents, (x, xStrides), null, new ElementwiseArguments { Scale = 1 });

    private void EmitSlice(Node node, Slice op)
    {
        Shape source = Local(node.Inputs[0]), shape = Local(node);
        DeviceValue x = Get(node.Inputs[0]);
        long[] strides = x.Strides(source);
        DeviceValue range = x.At(op.Start * strides[op.Axis]);
        bool whole = x.RowStride == RowLength(source) && x.BatchStride == 0;
        // Some kernels walk rows and batch items at any distance; everyone else wants dense rows.
        bool strided = source.Rank == 3 && !IsResult(node) && !Crosses(node)
            && Users(node).Any() && Users(node).All(u => u.Operator is Attention or CosineDistance or EuclideanDistance or Concat && u.Sliced == node.Sliced);
        if (whole && IsContiguous(node, op))
        {
            _values[node] = range with { RowStride = RowLength(shape) };
        }
        else if (strided)
        {
            _values[node] = range with { BatchStride = strides[0] };
        }
        else
        {
            DeviceValue y = NewValue(node, x.Type);
            EmitCopy(node, y, y.Strides(shape), shape, range, strides);
        }
    }

    private void EmitPermute(Node node, Permute op)
    {
        DeviceValue x = Get(node.Inputs[0]), y = NewValue(node, StoredType(node));
        long[] strides = x.Strides(Local(node.Inputs[0]));
        EmitCopy(node, y, y.Strides(Local(node)), Local(node), x, [.. op.Axes.Select(a => strides[a])]);
    }

    private void EmitBroadcast(Node node)
    {
        Node source = node.Inputs[0];
        DeviceValue x = Get(source);
        if (Local(source) == Local(node))
        {
            _values[node] = x;
        }
        else
        {
            DeviceValue y = NewValue(node, StoredType(node));
            EmitCopy(node, y, y.Strides(Local(node)), Local(node), x, Repeated(x.Strides(Local(source)), Local(source), Local(node)));
        }
    }

    private void EmitConcat(Node node, Concat op)
    {
        DeviceValue y = _values.TryGetValue(node, out DeviceValue? begun) ? begun : NewValue(node, StoredType(node));
        long[] strides = y.Strides(Local(node));
        long start = 0;
        foreach (Node part in node.Inputs)
        {
            Shape extents = Local(part);
            if (!_placed.Contains(part))
            {
                DeviceValue x = Get(part);
                EmitCopy(node, y.At(start * strides[op.Axis]), strides, extents, x, x.Strides(extents));
            }

            start += extents[op.Axis];
        }
    }

    private void EmitGather(Node node, Gather op)
    {
        DeviceValue table = Get(node.Inputs[0]);
        DeviceValue y = NewValue(node, table.Type), indices = Fixed(_weights.Table(op.Indices));
        Shape source = node.Inputs[0].Shape, local = Local(node);
        int rows = checked((int)local.Rows);
        bool sliced = InRegion;
        Step(node, Name(node), "Gather", [table], [y], 0, flops: null, run => RowLaunches.Gather(
            _session,
            new GatherArguments
            {
                X = table.Resolve(run with { Slice = 0 }),
                Indices = indices.Resolve(run),
                Y = y.Resolve(run),
                IndexCount = Divisor.Of(op.Indices.Length),
                FirstRow = sliced ? checked(run.Slice * rows) : 0,
                Rows = rows,
                TableRows = source[1],
                Width = source[2],
                XStride = (int)table.RowStride,
                YStride = (int)y.RowStride,
            },
            table.Type));
    }

    // ---- reductions and maps ---------------------------------------------------------------------------------------------------------------

    private void EmitMean(Node node, Mean op)
    {
        Shape source = Local(node.Inputs[0]);
        int length = source[op.Axis], inner = checked((int)Inner(source, op.Axis));
        EmitReduction(node, "Mean", ReduceOperation.Sum, checked((int)(source.Count / ((long)inner * length))), length, inner, 1f / length);
    }

    private void EmitSqueezeAndExcite(Node node, SqueezeAndExcite op)
    {
        Shape maps = Local(op.Maps);
        int pixels = maps[1] * maps[2], channels = maps[3], squeezed = op.Squeeze.Shape[-1];
        int parts = RowLaunches.SqueezeParts(_session, maps[0], pixels, channels), tiles = LinearTiles.Tiles(channels, SqueezeExciteArguments.Columns);
        int padded = tiles * SqueezeExciteArguments.Columns;
        DeviceValue x = Dense(op.Maps), y = NewValue(node, StoredType(node)), sums = NewMemory((long)maps[0] * parts * tiles * squeezed, StorageType.Float);
        DeviceValue squeeze = Fixed(_weights.TapsFirst(Key(op.Squeeze, 1), squeezed, channels, taps: 1, padded)), squeezeBias = Plain(op.Squeeze.Inputs[2]);
        DeviceValue excite = Fixed(_weights.TapsFirst(Key(op.Excite, 1), outer: 1, channels, squeezed, padded)), exciteBias = Fixed(_weights.Vector(Key(op.Excite, 2), channels));
        long flops = node.Flops + op.Between.Sum(n => n.Flops);
        Step(node, ParameterName(op.Squeeze.Inputs[1]), "SqueezeAndExcite", [x, sums], [y], 8L * channels * squeezed, flops, run => RowLaunches.SqueezeAndExcite(
            _session,
            new SqueezeExciteArguments
            {
                X = x.Resolve(run),
                XType = x.Type,
                Y = y.Resolve(run),
                Type = y.Type,
                SqueezeWeight = squeeze.Resolve(run),
                SqueezeBias = squeezeBias.Resolve(run),
                ExciteWeight = excite.Resolve(run),
                ExciteBias = exciteBias.Resolve(run),
                Sums = sums.Resolve(run),
            },
            maps[0],
            pixels,
            channels,
            squeezed,
            parts));

        static string Key(Node layer, int input) => ((Parameter)layer.Inputs[input].Operator).Key;
    }

    private void EmitMax(Node node)
    {
        Shape source = node.Inputs[0].Shape;
        EmitReduction(node, "Max", ReduceOperation.Max, source[0], checked((int)(source.Count / source[0])), inner: 1, scale: 1);
    }

    private void EmitReduction(Node node, string kind, ReduceOperation operation, int outer, int length, int inner, float scale)
    {
        DeviceValue x = Dense(node.Inputs[0]), y = NewValue(node, StoredType(node));
        int parts = inner == 1 ? RowLaunches.ReduceParts(_session, outer, length) : RowLaunches.ReduceColumnParts(_session, outer, inner, length);
        DeviceValue? workspace = parts > 1 ? NewMemory((long)outer * parts * inner, StorageType.Float) : null;
        Step(node, Name(node), kind, [x, workspace], [y], 0, flops: null, run =>
        {
            ReduceArguments arguments = new()
            {
                X = x.Resolve(run),
                XType = x.Type,
                Y = y.Resolve(run),
                Type = y.Type,
                Outer = outer,
                Length = length,
                Inner = inner,
                OuterStride = (long)length * inner,
                LengthStride = inner,
                Operation = operation,
                Scale = scale,
            };
            return inner == 1
                ? RowLaunches.ReduceRows(_session, arguments, parts, workspace?.Resolve(run) ?? 0)
                : RowLaunches.ReduceColumns(_session, arguments, parts, workspace?.Resolve(run) ?? 0);
        });
    }

    private void EmitFilter(Node node, SeparableFilter op)
    {
        DeviceValue x = Plain(node.Inputs[0]), y = NewValue(node, StorageType.Float), taps = Fixed(_weights.Table(op.Taps));
        Shape shape = node.Shape;
        Step(node, Name(node), $"SeparableFilter({op.Taps.Length})", [x], [y], 0, flops: null, run => PlaneLaunches.Filter(
            _session,
            new FilterArguments
            {
                X = x.Resolve(run),
                Y = y.Resolve(run),
                Taps = taps.Resolve(run),
                Radius = op.Taps.Length / 2,
                Height = shape[2],
                Width = shape[3],
                Border = op.Border == Border.Zero ? FilterBorder.Zero : FilterBorder.Reflect,
            },
            shape[0] * shape[1]));
    }

    private void EmitPool(Node node, AveragePool op)
    {
        DeviceValue x = Plain(node.Inputs[0]), y = NewValue(node, StorageType.Float);
        Shape source = node.Inputs[0].Shape, shape = node.Shape;
        Step(node, Name(node), $"AveragePool({op.Kernel}/{op.Stride})", [x], [y], 0, flops: null, run => PlaneLaunches.Pool(
            _session,
            new PoolArguments
            {
                X = x.Resolve(run),
                Y = y.Resolve(run),
                Height = source[2],
                Width = source[3],
                YHeight = shape[2],
                YWidth = shape[3],
                Kernel = op.Kernel,
                Stride = op.Stride,
                Operation = PoolOperation.Average,
            },
            shape[0] * shape[1]));
    }

    /// <summary>Interpolation, scaled by the node that takes it in, if one does.</summary>
    private void EmitResize(Node node, Resize op, Node result, float scale)
    {
        DeviceValue x = Plain(node.Inputs[0]), y = NewValue(result, StorageType.Float);
        Shape source = node.Inputs[0].Shape;
        int first = op.ChannelsLast ? 1 : 2, height = source[first], width = source[first + 1];
        Step(result, Name(result), result == node ? "Resize" : "Resize+Affine", [x], [y], 0, node.Flops, run => PlaneLaunches.Resize(
            _session,
            new ResizeArguments
            {
                X = x.Resolve(run),
                Y = y.Resolve(run),
                Channels = Divisor.Of(op.ChannelsLast ? source[3] : 1),
                Height = height,
                Width = width,
                YHeight = op.Height,
                YWidth = op.Width,
                RowStep = ResizeArguments.Step(height, op.Height, op.AlignCorners),
                ColumnStep = ResizeArguments.Step(width, op.Width, op.AlignCorners),
                AlignCorners = op.AlignCorners ? 1 : 0,
                Scale = scale,
            },
            op.ChannelsLast ? source[0] : source[0] * source[1]));
    }

    /// <summary>Distance of tokens, added to another map by the node that takes it in, if one does.</summary>
    private void EmitDistance(Node node, Node result, DeviceValue? addend)
    {
        DeviceValue a = Get(node.Inputs[0]), b = Get(node.Inputs[1]), y = NewValue(result, StorageType.Float);
        Shape tokens = node.Inputs[0].Shape;
        Step(result, Name(result), node.Operator.Name + (addend is null ? "" : "+Add"), [a, b, addend], [y], 0, node.Flops, run => RowLaunches.TokenDistance(
            _session,
            new DistanceArguments
            {
                A = a.Resolve(run),
                AStride = (int)a.RowStride,
                ABatchStride = a.Strides(tokens)[0],
                B = b.Resolve(run),
                BStride = (int)b.RowStride,
                BBatchStride = b.Strides(tokens)[0],
                Addend = addend?.Resolve(run) ?? 0,
                Y = y.Resolve(run),
                Tokens = tokens[1],
                Width = tokens[2],
                Measure = node.Operator is CosineDistance ? DistanceMeasure.Cosine : DistanceMeasure.Euclidean,
                Scale = 1,
            },
            tokens[0]));
    }

    private void EmitSimilarity(Node node, GradientMagnitudeSimilarity op)
    {
        DeviceValue a = Plain(node.Inputs[0]), b = Plain(node.Inputs[1]), y = NewValue(node, StorageType.Float);
        Shape shape = node.Shape;
        Step(node, Name(node), "GMS", [a, b], [y], 0, flops: null, run => PlaneLaunches.Similarity(
            _session,
            new GradientSimilarityArguments { A = a.Resolve(run), B = b.Resolve(run), Y = y.Resolve(run), Height = shape[2], Width = shape[3], C = op.C },
            shape[0] * shape[1]));
    }

    private void EmitStructuralSimilarity(Node node, StructuralSimilarity op)
    {
        DeviceValue a = Plain(node.Inputs[0]), b = Plain(node.Inputs[1]), y = NewValue(node, StorageType.Float), taps = Fixed(_weights.Table(op.Taps));
        Shape shape = node.Shape;
        Step(node, Name(node), $"SSIM({op.Taps.Length})", [a, b], [y], 0, flops: null, run => PlaneLaunches.StructuralSimilarity(
            _session,
            new StructuralSimilarityArguments
            {
                A = a.Resolve(run),
                B = b.Resolve(run),
                Y = y.Resolve(run),
                Taps = taps.Resolve(run),
                Radius = op.Taps.Length / 2,
                Height = shape[2],
                Width = shape[3],
                C1 = op.C1,
                C2 = op.C2,
            },
            shape[0] * shape[1]));
    }

    // ---- heads -----------------------------------------------------------------------------------------------------------------------------

    private void EmitRowFunction(Node node)
    {
        DeviceValue x = Dense(node.Inputs[0]), y = NewValue(node, StoredType(node));
        int rows = checked((int)Local(node).Rows);
        Step(node, Name(node), node.Operator.Name, [x], [y], 0, flops: null, run => RowLaunches.Function(
            _session,
            node.Operator is Softmax ? "softmax" : "squash",
            new RowArguments
            {
                X = x.Resolve(run),
                XType = x.Type,
                XStride = (int)x.RowStride,
                Y = y.Resolve(run),
                Type = y.Type,
                YStride = (int)y.RowStride,
                Rows = rows,
                Width = node.Shape[-1],
            }));
    }

    private void EmitMixtureLikelihood(Node node, MixtureLikelihood op)
    {
        DeviceValue x = Plain(node.Inputs[0]), shares = Plain(node.Inputs[1]), means = Plain(node.Inputs[2]), variances = Plain(node.Inputs[3]);
        DeviceValue y = NewValue(node, StorageType.Float);
        int rows = checked((int)Local(node).Count), width = node.Inputs[0].Shape[2];
        Step(node, Name(node), "MixtureLikelihood", [x, shares, means, variances], [y], 0, flops: null, run => RowLaunches.MixtureLikelihood(
            _session,
            new MixtureLikelihoodArguments
            {
                X = x.Resolve(run),
                Shares = shares.Resolve(run),
                Means = means.Resolve(run),
                LogVariances = variances.Resolve(run),
                Y = y.Resolve(run),
                Width = width,
                Components = node.Inputs[1].Shape[2],
                Constant = (float)Math.Log(2 * Math.PI) * (op.LogSumExp ? width : 1),
                LogSumExp = op.LogSumExp ? 1 : 0,
            },
            rows));
    }

    // ---- values ----------------------------------------------------------------------------------------------------------------------------

    /// <summary>A node's value as it is, possibly a view of rows or columns.</summary>
    private DeviceValue Get(Node node)
    {
        if (!_values.TryGetValue(node, out DeviceValue? value))
        {
            value = node.Operator switch
            {
                Parameter p => Fixed(_weights.Raw(p.Key, p.Shape.Count)),
                Constant c => Fixed(_weights.Constant(c.Value, c.Shape.Count)),
                _ => throw new InvalidOperationException($"{node} is read before it is computed"),
            };
            value = value with { RowStride = RowLength(node.Shape) };
            _values.Add(node, value);
        }

        return value;
    }

    /// <summary>A node's value, dense and row-major.</summary>
    private DeviceValue Dense(Node node)
    {
        DeviceValue value = Get(node);
        return value.RowStride == RowLength(Local(node)) && value.BatchStride == 0
            ? value
            : throw new InvalidOperationException($"{node} is needed dense, but was left as a view");
    }

    /// <summary>A node's value, dense and in float32.</summary>
    private DeviceValue Plain(Node node)
    {
        DeviceValue value = Dense(node);
        return value.Type == StorageType.Float ? value : throw new InvalidOperationException($"{node} is needed in float32, but is stored as {value.Type}");
    }

    /// <summary>A node's value as a matrix product takes it; converted and padded once for all its readers if its producer did not write it so.</summary>
    /// <param name="node">The node.</param>
    /// <param name="aligned">Whether every row has to begin at 16 bytes and to end there, filled up with zeros.</param>
    private DeviceValue Operand(Node node, bool aligned)
    {
        if (_operands.TryGetValue(node, out DeviceValue? operand))
        {
            return operand;
        }

        DeviceValue value = Get(node);
        if (value.Type == _operandType && (!aligned || _operandType == StorageType.Float || IsAligned(value, RowLength(node.Shape))))
        {
            return value;
        }

        Shape shape = Local(node);
        operand = NewOperand(node);
        Shape padded = shape.With(shape.Rank - 1, (int)operand.RowStride);
        ElementwiseArguments copy = new() { Scale = 1 };
        EmitElementwise(
            node, Name(node), $"To{operand.Type}", operand, operand.Strides(padded), padded, (value, value.Strides(shape)), null, copy, columns: shape[-1]);
        return operand;
    }

    /// <summary>Memory for a node's value in the operands' type, rows padded.</summary>
    private DeviceValue NewOperand(Node node)
    {
        Shape shape = Local(node);
        int granularity = OperandAlignment / _operandType.Bytes();
        long stride = (RowLength(shape) + granularity - 1) / granularity * granularity;
        DeviceValue operand = NewMemory(shape.Rows * stride, _operandType) with { RowStride = stride };
        _operands.Add(node, operand);
        return operand;
    }

    private static bool IsAligned(DeviceValue value, long columns)
    {
        int granularity = OperandAlignment / value.ElementBytes;
        return columns % granularity == 0 && value.RowStride % granularity == 0 && value.Offset % granularity == 0 && value.SliceStride % granularity == 0
            && value.BatchStride == 0;
    }

    /// <summary>The type in which a node's value is stored: the operands' if only products read it, and if its rows need no padding for that.</summary>
    private StorageType StoredType(Node node) =>
        _operandType != StorageType.Float && RowLength(node.Shape) % (OperandAlignment / _operandType.Bytes()) == 0 && (IsOperandOnly(node) || IsGated(node))
            ? _operandType
            : StorageType.Float;

    /// <summary>Whether only matrix products read a value, themselves or by way of what moves it.</summary>
    private bool IsOperandOnly(Node node) =>
        !IsResult(node) && Users(node).Any()
        && Users(node).All(u => ReadsAsOperand(u, node) || (MovesRows(u, node) && IsOperandOnly(u)));

    /// <summary>
    /// Whether a value is a depthwise convolution's that is read for its channels' means and for the product with the gates that follow from them, before the
    /// next linear layer: in half precision as good as the operand that it becomes, and half of the traffic.
    /// </summary>
    private bool IsGated(Node node)
    {
        return _operandType == StorageType.Half && node.Operator is Convolution { Groups: > 1 } && !IsResult(node) && Users(node).All(u => IsMean(u) || IsGate(u));

        bool IsMean(Node user) => user.Operator is Mean || (user.Operator is Reshape && !IsResult(user) && Users(user).All(IsMean));

        bool IsGate(Node user) => user.Operator is Binary { Function: BinaryFunction.Multiply } && IsOperandOnly(user);
    }

    /// <summary>Whether a node hands whole rows on as they are, or a range of them.</summary>
    private static bool MovesRows(Node user, Node value) =>
        user.Operator is Slice or Gather || (user.Operator is Reshape && RowLength(user.Shape) == RowLength(value.Shape));

    /// <summary>Whether a node reads a value as an operand of tensor cores, or, in half precision, as readily as in float32.</summary>
    private bool ReadsAsOperand(Node user, Node value) => user.Operator switch
    {
        Attention => true,
        Linear or Convolution { Groups: 1 } or TransposedConvolution => user.Inputs[0] == value && !user.Inputs.Skip(1).Contains(value),
        Convolution => _operandType == StorageType.Half && user.Inputs[0] == value && !user.Inputs.Skip(1).Contains(value),
        _ => false,
    };

    /// <summary>
    /// Whether a product's result can go where its residual lies, which nobody reads afterwards: not even a node whose work a later one does.
    /// </summary>
    private bool CanOverwrite(Node value, Node last) =>
        DiesAt(value, last) && StoredType(last) == StorageType.Float && !_placed.Contains(value)
        && Users(value).All(u => !_absorption.Absorbs(u));

    private DeviceValue InPlace(Node node, DeviceValue value)
    {
        _values[node] = value;
        return value;
    }

    /// <summary>Memory for a node's value, dense: its own, or its part of the concatenation that alone reads it.</summary>
    private DeviceValue NewValue(Node node, StorageType type)
    {
        Shape local = Local(node);
        bool crosses = Crosses(node);
        DeviceValue value = InConcat(node, type)
            ?? NewMemory(crosses ? node.Shape.Count : local.Count, type) with { RowStride = RowLength(local), SliceStride = crosses ? local.Count : 0 };
        _values[node] = value;
        return value;
    }

    /// <summary>A node's part of the concatenation that alone reads it, where that part is one piece.</summary>
    private DeviceValue? InConcat(Node node, StorageType type)
    {
        if (IsResult(node) || Users(node).Count() != 1 || Users(node).Single() is not { Operator: Concat op } concat
            || concat.Sliced != node.Sliced || Crosses(concat) || concat.Inputs.Count(i => i == node) != 1
            || type != StoredType(concat) || !Local(concat).Extents[..op.Axis].ToArray().All(e => e == 1) || op.Axis == concat.Shape.Rank - 1)
        {
            return null;
        }

        if (!_values.TryGetValue(concat, out DeviceValue? whole))
        {
            whole = NewValue(concat, StoredType(concat));
        }

        _placed.Add(node);
        long start = concat.Inputs.TakeWhile(i => i != node).Sum(i => Local(i)[op.Axis]);
        return whole.At(start * Inner(Local(concat), op.Axis));
    }

    private DeviceValue NewMemory(long elements, StorageType type) => new(NewBuffer(elements * type.Bytes()), default, 0, 1, 0, type);

    /// <summary>Memory for the sums of a product whose K is split; null where it is not.</summary>
    private DeviceValue? Workspace(LinearChoice choice) =>
        choice.Splits > 1 ? NewMemory(LinearLaunches.WorkspaceLength(choice), StorageType.Float) : null;

    private static DeviceValue Fixed(Interop.DeviceAddress address) => new(null, address, 0, 1, 0, StorageType.Float);

    /// <summary>The strides with which a value is read as a larger one: 0 along the dimensions that it lacks or has once.</summary>
    private static long[] Repeated(long[] strides, Shape source, Shape target)
    {
        int missing = target.Rank - source.Rank;
        return [.. Enumerable.Range(0, target.Rank).Select(i => i < missing || (source[i - missing] == 1 && target[i] != 1) ? 0 : strides[i - missing])];
    }

    private static void Touch(DeviceValue? value, int step) => value?.Buffer?.Touch(step);

    private void Step(
        Node node,
        string name,
        string kind,
        IEnumerable<DeviceValue?> reads,
        IEnumerable<DeviceValue?> writes,
        long extraBytes,
        long? flops,
        Func<DeviceRun, IReadOnlyList<KernelLaunch>> launches)
    {
        foreach (DeviceValue? value in reads.Concat(writes))
        {
            Touch(value, _steps.Count);
        }

        _steps.Add(new CudaStep(Describe(node, name, kind, extraBytes, flops), launches));
    }

    /// <summary>Maps (N, H, W, C) as an operand of products over windows.</summary>
    /// <param name="Value">Where they are.</param>
    /// <param name="Height">Rows of a map.</param>
    /// <param name="Width">Columns of a map.</param>
    /// <param name="Channels">Channels with padding.</param>
    /// <param name="Unit">Channels that the kernels copy at once.</param>
    private sealed record MapOperand(DeviceValue Value, int Height, int Width, int Channels, int Unit)
    {
        /// <summary>Bytes from a pixel to the one beside it.</summary>
        public int PixelBytes => (int)Value.RowStride * Value.ElementBytes;

        /// <summary>Bytes from a pixel to the one below it.</summary>
        public int RowBytes => checked(Width * PixelBytes);
    }
}
