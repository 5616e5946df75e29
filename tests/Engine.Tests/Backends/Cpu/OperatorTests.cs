using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>
/// The operators of the convolutional models through the compiler: that it hands the right operands and numbers to the steps, whose arithmetic has tests of its
/// own.
/// </summary>
[Category("SimdTier")]
internal sealed class OperatorTests
{
    [Test]
    public void A_convolution_with_everything([Values] bool depthwise, [Values] bool activateSum)
    {
        const int Channels = 5;
        Shape shape = new(2, 6, 7, Channels);
        float[] x = Values(shape), w = Values(new Shape(Channels, depthwise ? 1 : Channels, 3, 2), 2), b = Values(new Shape(Channels), 3);
        Convolution op = new(2, new Padding(1, 0, 2, 1), depthwise ? Channels : 1, HasBias: true, Activation.Relu, HasResidual: true, activateSum);
        using OperatorRun run = new();
        Node input = run.Input(x, shape), weight = run.Parameter(w, new Shape(Channels, depthwise ? 1 : Channels, 3, 2)), bias = run.Parameter(b, new Shape(Channels));
        Shape result = op.InferShape([shape, weight.Shape, bias.Shape, new Shape(2, 4, 4, Channels)]);
        float[] r = Values(result, 4);

        (float[] y, string[] steps) = run.Run(run.Add(op, input, weight, bias, run.Parameter(r, result)));

        Assert.That(steps.Single(), Is.EqualTo((depthwise ? "Depthwise 3x2/2" : "Convolution 3x2/2") + (activateSum ? "+Residual+Relu" : "+Relu+Residual")));
        for (int i = 0; i < y.Length; i++)
        {
            int o = i % Channels, column = i / Channels % 4, row = i / Channels / 4 % 4, image = i / Channels / 16;
            double sum = b[o];
            for (int k = 0; k < 6; k++)
            {
                int from = (row * 2) - 1 + (k / 2), across = (column * 2) + (k % 2);
                for (int c = 0; from >= 0 && from < 6 && across < 7 && c < (depthwise ? 1 : Channels); c++)
                    sum += (double)x[(((((image * 6) + from) * 7) + across) * Channels) + (depthwise ? o : c)] * w[(((o * (depthwise ? 1 : Channels)) + c) * 6) + k];
            }

            Assert.That(y[i], Is.EqualTo(activateSum ? Math.Max(sum + r[i], 0) : Math.Max(sum, 0) + r[i]).Within(1e-5), $"element {i}");
        }
    }

    /// <summary>Its operand dies with the layer, but must not be written over: it is still being multiplied.</summary>
    [Test]
    public void A_layer_whose_residual_is_its_own_operand([Values(8, 40)] int width)
    {
        Shape shape = new(61, width), weight = new(width, width);
        using OperatorRun run = new();
        Node x = run.Input(Values(shape), shape), v = run.Parameter(Values(weight, 2), weight), w = run.Parameter(Values(weight, 3), weight);
        Node hidden = run.Add(new Linear(HasBias: false), x, v);
        (float[] expected, _) = run.Run(run.Add(new Binary(BinaryFunction.Add), run.Add(new Linear(HasBias: false), hidden, w), hidden));

        // What is asked for by name is never written over an operand, so somebody else has to follow.
        Node layer = run.Add(new Linear(HasBias: false, HasResidual: true), hidden, w, hidden);
        (float[] found, _) = run.Run(run.Add(new Affine(1, 0), layer));

        Assert.That(found, Is.EqualTo(expected).Within(1e-5));
    }

    /// <summary>The picture that a gate scales dies with the layer, but must not be written over: its rows are multiplied where they are.</summary>
    [Test]
    public void A_gated_layer_whose_residual_is_the_picture_that_the_gate_scales()
    {
        Shape shape = new(2, 7, 9, 40), weight = new(40, 40), factors = new(2, 1, 1, 40);
        using OperatorRun run = new();
        Node x = run.Input(Values(shape), shape), v = run.Parameter(Values(weight, 2), weight), w = run.Parameter(Values(weight, 3), weight);
        Node gate = run.Parameter(Values(factors, 4), factors);
        Node hidden = run.Add(new Linear(HasBias: false), x, v);
        (float[] expected, _) = run.Run(run.Add(new Binary(BinaryFunction.Add), run.Add(new Linear(HasBias: false), Gated(), w), hidden));

        Node layer = run.Add(new Linear(HasBias: false, HasResidual: true), Gated(), w, hidden);
        (float[] found, string[] steps) = run.Run(run.Add(new Affine(1, 0), layer));

        Assert.That(steps, Does.Contain("Gated Linear+Residual"));
        Assert.That(found, Is.EqualTo(expected).Within(1e-4));

        Node Gated() => run.Add(new Binary(BinaryFunction.Multiply), hidden, gate);
    }

    [Test]
    public void A_transposed_convolution()
    {
        Shape shape = new(2, 3, 4, 3);
        float[] x = Values(shape), w = Values(new Shape(3, 2, 3, 3), 2), b = Values(new Shape(2), 3);
        using OperatorRun run = new();
        TransposedConvolution op = new(2, 1, HasBias: true, Activation.Relu);

        (float[] y, string[] steps) = run.Run(run.Add(op, run.Input(x, shape), run.Parameter(w, new Shape(3, 2, 3, 3)), run.Parameter(b, new Shape(2))));

        Assert.That(steps.Single(), Is.EqualTo("TransposedConvolution 3x3/2+Relu"));
        Assert.That(y, Has.Length.EqualTo(2 * 5 * 7 * 2));
        for (int i = 0; i < y.Length; i++)
        {
            int o = i % 2, column = i / 2 % 7, row = i / 14 % 5, image = i / 70;
            double sum = b[o];
            for (int k = 0; k < 9 * 12; k++)
            {
                int u = k % 3, v = k / 3 % 3, from = k / 9;
                if (((from / 4) * 2) - 1 + u != row || ((from % 4) * 2) - 1 + v != column)
                    continue;
                for (int c = 0; c < 3; c++)
                    sum += (double)x[(((image * 12) + from) * 3) + c] * w[(((((c * 2) + o) * 3) + u) * 3) + v];
            }

            Assert.That(y[i], Is.EqualTo(Math.Max(sum, 0)).Within(1e-5), $"element {i}");
        }
    }

    [Test]
    public void A_linear_layer_over_pixels_with_the_weight_of_a_convolution()
    {
        Shape shape = new(2, 3, 5, 17);
        float[] x = Values(shape), w = Values(new Shape(7, 17), 2);
        using OperatorRun run = new();

        (float[] y, string[] steps) = run.Run(run.Add(new Linear(HasBias: false, Activation.Tanh), run.Input(x, shape), run.Parameter(w, new Shape(7, 17, 1, 1))));

        Assert.That(steps.Single(), Is.EqualTo("Linear+Tanh"), "a narrow layer reads its operand in place");
        for (int i = 0; i < y.Length; i++)
        {
            double sum = Enumerable.Range(0, 17).Sum(k => (double)x[(i / 7 * 17) + k] * w[(i % 7 * 17) + k]);
            Assert.That(y[i], Is.EqualTo(Math.Tanh(sum)).Within(1e-6), $"element {i}");
        }
    }

    [Test]
    public void A_convolution_hands_row_tiles_to_a_linear_layer([Values] bool depthwise)
    {
        Shape shape = new(1, 5, 5, 6);
        float[] x = Values(shape), w = Values(new Shape(6, depthwise ? 1 : 6, 3, 3), 2), v = Values(new Shape(4, 6), 3);
        Convolution op = new(1, Padding.Same(1), depthwise ? 6 : 1);
        using OperatorRun apart = new(), together = new();
        Node convolved = apart.Add(op, apart.Input(x, shape), apart.Parameter(w, new Shape(6, depthwise ? 1 : 6, 3, 3)));
        float[] between = apart.Run(convolved).Values;
        Node node = together.Add(op, together.Input(x, shape), together.Parameter(w, new Shape(6, depthwise ? 1 : 6, 3, 3)));

        (float[] y, string[] steps) = together.Run(together.Add(new Linear(HasBias: false), node, together.Parameter(v, new Shape(4, 6))));

        Assert.That(steps, Has.Length.EqualTo(2), "no packing");
        for (int i = 0; i < y.Length; i++)
            Assert.That(y[i], Is.EqualTo(Enumerable.Range(0, 6).Sum(k => (double)between[(i / 4 * 6) + k] * v[(i % 4 * 6) + k])).Within(1e-5), $"element {i}");
    }

    [TestCase(UnaryFunction.Swish, 0.73105858)]
    [TestCase(UnaryFunction.Sigmoid, 0.73105858)]
    [TestCase(UnaryFunction.Tanh, 0.76159416)]
    [TestCase(UnaryFunction.Softplus, 1.31326169)]
    [TestCase(UnaryFunction.Abs, 1)]
    [TestCase(UnaryFunction.ReciprocalSqrt, 1)]
    [TestCase(UnaryFunction.Gelu, 0.84134475)]
    [TestCase(UnaryFunction.Relu, 1)]
    [TestCase(UnaryFunction.Square, 1)]
    public void A_function_of_1(UnaryFunction function, double expected)
    {
        using OperatorRun run = new();
        (float[] y, string[] steps) = run.Run(run.Add(new Unary(function), run.Input([1], new Shape(1, 1))));
        Assert.That(steps.Single(), Is.EqualTo(function.ToString()));
        Assert.That(y.Single(), Is.EqualTo(expected).Within(1e-6));
    }

    [Test]
    public void Division()
    {
        using OperatorRun run = new();
        (float[] y, _) = run.Run(run.Add(new Binary(BinaryFunction.Divide), run.Input([1, 2, 3, 0], new Shape(2, 2)), run.Parameter([4, 0], new Shape(2))));
        Assert.That(y, Is.EqualTo(new[] { 0.25f, float.PositiveInfinity, 0.75f, float.NaN }));
    }

    [Test]
    public void Rowwise_operators()
    {
        float[] x = [3, 4, 0.5f, 0.25f];
        using OperatorRun run = new();
        Node input = run.Input(x, new Shape(1, 2, 2));
        double e = 1 / (1 + Math.Exp(-1)), f = 1 / (1 + Math.Exp(-0.25));
        Assert.That(run.Run(run.Add(new Softmax(), input)).Values, Is.EqualTo(new[] { 1 - e, e, f, 1 - f }).Within(1e-6));
        double norm = Math.Sqrt(0.3125), squash = 0.3125 / 1.3125 / norm;
        Assert.That(run.Run(run.Add(new Squash(), input)).Values, Is.EqualTo(new[] { 25d / 26 * 3 / 5, 25d / 26 * 4 / 5, squash * 0.5, squash * 0.25 }).Within(1e-6));
        Node other = run.Parameter([0, 0, 0.5f, 1.25f], new Shape(1, 2, 2));
        Assert.That(run.Run(run.Add(new EuclideanDistance(), input, other)).Values, Is.EqualTo(new[] { 5d, 1 }).Within(1e-6));
    }

    [Test]
    public void Batch_normalisation()
    {
        using OperatorRun run = new();
        Shape channels = new(2);
        Node y = run.Add(
            new BatchNorm(0.25f),
            run.Input([1, 2, 3, 4], new Shape(1, 1, 2, 2)),
            run.Parameter([2, 3], channels),
            run.Parameter([10, 20], channels),
            run.Parameter([1, 1], channels),
            run.Parameter([2, 0.75f], channels));
        Assert.That(run.Run(y).Values, Is.EqualTo(new[] { 10, 23, 10 + (4 / 1.5), 29 }).Within(1e-5));
    }

    [Test]
    public void Pooling_and_resizing_of_channels_last_pictures()
    {
        float[] x = [1, -1, 2, -2, 3, -3, 4, -4];
        using OperatorRun run = new();
        Node input = run.Input(x, new Shape(1, 2, 2, 2));
        Assert.That(run.Run(run.Add(new MaxPool(2, 2, 0), input)).Values, Is.EqualTo(new float[] { 4, -1 }));
        float[] resized = run.Run(run.Add(new Resize(2, 3, AlignCorners: true, ChannelsLast: true), input)).Values;
        Assert.That(resized, Is.EqualTo(new[] { 1, -1, 1.5f, -1.5f, 2, -2, 3, -3, 3.5f, -3.5f, 4, -4 }));
    }

    [Test]
    public void Mixture_likelihood([Values] bool logSumExp)
    {
        using OperatorRun run = new();
        Shape wide = new(1, 1, 4);
        Node y = run.Add(
            new MixtureLikelihood(logSumExp),
            run.Input([1, 2], new Shape(1, 1, 2)),
            run.Parameter([0.25f, 0.75f], new Shape(1, 1, 2)),
            run.Parameter([0, 1, 2, 4], wide),
            run.Parameter([0, 0, 0, 1], wide));
        double constant = Math.Log(2 * Math.PI), first = 0.5 * 1, second = 0.5 * (1 + (4 / Math.E));
        double expected = logSumExp
            ? constant - Math.Log((0.25 * Math.Exp(-first)) + (0.75 * Math.Exp(-second)))
            : (0.5 * constant) + (0.25 * first) + (0.75 * second);
        Assert.That(run.Run(y).Values.Single(), Is.EqualTo(expected).Within(1e-6));
    }

    [Test]
    public void Structural_similarity_of_a_picture_with_itself_is_1()
    {
        Shape shape = new(1, 2, 5, 6);
        float[] x = Values(shape);
        using OperatorRun run = new();
        Node y = run.Add(new StructuralSimilarity([0.25f, 0.5f, 0.25f], 1e-4f, 9e-4f), run.Input(x, shape), run.Parameter(x, shape));
        Assert.That(run.Run(y).Values, Is.All.EqualTo(1f).Within(1e-5f));
        Assert.That(run.Run(run.Add(y.Operator, y.Inputs[0], run.Parameter(Values(shape, seed: 2), shape))).Values, Has.Some.LessThan(0.5f));
    }

    [Test]
    public void Masked_attention_sees_only_what_the_mask_leaves()
    {
        // Three tokens in a row, each blind to itself: with equal logits it sees the mean of the other two.
        using OperatorRun run = new();
        Node q = run.Input(new float[3], new Shape(1, 3, 1)), v = run.Parameter([1, 2, 6], new Shape(1, 3, 1));
        (float[] y, string[] steps) = run.Run(run.Add(new Attention(1, 1, new NeighborMask(1, 3, 0, 0)), q, q, v));
        Assert.That(y, Is.EqualTo(new[] { 4, 3.5f, 1.5f }).Within(1e-6f));
        Assert.That(steps.Single(), Is.EqualTo("Attention (without 1x1)"));
    }

    private static float[] Values(Shape shape, int seed = 1) => StepTestData.Values((int)shape.Count, seed, outliers: false);
}
