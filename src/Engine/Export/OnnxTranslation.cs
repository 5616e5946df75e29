using System.Globalization;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Export;

/// <summary>Reads a parameter's values by its key.</summary>
internal delegate void ParameterReader(string key, Span<float> destination);

/// <summary>Turns the graph's operators into ONNX nodes, following the definitions on the operators' records.</summary>
internal sealed class OnnxTranslation(OnnxModel model, ParameterReader read, IReadOnlyDictionary<Node, string> names)
{
    private string _name = "";
    private int _steps;

    /// <summary>Adds a node whose operands have been added.</summary>
    /// <exception cref="NotSupportedException">The operator is one that passes make, not models.</exception>
    public void Add(Node node)
    {
        _name = NameOf(node);
        _steps = 0;
        switch (node.Operator)
        {
            case Input op:
                model.AddInput(op.Key, op.Shape);
                break;
            case Parameter or Constant:
                break; // Becomes an initialiser where it is used.
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
            case Unary { Function: UnaryFunction.Square }:
                Result("Mul", [Use(node.Inputs[0]), Use(node.Inputs[0])]);
                break;
            case Unary op:
                Result(op.Function == UnaryFunction.Gelu ? "Gelu" : "Relu", [Use(node.Inputs[0])]);
                break;
            case Binary op:
                Result(
                    op.Function switch { BinaryFunction.Add => "Add", BinaryFunction.Subtract => "Sub", _ => "Mul" },
                    [Use(node.Inputs[0]), Use(node.Inputs[1])]);
                break;
            case Affine op:
                Affine(op, Use(node.Inputs[0]));
                break;
            case Reshape op:
                Result("Reshape", [Use(node.Inputs[0]), Shape(op.Shape)]);
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
            case Broadcast op:
                Result("Expand", [Use(node.Inputs[0]), Shape(op.Shape)]);
                break;
            case Gather op:
                Gather(op, node);
                break;
            case Mean op:
                Result("ReduceMean", [Use(node.Inputs[0]), Integers(op.Axis)], OnnxAttribute.Of("keepdims", op.KeepDimension ? 1 : 0));
                break;
            case MaxPerImage:
                string flat = Step("Reshape", [Use(node.Inputs[0]), Integers(node.Shape[0], -1)]);
                Result("ReduceMax", [flat, Integers(1)], OnnxAttribute.Of("keepdims", 0));
                break;
            case SeparableFilter op:
                Filter(op, node);
                break;
            case AveragePool op:
                Result(
                    "AveragePool",
                    [Use(node.Inputs[0])],
                    OnnxAttribute.Of("kernel_shape", [op.Kernel, op.Kernel]),
                    OnnxAttribute.Of("strides", [op.Stride, op.Stride]));
                break;
            case Resize op:
                Result(
                    "Resize",
                    [Use(node.Inputs[0]), "", "", Shape(node.Shape)],
                    OnnxAttribute.Of("mode", "linear"),
                    OnnxAttribute.Of("coordinate_transformation_mode", op.AlignCorners ? "align_corners" : "half_pixel"));
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
        string transposed = model.AddTensor(Key(weight) + ".transposed", new Shape(k, n), values =>
        {
            float[] rows = new float[values.Length];
            read(Key(weight), rows);
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
        Shape picture = node.Inputs[0].Shape, y = node.Shape;
        int p = op.Patch, rows = picture[2] / p, columns = picture[3] / p;
        if (op.Order == PatchOrder.ChannelRowColumn)
        {
            string kernel = model.AddTensor(Key(weight), new Shape(y[2], picture[1], p, p), values => read(Key(weight), values));
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
        string q = Step("Mul", [Heads(node.Inputs[0], 0, 2, 1, 3), model.AddScalar(op.Scale)]);
        string logits = Step("MatMul", [q, Heads(node.Inputs[1], 0, 2, 3, 1)]);
        string o = Step("MatMul", [Step("Softmax", [logits], OnnxAttribute.Of("axis", -1)), Heads(node.Inputs[2], 0, 2, 1, 3)]);
        Result("Reshape", [Step("Transpose", [o], OnnxAttribute.Of("perm", [0, 2, 1, 3])), Shape(node.Shape)]);

        string Heads(Node x, params int[] order)
        {
            string split = Step("Reshape", [Use(x), Integers(x.Shape[0], x.Shape[1], op.Heads, x.Shape[2] / op.Heads)]);
            return Step("Transpose", [split], OnnxAttribute.Of("perm", order));
        }
    }

    private void Affine(Affine op, string x)
    {
        string[] product = [x, model.AddScalar(op.Scale)];
        if (op.Offset == 0)
        {
            Result("Mul", product);
        }
        else
        {
            Result("Add", [Step("Mul", product), model.AddScalar(op.Offset)]);
        }
    }

    private void Gather(Gather op, Node node)
    {
        string indices = model.AddIntegers(_name + ".indices", new Shape(op.Items, op.Indices.Length / op.Items), op.Indices);
        string rows = Step("Gather", [Use(node.Inputs[0]), indices], OnnxAttribute.Of("axis", 1));
        Result("Reshape", [rows, Shape(node.Shape)]);
    }

    /// <summary>
    /// A filter with its border rule is a matrix for each of the two axes: rows · x · columnsᵀ. That is exact for either border, also where the filter
    /// is larger than the picture, and faster than a convolution of one channel.
    /// </summary>
    private void Filter(SeparableFilter op, Node node)
    {
        int height = node.Shape[2], width = node.Shape[3];
        string rows = model.AddTensor(_name + ".rows", new Shape(height, height), m => FillFilter(m, op, height, transposed: false));
        string columns = model.AddTensor(_name + ".columns", new Shape(width, width), m => FillFilter(m, op, width, transposed: true));
        Result("MatMul", [Step("MatMul", [rows, Use(node.Inputs[0])]), columns]);
    }

    private static void FillFilter(Span<float> matrix, SeparableFilter op, int n, bool transposed)
    {
        int radius = op.Taps.Length / 2;
        for (int target = 0; target < n; target++)
        {
            for (int t = 0; t < op.Taps.Length; t++)
            {
                int source = target + t - radius;
                if (op.Border == Border.Reflect)
                {
                    source = ((source % (2 * n)) + (2 * n)) % (2 * n);
                    source = Math.Min(source, (2 * n) - 1 - source);
                }

                if (source >= 0 && source < n)
                {
                    matrix[transposed ? (source * n) + target : (target * n) + source] += op.Taps[t];
                }
            }
        }
    }

    private void Cosine(string a, string b)
    {
        string dot = Step("ReduceSum", [Step("Mul", [a, b]), Integers(-1)], OnnxAttribute.Of("keepdims", 0));
        string cosine = Step("Div", [dot, Step("Mul", [Norm(a), Norm(b)])]);
        Result("Sub", [model.AddScalar(1), cosine]);

        string Norm(string x) => Step(
            "Max",
            [Step("ReduceL2", [x, Integers(-1)], OnnxAttribute.Of("keepdims", 0)), model.AddScalar(CosineDistance.Epsilon)]);
    }

    private void GradientMagnitudeSimilarity(GradientMagnitudeSimilarity op, Node node)
    {
        Shape shape = node.Shape;
        const float Third = 1f / 3;
        float[] prewitt =
        [
            Third, 0, -Third, Third, 0, -Third, Third, 0, -Third,
            Third, Third, Third, 0, 0, 0, -Third, -Third, -Third,
        ];
        string kernels = model.AddTensor("prewitt", new Shape(2, 1, 3, 3), values => prewitt.CopyTo(values));
        (string a, string squaredA) = Magnitude(node.Inputs[0]);
        (string b, string squaredB) = Magnitude(node.Inputs[1]);
        string above = Step("Add", [Step("Mul", [Step("Mul", [a, b]), model.AddScalar(2)]), model.AddScalar(op.C)]);
        string below = Step("Add", [Step("Add", [squaredA, squaredB]), model.AddScalar(op.C + 1e-12f)]);
        Result("Reshape", [Step("Div", [above, below]), Shape(shape)]);

        // Every channel as a picture of its own; the convolution's two channels are gx and gy.
        (string Magnitude, string Squared) Magnitude(Node x)
        {
            string pictures = Step("Reshape", [Use(x), Integers(shape[0] * shape[1], 1, shape[2], shape[3])]);
            string gradients = Step("Conv", [pictures, kernels], OnnxAttribute.Of("kernel_shape", [3, 3]), OnnxAttribute.Of("pads", [1, 1, 1, 1]));
            string squared = Step("ReduceSumSquare", [gradients, Integers(1)], OnnxAttribute.Of("keepdims", 1));
            squared = Step("Add", [squared, model.AddScalar(1e-12f)]);
            return (Step("Sqrt", [squared]), squared);
        }
    }

    /// <summary>An operand's name; a parameter or constant becomes an initialiser the first time.</summary>
    private string Use(Node node) => node.Operator switch
    {
        Parameter op => model.AddTensor(op.Key, op.Shape, values => read(op.Key, values)),
        Constant op => model.AddTensor(NameOf(node), op.Shape, values => values.Fill(op.Value)),
        _ => NameOf(node),
    };

    private static string Key(Node weight) =>
        weight.Operator is Parameter op ? op.Key : throw new NotSupportedException($"{weight} is used as a weight but is no parameter");

    private string NameOf(Node node) => node.Operator is Input op ? op.Key : names.TryGetValue(node, out string? name) ? name : $"value{node.Id}";

    /// <summary>An intermediate result of the current node.</summary>
    private string Step(string type, string[] inputs, params OnnxAttribute[] attributes)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{_name}/{++_steps}");
        model.AddNode(type, name, inputs, attributes);
        return name;
    }

    /// <summary>The current node's result.</summary>
    private void Result(string type, string[] inputs, params OnnxAttribute[] attributes) => model.AddNode(type, _name, inputs, attributes);

    private string Shape(Shape shape) => Integers(shape.Extents.ToArray());

    private string Integers(params int[] values) =>
        model.AddIntegers("[" + string.Join(", ", values) + "]", new Shape(values.Length), values);
}
