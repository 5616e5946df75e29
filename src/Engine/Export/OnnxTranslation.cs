using System.Globalization;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Export;

/// <summary>Reads a parameter's values by its key.</summary>
internal delegate void ParameterReader(string key, Span<float> destination);

/// <summary>Turns a graph's operators into ONNX nodes, following the definitions on the operators' records.</summary>
internal sealed partial class OnnxTranslation
{
    // Rows (items times tokens) of a sliced region that are worth going through the layers together: ONNX Runtime's matrix products lose a quarter of
    // their speed when the activations of one layer leave the second-level cache.
    private const int RowsPerPortion = 800;

    private readonly OnnxModel _model;
    private readonly ParameterReader _read;
    private readonly ComputeGraph _computation;
    private readonly IReadOnlyDictionary<Node, string> _names;
    private readonly int _portions;
    private readonly List<string> _portionInputs = [];
    private OnnxGraph _graph;
    private string _name = "";
    private int _steps;

    /// <summary>Prepares a translation.</summary>
    /// <param name="model">Receives nodes and initialisers.</param>
    /// <param name="read">Reads parameters.</param>
    /// <param name="graph">What to translate.</param>
    /// <param name="names">Names of some nodes; the others get numbers.</param>
    public OnnxTranslation(OnnxModel model, ParameterReader read, ComputeGraph graph, IReadOnlyDictionary<Node, string> names)
    {
        _model = model;
        _read = read;
        _computation = graph;
        _names = names;
        _graph = model.Graph;
        _portions = Portions(graph);
    }

    private bool InPortion => _graph != _model.Graph;

    /// <summary>Translates the whole graph.</summary>
    /// <exception cref="NotSupportedException">An operator is one that passes make, not models.</exception>
    public void Run()
    {
        foreach (Node node in _computation.Nodes.Where(n => n.Operator is not (Parameter or Constant)))
        {
            if (node.Sliced && _portions > 1 && !InPortion)
            {
                _graph = new OnnxGraph("portion");
            }
            else if (!node.Sliced && InPortion)
            {
                EndPortions();
            }

            _name = NameOf(node);
            _steps = 0;
            if (!AddChannelsFirst(node))
            {
                Add(node);
            }
        }

        if (InPortion)
        {
            EndPortions();
        }

        foreach ((string output, Node node) in _computation.Outputs)
        {
            _ = Use(node);
            _model.Graph.AddOutput(output, node.Shape);
        }
    }

    /// <summary>Into how many equal portions the sliced region is cut.</summary>
    private static int Portions(ComputeGraph graph)
    {
        Node? first = graph.Nodes.FirstOrDefault(n => n is { Sliced: true, Operator: Gather });
        if (first?.Operator is not Gather gather)
        {
            return 1;
        }

        int items = gather.Items;
        long rows = first.Shape.Rows;
        return Enumerable.Range(1, items).First(p => items % p == 0 && (rows / p <= RowsPerPortion || p == items));
    }

    /// <summary>
    /// Closes the body and calls it once per portion. A result has the portion in front: (portions, N · items of a portion, …); its items are put back
    /// in the order (N · items, …).
    /// </summary>
    private void EndPortions()
    {
        OnnxGraph body = _graph;
        IEnumerable<Node> users = _computation.Nodes.Where(n => !n.Sliced);
        HashSet<Node> used = [.. users.SelectMany(n => n.Inputs).Concat(_computation.Outputs.Values).Where(n => n.Sliced)];
        Node[] results = [.. used.OrderBy(n => n.Id)];
        foreach (Node result in results)
        {
            body.AddOutput(NameOf(result), Extents(result));
        }

        _graph = _model.Graph;
        _graph.AddNode(
            "Scan",
            [.. results.Select(r => NameOf(r) + "/portions")],
            _portionInputs,
            OnnxAttribute.Of("body", body),
            OnnxAttribute.Of("num_scan_inputs", _portionInputs.Count));
        foreach (Node result in results)
        {
            _name = NameOf(result);
            _steps = 0;
            int pictures = _computation.Nodes.First(n => n.Operator is Input).Shape[0];
            int[] rest = result.Shape.Extents[1..].ToArray();
            int[] trailing = [.. Enumerable.Range(3, rest.Length)];
            string x = Step("Reshape", [_name + "/portions", Integers([_portions, pictures, result.Shape[0] / pictures / _portions, .. rest])]);
            x = Step("Transpose", [x], OnnxAttribute.Of("perm", [1, 0, 2, .. trailing]));
            Result("Reshape", [x, Shape(result)]);
        }
    }

    private void Add(Node node)
    {
        switch (node.Operator)
        {
            case Input op:
                _graph.AddInput(op.Key, op.Shape);
                break;
            case Linear { Activation: Activation.None, HasResidual: false } op:
                Project(Use(node.Inputs[0]), node.Inputs[1], op.HasBias ? node.Inputs[2] : null);
                break;
            case PatchEmbedding op:
                PatchEmbedding(op, node);
                break;
            case LayerNorm op:
                Result("LayerNormalization", [.. node.Inputs.Select(Use)], OnnxAttribute.Of("axis", -1), OnnxAttribute.Of("epsilon", op.Epsilon));
                break;
            case Attention op:
                Attention(op, node);
                break;
            case Unary or Binary or Affine:
                Elementwise(node, [.. node.Inputs.Select(Use)]);
                break;
            case Softmax:
                Result("Softmax", [Use(node.Inputs[0])], OnnxAttribute.Of("axis", -1));
                break;
            case Reshape:
                Result("Reshape", [Use(node.Inputs[0]), Shape(node)]);
                break;
            case Permute op:
                Result("Transpose", [Use(node.Inputs[0])], OnnxAttribute.Of("perm", op.Axes));
                break;
            case Slice op:
                Result("Slice", [Use(node.Inputs[0]), Integers(op.Start), Integers(op.Start + op.Length), Integers(op.Axis)]);
                break;
            case Concat op:
                Result("Concat", [.. node.Inputs.Select(Use)], OnnxAttribute.Of("axis", op.Axis));
                break;
            case Broadcast:
                Result("Expand", [Use(node.Inputs[0]), Shape(node)]);
                break;
            case Gather op:
                GatherRows(op, node);
                break;
            case Mean op:
                Result("ReduceMean", [Use(node.Inputs[0]), Integers(op.Axis)], OnnxAttribute.Of("keepdims", op.KeepDimension ? 1 : 0));
                break;
            case MaxPerImage:
                string flat = Step("Reshape", [Use(node.Inputs[0]), Integers(Extents(node)[0], -1)]);
                Result("ReduceMax", [flat, Integers(1)], OnnxAttribute.Of("keepdims", 0));
                break;
            case SeparableFilter op:
                Filter(op, stride: 1, firstTap: -(op.Taps.Length / 2), node);
                break;
            case AveragePool op:
                Pool(op, node);
                break;
            case Resize op:
                Result("Resize", [Use(node.Inputs[0]), "", "", Shape(node)], Interpolation(op));
                break;
            case EuclideanDistance:
                Result("ReduceL2", [Step("Sub", [.. node.Inputs.Select(Use)]), Integers(-1)], OnnxAttribute.Of("keepdims", 0));
                break;
            case Squash:
                ShrinkCapsule(Use(node.Inputs[0]));
                break;
            case MixtureLikelihood op:
                MixtureLikelihood(op, node);
                break;
            case StructuralSimilarity op:
                StructuralSimilarity(op, node);
                break;
            case CosineDistance:
                Cosine(Use(node.Inputs[0]), Use(node.Inputs[1]));
                break;
            case GradientMagnitudeSimilarity op:
                GradientMagnitudeSimilarity(op, node);
                break;
            default:
                throw new NotSupportedException($"{node} has no translation into ONNX");
        }
    }

    /// <summary>x Wᵀ + b. The weight is stored transposed, as MatMul wants it, so that a runtime can pack it once at load.</summary>
    private void Project(string x, Node weight, Node? bias)
    {
        int n = weight.Shape[0], k = (int)(weight.Shape.Count / n);
        string transposed = weight.Operator is not Parameter
            ? Step("Transpose", [Step("Reshape", [Use(weight), Integers(n, k)])], OnnxAttribute.Of("perm", [1, 0]))
            : _model.AddTensor(Key(weight) + ".transposed", new Shape(k, n), values =>
        {
            float[] rows = new float[values.Length];
            _read(Key(weight), rows);
            for (int i = 0; i < k; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    values[(i * n) + j] = rows[(j * k) + i];
                }
            }
        });
        if (bias is null)
        {
            Result("MatMul", [x, transposed]);
        }
        else
        {
            Result("Add", [Step("MatMul", [x, transposed]), Use(bias)]);
        }
    }

    private void PatchEmbedding(PatchEmbedding op, Node node)
    {
        Node weight = node.Inputs[1], bias = node.Inputs[2];
        string x = Use(node.Inputs[0]);
        Shape picture = Extents(node.Inputs[0]), y = Extents(node);
        int p = op.Patch, rows = picture[2] / p, columns = picture[3] / p;
        if (op.Order == PatchOrder.ChannelRowColumn)
        {
            string kernel = _model.AddTensor(Key(weight), new Shape(y[2], picture[1], p, p), values => _read(Key(weight), values));
            string maps = Step("Conv", [x, kernel, Use(bias)], OnnxAttribute.Of("kernel_shape", [p, p]), OnnxAttribute.Of("strides", [p, p]));
            Result("Transpose", [Step("Reshape", [maps, Integers(y[0], y[2], y[1])])], OnnxAttribute.Of("perm", [0, 2, 1]));
        }
        else
        {
            string cut = Step("Reshape", [x, Integers(picture[0], picture[1], rows, p, columns, p)]);
            cut = Step("Transpose", [cut], OnnxAttribute.Of("perm", [0, 2, 4, 3, 5, 1]));
            Project(Step("Reshape", [cut, Integers(y[0], y[1], p * p * picture[1])]), weight, bias);
        }
    }

    private void Attention(Attention op, Node node)
    {
        string q = Step("Mul", [Heads(node.Inputs[0], 0, 2, 1, 3), _model.AddScalar(op.Scale)]);
        string logits = Step("MatMul", [q, Heads(node.Inputs[1], 0, 2, 3, 1)]);
        if (op.Mask is NeighborMask mask)
        {
            logits = Step("Add", [logits, Blocked(mask)]);
        }

        string o = Step("MatMul", [Step("Softmax", [logits], OnnxAttribute.Of("axis", -1)), Heads(node.Inputs[2], 0, 2, 1, 3)]);
        Result("Reshape", [Step("Transpose", [o], OnnxAttribute.Of("perm", [0, 2, 1, 3])), Shape(node)]);

        string Heads(Node x, params int[] order)
        {
            string split = Step("Reshape", [Use(x), Integers(Extents(x)[0], x.Shape[1], op.Heads, x.Shape[2] / op.Heads)]);
            return Step("Transpose", [split], OnnxAttribute.Of("perm", order));
        }
    }

    /// <summary>What a mask adds to the logits, (queries, keys).</summary>
    private string Blocked(NeighborMask mask)
    {
        int tokens = mask.Height * mask.Width;
        return _model.AddTensor($"{mask}", new Shape(tokens, tokens), values =>
        {
            for (int q = 0; q < tokens; q++)
            {
                for (int k = 0; k < tokens; k++)
                {
                    bool near = Math.Abs((q / mask.Width) - (k / mask.Width)) <= mask.RadiusY && Math.Abs((q % mask.Width) - (k % mask.Width)) <= mask.RadiusX;
                    values[(q * tokens) + k] = near ? float.NegativeInfinity : 0;
                }
            }
        });
    }

    private static OnnxAttribute[] Interpolation(Resize op) =>
    [
        OnnxAttribute.Of("mode", "linear"),
        OnnxAttribute.Of("coordinate_transformation_mode", op.AlignCorners ? "align_corners" : "half_pixel"),
    ];

    /// <summary>Arithmetic element by element on operands in whatever order they have in common.</summary>
    private void Elementwise(Node node, string[] x)
    {
        switch (node.Operator)
        {
            case Unary { Function: UnaryFunction.Square }:
                Result("Mul", [x[0], x[0]]);
                break;
            case Unary { Function: UnaryFunction.Swish }:
                Result("Mul", [x[0], Step("Sigmoid", x)]);
                break;
            case Unary { Function: UnaryFunction.ReciprocalSqrt }:
                Result("Reciprocal", [Step("Sqrt", x)]);
                break;
            case Unary op:
                // The other functions bear ONNX's names.
                Result(op.Function.ToString(), x);
                break;
            case Binary op:
                Result(op.Function switch { BinaryFunction.Add => "Add", BinaryFunction.Subtract => "Sub", BinaryFunction.Divide => "Div", _ => "Mul" }, x);
                break;
            default:
                ScaleAndShift((Affine)node.Operator, x[0]);
                break;
        }
    }

    private void ShrinkCapsule(string s)
    {
        string norm = Step("ReduceL2", [s, Integers(-1)], OnnxAttribute.Of("keepdims", 1));
        string below = Step("Add", [Step("Mul", [norm, norm]), _model.AddScalar(1)]);
        Result("Mul", [Step("Div", [s, norm]), Step("Div", [Step("Mul", [norm, norm]), below])]);
    }

    private void MixtureLikelihood(MixtureLikelihood op, Node node)
    {
        Shape x = Extents(node.Inputs[0]);
        int k = node.Inputs[1].Shape[2];
        string pi = Use(node.Inputs[1]), split = Integers(x[0], x[1], x[2], k);
        string mu = Step("Reshape", [Use(node.Inputs[2]), split]), variance = Step("Reshape", [Use(node.Inputs[3]), split]);
        string difference = Step("Sub", [Step("Unsqueeze", [Use(node.Inputs[0]), Integers(-1)]), mu]);
        string weighted = Step("Mul", [Step("Mul", [difference, difference]), Step("Exp", [Step("Neg", [variance])])]);
        string sum = Step("ReduceSum", [Step("Add", [variance, weighted]), Integers(2)], OnnxAttribute.Of("keepdims", 0));
        double logTwoPi = Math.Log(2 * Math.PI) * (op.LogSumExp ? x[2] : 1);
        string each = Step("Mul", [Step("Add", [sum, _model.AddScalar((float)logTwoPi)]), _model.AddScalar(0.5f)]);
        if (op.LogSumExp)
        {
            string logDensity = Step("Sub", [Step("Log", [pi]), each]);
            Result("Neg", [Step("ReduceLogSumExp", [logDensity, Integers(-1)], OnnxAttribute.Of("keepdims", 0))]);
        }
        else
        {
            Result("ReduceSum", [Step("Mul", [pi, each]), Integers(-1)], OnnxAttribute.Of("keepdims", 0));
        }
    }

    private void StructuralSimilarity(StructuralSimilarity op, Node node)
    {
        SeparableFilter window = new(op.Taps, Border.Zero);
        (string rows, string columns) = FilterMatrices(window, stride: 1, firstTap: -(op.Taps.Length / 2), Extents(node), Extents(node));
        string a = Use(node.Inputs[0]), b = Use(node.Inputs[1]), c1 = _model.AddScalar(op.C1), c2 = _model.AddScalar(op.C2), two = _model.AddScalar(2);
        string meanA = Mean(a), meanB = Mean(b), squareA = Product(meanA, meanA), squareB = Product(meanB, meanB), product = Product(meanA, meanB);
        string varianceA = Step("Sub", [Mean(Product(a, a)), squareA]), varianceB = Step("Sub", [Mean(Product(b, b)), squareB]);
        string covariance = Step("Sub", [Mean(Product(a, b)), product]);
        string above = Product(Sum(Product(product, two), c1), Sum(Product(covariance, two), c2));
        string below = Product(Sum(Sum(squareA, squareB), c1), Sum(Sum(varianceA, varianceB), c2));
        Result("Div", [above, below]);

        string Mean(string x) => Step("MatMul", [Step("MatMul", [rows, x]), columns]);
        string Product(string x, string y) => Step("Mul", [x, y]);
        string Sum(string x, string y) => Step("Add", [x, y]);
    }

    private void ScaleAndShift(Affine op, string x)
    {
        string[] product = [x, _model.AddScalar(op.Scale)];
        if (op.Offset == 0)
        {
            Result("Mul", product);
        }
        else
        {
            Result("Add", [Step("Mul", product), _model.AddScalar(op.Offset)]);
        }
    }

    private void GatherRows(Gather op, Node node)
    {
        int items = op.Items / (InPortion ? _portions : 1), tokens = op.Indices.Length / op.Items;
        string indices = _name + ".indices";
        if (InPortion)
        {
            // The body gets the indices of one portion; the table is seen through from outside.
            _portionInputs.Add(_model.AddIntegers(indices + "/portions", new Shape(_portions, items, tokens), op.Indices));
            _graph.AddInput(indices, new Shape(items, tokens), OnnxElement.Int64);
        }
        else
        {
            _model.AddIntegers(indices, new Shape(items, tokens), op.Indices);
        }

        string rows = Step("Gather", [Use(node.Inputs[0]), indices], OnnxAttribute.Of("axis", 1));
        Result("Reshape", [rows, Shape(node)]);
    }

    /// <summary>Squares that overlap are a filter; others are the runtime's own operator.</summary>
    private void Pool(AveragePool op, Node node)
    {
        if (op.Kernel > op.Stride)
        {
            float[] taps = [.. Enumerable.Repeat(1f / op.Kernel, op.Kernel)];
            Filter(new SeparableFilter(taps, Border.Zero), op.Stride, firstTap: 0, node);
        }
        else
        {
            OnnxAttribute kernel = OnnxAttribute.Of("kernel_shape", [op.Kernel, op.Kernel]);
            Result("AveragePool", [Use(node.Inputs[0])], kernel, OnnxAttribute.Of("strides", [op.Stride, op.Stride]));
        }
    }

    /// <summary>
    /// A filter with its border rule is a matrix for each of the two axes: rows · x · columnsᵀ. That is exact for either border, also where the filter
    /// is larger than the picture, and many times faster in ONNX Runtime than a convolution or pooling of one channel.
    /// </summary>
    /// <param name="op">The filter.</param>
    /// <param name="stride">Pixels from one result to the next.</param>
    /// <param name="firstTap">Where the first tap lies, seen from the result's pixel.</param>
    /// <param name="node">The node.</param>
    private void Filter(SeparableFilter op, int stride, int firstTap, Node node)
    {
        (string rows, string columns) = FilterMatrices(op, stride, firstTap, Extents(node.Inputs[0]), Extents(node));
        Result("MatMul", [Step("MatMul", [rows, Use(node.Inputs[0])]), columns]);
    }

    private (string Rows, string Columns) FilterMatrices(SeparableFilter op, int stride, int firstTap, Shape x, Shape y)
    {
        string rows = _model.AddTensor(_name + ".rows", new Shape(y[2], x[2]), matrix => Fill(matrix, y[2], x[2], transposed: false));
        string columns = _model.AddTensor(_name + ".columns", new Shape(x[3], y[3]), matrix => Fill(matrix, y[3], x[3], transposed: true));
        return (rows, columns);

        void Fill(Span<float> matrix, int targets, int sources, bool transposed)
        {
            for (int target = 0; target < targets; target++)
            {
                for (int t = 0; t < op.Taps.Length; t++)
                {
                    int source = (target * stride) + firstTap + t;
                    if (op.Border == Border.Reflect)
                    {
                        int period = 2 * sources;
                        source = ((source % period) + period) % period;
                        source = Math.Min(source, period - 1 - source);
                    }

                    if (source >= 0 && source < sources)
                    {
                        matrix[transposed ? (source * targets) + target : (target * sources) + source] += op.Taps[t];
                    }
                }
            }
        }
    }

    private void Cosine(string a, string b)
    {
        string dot = Step("ReduceSum", [Step("Mul", [a, b]), Integers(-1)], OnnxAttribute.Of("keepdims", 0));
        string cosine = Step("Div", [dot, Step("Mul", [Norm(a), Norm(b)])]);
        Result("Sub", [_model.AddScalar(1), cosine]);

        string Norm(string x) => Step(
            "Max",
            [Step("ReduceL2", [x, Integers(-1)], OnnxAttribute.Of("keepdims", 0)), _model.AddScalar(CosineDistance.Epsilon)]);
    }

    private void GradientMagnitudeSimilarity(GradientMagnitudeSimilarity op, Node node)
    {
        Shape shape = Extents(node);
        const float Third = 1f / 3;
        float[] prewitt =
        [
            Third, 0, -Third, Third, 0, -Third, Third, 0, -Third,
            Third, Third, Third, 0, 0, 0, -Third, -Third, -Third,
        ];
        string kernels = _model.AddTensor("prewitt", new Shape(2, 1, 3, 3), values => prewitt.CopyTo(values));
        (string a, string squaredA) = Magnitude(node.Inputs[0]);
        (string b, string squaredB) = Magnitude(node.Inputs[1]);
        string above = Step("Add", [Step("Mul", [Step("Mul", [a, b]), _model.AddScalar(2)]), _model.AddScalar(op.C)]);
        string below = Step("Add", [Step("Add", [squaredA, squaredB]), _model.AddScalar(op.C + 1e-12f)]);
        Result("Reshape", [Step("Div", [above, below]), Shape(node)]);

        // Every channel as a picture of its own; the convolution's two channels are gx and gy.
        (string Magnitude, string Squared) Magnitude(Node x)
        {
            string pictures = Step("Reshape", [Use(x), Integers(shape[0] * shape[1], 1, shape[2], shape[3])]);
            string gradients = Step("Conv", [pictures, kernels], OnnxAttribute.Of("kernel_shape", [3, 3]), OnnxAttribute.Of("pads", [1, 1, 1, 1]));
            string squared = Step("ReduceSumSquare", [gradients, Integers(1)], OnnxAttribute.Of("keepdims", 1));
            squared = Step("Add", [squared, _model.AddScalar(1e-12f)]);
            return (Step("Sqrt", [squared]), squared);
        }
    }

    /// <summary>An operand's name; a parameter or constant becomes an initialiser the first time.</summary>
    private string Use(Node node) => node.Operator switch
    {
        Table op => _model.AddTensor(op.Key, op.Shape, values => op.Values.CopyTo(values)),
        Parameter op => _model.AddTensor(op.Key, op.Shape, values => _read(op.Key, values)),
        Constant op => _model.AddTensor(NameOf(node), op.Shape, values => values.Fill(op.Value)),
        _ when _last.TryGetValue(node, out string? name) => name,
        _ => IsFirst(node) ? Last(node) : NameOf(node),
    };

    private static string Key(Node weight) =>
        weight.Operator is Parameter op ? op.Key : throw new NotSupportedException($"{weight} is used as a weight but is no parameter");

    /// <summary>A value's name; that of one portion differs from that of the whole.</summary>
    private string NameOf(Node node)
    {
        string name = node.Operator is Input op ? op.Key : _names.TryGetValue(node, out string? given) ? given : $"value{node.Id}";
        return InPortion && node.Sliced ? name + "/portion" : name;
    }

    /// <summary>A value's shape: in the sliced region that of one portion.</summary>
    private Shape Extents(Node node) => InPortion && node.Sliced ? node.Shape.With(0, node.Shape[0] / _portions) : node.Shape;

    /// <summary>An intermediate result of the current node.</summary>
    private string Step(string type, string[] inputs, params OnnxAttribute[] attributes)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{_name}/{++_steps}");
        _graph.AddNode(type, [name], inputs, attributes);
        return name;
    }

    /// <summary>The current node's result.</summary>
    private void Result(string type, string[] inputs, params OnnxAttribute[] attributes) => _graph.AddNode(type, [_name], inputs, attributes);

    private string Shape(Node node) => Integers(Extents(node).Extents.ToArray());

    private string Integers(params int[] values) =>
        _model.AddIntegers("[" + string.Join(", ", values) + "]", new Shape(values.Length), values);
}
