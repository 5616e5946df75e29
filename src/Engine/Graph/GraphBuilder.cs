using KernelAD.Models;
using KernelAD.Tensors;

namespace KernelAD.Graph;

/// <summary>
/// What a model writes its graph with: one method per operator, each returning the new value. Parameters are named by their keys in the model file.
/// </summary>
public sealed class GraphBuilder
{
    private readonly Dictionary<string, TensorSpec> _tensors;
    private readonly Func<string, bool> _present;
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<string, Node> _parameters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Node> _outputs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Node> _taps = new(StringComparer.Ordinal);
    private bool _sliced;

    private GraphBuilder(Model model, Func<string, bool> present)
    {
        _tensors = model.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        _present = present;
    }

    /// <summary>Builds a model's graph.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">Pictures per run.</param>
    /// <param name="present">Whether the model file holds an optional tensor; a missing one counts as zeros.</param>
    public static ComputeGraph Build(Model model, int batch, Func<string, bool> present)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        GraphBuilder g = new(model, present);
        model.Build(g, batch);
        return new ComputeGraph(g._nodes, g._outputs, g._taps);
    }

    /// <summary>The network's input.</summary>
    public Node Input(string key, Shape shape) => Add(new Input(key, shape));

    /// <summary>A tensor of the model file; zeros if it is optional and missing.</summary>
    public Node Parameter(string key)
    {
        if (!_parameters.TryGetValue(key, out Node? node))
        {
            TensorSpec spec = _tensors.TryGetValue(key, out TensorSpec? found)
                ? found
                : throw new ArgumentException($"the model does not list a tensor \"{key}\"", nameof(key));
            bool outer = _sliced;
            _sliced = false;
            node = spec.Optional && !_present(key) ? Add(new Constant(0, spec.Shape)) : Add(new Parameter(key, spec.Shape));
            _sliced = outer;
            _parameters.Add(key, node);
        }

        return node;
    }

    /// <summary>Fixed values that follow from the configuration, under a name unlike every tensor's.</summary>
    public Node Table(string key, float[] values, params ReadOnlySpan<int> extents)
    {
        if (!_parameters.TryGetValue(key, out Node? node))
        {
            Shape shape = new(extents);
            bool outer = _sliced;
            _sliced = false;
            node = Add(new Table(key, values, shape));
            _sliced = outer;
            _parameters.Add(key, node);
        }

        return node;
    }

    /// <summary>Declares a result of every run.</summary>
    public Node Output(string name, Node node)
    {
        _outputs.Add(name, node);
        return node;
    }

    /// <summary>Names an intermediate so that it can be asked for, and returns it.</summary>
    public Node Tap(string name, Node node)
    {
        _taps.Add(name, node);
        return node;
    }

    /// <summary>
    /// Begins the graph's sliced region (at most one a graph), which ends with the returned object's disposal. In it the first dimension of every
    /// value counts independent items, so that a plan may process a few at a time.
    /// </summary>
    public IDisposable SlicedRegion()
    {
        _sliced = true;
        return new RegionEnd(this);
    }

    /// <summary>Linear layer with the parameters <c>prefix.weight</c> and <c>prefix.bias</c>.</summary>
    public Node Linear(Node x, string prefix) => Add(new Linear(HasBias: true), x, Parameter(prefix + ".weight"), Parameter(prefix + ".bias"));

    /// <summary>Patch embedding with the parameters <c>prefix.weight</c> and <c>prefix.bias</c>.</summary>
    public Node PatchEmbedding(Node x, string prefix, int patch, PatchOrder order) =>
        Add(new PatchEmbedding(patch, order), x, Parameter(prefix + ".weight"), Parameter(prefix + ".bias"));

    /// <summary>LayerNorm with the parameters <c>prefix.weight</c> and <c>prefix.bias</c>.</summary>
    public Node LayerNorm(Node x, string prefix, double epsilon) =>
        Add(new LayerNorm((float)epsilon), x, Parameter(prefix + ".weight"), Parameter(prefix + ".bias"));

    /// <summary>Linear layer with any weight (N, K), and a bias (N) unless it is null.</summary>
    public Node Linear(Node x, Node weight, Node? bias) =>
        bias is null ? Add(new Linear(HasBias: false), x, weight) : Add(new Linear(HasBias: true), x, weight, bias);

    /// <summary>
    /// Convolution of (N, H, W, C) with the parameter <c>prefix.weight</c>, and <c>prefix.bias</c> if it has a bias. One with a 1×1 kernel is a linear layer over the pixels,
    /// and is written as such.
    /// </summary>
    public Node Convolution(Node x, string prefix, int stride, Padding padding, int groups = 1, bool bias = false)
    {
        Node weight = Parameter(prefix + ".weight");
        Node? b = bias ? Parameter(prefix + ".bias") : null;
        if (weight.Shape[2] == 1 && weight.Shape[3] == 1 && stride == 1 && padding == default && groups == 1)
        {
            return Linear(x, weight, b);
        }

        Convolution op = new(stride, padding, groups, HasBias: bias);
        return b is null ? Add(op, x, weight) : Add(op, x, weight, b);
    }

    /// <summary>Transposed convolution of (N, H, W, C) with the parameters <c>prefix.weight</c> and <c>prefix.bias</c>.</summary>
    public Node TransposedConvolution(Node x, string prefix, int stride, int padding) =>
        Add(new TransposedConvolution(stride, padding, HasBias: true), x, Parameter(prefix + ".weight"), Parameter(prefix + ".bias"));

    /// <summary>Batch normalisation with the parameters <c>weight</c>, <c>bias</c>, <c>running_mean</c> and <c>running_var</c> under the prefix.</summary>
    public Node BatchNorm(Node x, string prefix, double epsilon) => Add(
        new BatchNorm((float)epsilon),
        x,
        Parameter(prefix + ".weight"),
        Parameter(prefix + ".bias"),
        Parameter(prefix + ".running_mean"),
        Parameter(prefix + ".running_var"));

    /// <summary>Maximum pooling of (N, H, W, C).</summary>
    public Node MaxPool(Node x, int kernel, int stride, int padding) => Add(new MaxPool(kernel, stride, padding), x);

    /// <summary>Multi-head attention.</summary>
    public Node Attention(Node q, Node k, Node v, int heads, double scale, NeighborMask? mask = null) => Add(new Attention(heads, (float)scale, mask), q, k, v);

    /// <summary>Softmax over the last dimension.</summary>
    public Node Softmax(Node x) => Add(new Softmax(), x);

    /// <summary>Exact GELU.</summary>
    public Node Gelu(Node x) => Add(new Unary(UnaryFunction.Gelu), x);

    /// <summary>x².</summary>
    public Node Square(Node x) => Add(new Unary(UnaryFunction.Square), x);

    /// <summary>max(x, 0).</summary>
    public Node Relu(Node x) => Add(new Unary(UnaryFunction.Relu), x);

    /// <summary>x · sigmoid(x).</summary>
    public Node Swish(Node x) => Add(new Unary(UnaryFunction.Swish), x);

    /// <summary>1 / (1 + exp(−x)).</summary>
    public Node Sigmoid(Node x) => Add(new Unary(UnaryFunction.Sigmoid), x);

    /// <summary>tanh(x).</summary>
    public Node Tanh(Node x) => Add(new Unary(UnaryFunction.Tanh), x);

    /// <summary>log(1 + exp(x)).</summary>
    public Node Softplus(Node x) => Add(new Unary(UnaryFunction.Softplus), x);

    /// <summary>|x|.</summary>
    public Node Abs(Node x) => Add(new Unary(UnaryFunction.Abs), x);

    /// <summary>a · b.</summary>
    public Node Multiply(Node a, Node b) => Add(new Binary(BinaryFunction.Multiply), a, b);

    /// <summary>a / b.</summary>
    public Node Divide(Node a, Node b) => Add(new Binary(BinaryFunction.Divide), a, b);

    /// <summary>a + b.</summary>
    public Node Add(Node a, Node b) => Add(new Binary(BinaryFunction.Add), a, b);

    /// <summary>a − b.</summary>
    public Node Subtract(Node a, Node b) => Add(new Binary(BinaryFunction.Subtract), a, b);

    /// <summary>scale · x + offset.</summary>
    public Node Affine(Node x, double scale, double offset) => Add(new Affine((float)scale, (float)offset), x);

    /// <summary>Another shape for the same elements.</summary>
    public Node Reshape(Node x, params ReadOnlySpan<int> extents) => Add(new Reshape(new Shape(extents)), x);

    /// <summary>Dimensions in another order.</summary>
    public Node Permute(Node x, params int[] axes) => Add(new Permute(axes), x);

    /// <summary>A range of one dimension.</summary>
    public Node Slice(Node x, int axis, int start, int length) => Add(new Slice(axis, start, length), x);

    /// <summary>Values one after the other along a dimension.</summary>
    public Node Concat(int axis, params Node[] parts) => Add(new Concat(axis), parts);

    /// <summary>Repeats dimensions of extent 1.</summary>
    public Node Broadcast(Node x, params ReadOnlySpan<int> extents) => Add(new Broadcast(new Shape(extents)), x);

    /// <summary>Rows of a table.</summary>
    public Node Gather(Node table, int[] indices, int items) => Add(new Gather(indices, items), table);

    /// <summary>Mean over a dimension.</summary>
    public Node Mean(Node x, int axis, bool keepDimension) => Add(new Mean(axis, keepDimension), x);

    /// <summary>Largest element of each picture.</summary>
    public Node MaxPerImage(Node x) => Add(new MaxPerImage(), x);

    /// <summary>Separable filter.</summary>
    public Node Filter(Node x, float[] taps, Border border) => Add(new SeparableFilter(taps, border), x);

    /// <summary>Average pooling.</summary>
    public Node AveragePool(Node x, int kernel, int stride) => Add(new AveragePool(kernel, stride), x);

    /// <summary>Bilinear interpolation.</summary>
    public Node Resize(Node x, int height, int width, bool alignCorners) => Add(new Resize(height, width, alignCorners), x);

    /// <summary>Bilinear interpolation of (N, H, W, C).</summary>
    public Node ResizeChannelsLast(Node x, int height, int width, bool alignCorners) => Add(new Resize(height, width, alignCorners, ChannelsLast: true), x);

    /// <summary>Euclidean distance of corresponding tokens.</summary>
    public Node EuclideanDistance(Node a, Node b) => Add(new EuclideanDistance(), a, b);

    /// <summary>Structural similarity per pixel.</summary>
    public Node StructuralSimilarity(Node a, Node b, float[] taps, double c1, double c2) => Add(new StructuralSimilarity(taps, (float)c1, (float)c2), a, b);

    /// <summary>A capsule's squash.</summary>
    public Node Squash(Node x) => Add(new Squash(), x);

    /// <summary>Negative log-likelihood under a mixture of Gaussians.</summary>
    public Node MixtureLikelihood(Node x, Node pi, Node mu, Node logVariance, bool logSumExp) => Add(new MixtureLikelihood(logSumExp), x, pi, mu, logVariance);

    /// <summary>Cosine distance of corresponding tokens.</summary>
    public Node CosineDistance(Node a, Node b) => Add(new CosineDistance(), a, b);

    /// <summary>Gradient magnitude similarity.</summary>
    public Node GradientMagnitudeSimilarity(Node a, Node b) => Add(new GradientMagnitudeSimilarity(), a, b);

    private Node Add(Operator op, params Node[] inputs)
    {
        Node node = new(_nodes.Count, op, inputs, op.InferShape([.. inputs.Select(i => i.Shape)]), _sliced);
        _nodes.Add(node);
        return node;
    }

    private sealed class RegionEnd(GraphBuilder builder) : IDisposable
    {
        public void Dispose() => builder._sliced = false;
    }
}
