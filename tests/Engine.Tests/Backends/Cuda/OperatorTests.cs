using KernelAD.Engine.Tests.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Backends.Cuda;

/// <summary>
/// Operators of the convolutional models on the emulated GPU, with all of its checks, against the CPU: that the compiler hands the kernels, which have tests of
/// their own, the right operands in the right form.
/// </summary>
[Category("Emulated")]
internal sealed class OperatorTests
{
    // Of values up to 1, sums of which are a few: the operands' 10 fraction bits and those of a stored result.
    private const double FastTolerance = 1e-2;

    private static readonly Padding Asymmetric = new(0, 1, 2, 1);

    public static IEnumerable<TestCaseData> Graphs()
    {
        yield return Case("a convolution of a picture", run => Convolution(run, Picture(run, 1, 9, 11), 20, 3, 2, Asymmetric));
        yield return Case("a convolution of many channels, K split", run => Convolution(run, Maps(run, 4, 5, 72), 20, 3, 1, Padding.Same(1)));
        yield return Case("a convolution with a stride and no window", run => Convolution(run, Maps(run, 7, 5, 17), 12, 1, 2, default));
        yield return Case("relu(convolution + residual)", run => Residual(run, activateSum: true));
        yield return Case("relu(convolution) + residual", run => Residual(run, activateSum: false));
        yield return Case("convolutions in a row", run => Convolution(run, Convolution(run, Picture(run, 2, 10, 8), 16, 5, 1, Padding.Same(2)), 24, 3, 2, Padding.Same(1)));
        yield return Case("a convolution read by a linear layer", run => Linear(run, Convolution(run, Picture(run, 1, 6, 6), 16, 3, 1, Padding.Same(1)), 40));
        yield return Case("a depthwise convolution between linear layers", run => Linear(run, Depthwise(run, Linear(run, Picture(run, 2, 8, 7), 24), 5, 2), 20));
        yield return Case("a depthwise convolution of odd channels", run => Depthwise(run, Maps(run, 9, 10, 17), 3, 1));
        yield return Case("a depthwise convolution with a residual", run =>
        {
            Node x = Maps(run, 6, 5, 8);
            return run.Add(new Unary(UnaryFunction.Relu), run.Add(new Binary(BinaryFunction.Add), Depthwise(run, x, 3, 1, Activation.None), x));
        });
        yield return Case("squeeze and excite", run => SqueezeAndExcite(run, 1, 32, 6));
        yield return Case("squeeze and excite of odd channels", run => SqueezeAndExcite(run, 1, 45, 11));
        yield return Case("squeeze and excite of two pictures", run => SqueezeAndExcite(run, 2, 24, 1));
        yield return Case("squeeze and excite of more than a block adds up", run => SqueezeAndExcite(run, 1, 16, 520));
        yield return Case("a transposed convolution of a linear layer", run => Transposed(run, Linear(run, Maps(run, 4, 5, 12), 8), 16, 9, 3, 1));
        yield return Case("a transposed convolution to a picture", run => Transposed(run, Maps(run, 4, 5, 9), 3, 4, 1, 0));
        yield return Case("a transposed convolution that cuts off more than it adds", run => Transposed(run, Maps(run, 5, 4, 7), 5, 3, 3, 2));
        yield return Case("a transposed convolution with gaps", run => Transposed(run, Maps(run, 3, 6, 10), 8, 2, 3, 0));
        yield return Case("a transposed convolution with a kernel of 18", run => Transposed(run, Linear(run, Maps(run, 2, 3, 8), 8), 4, 18, 1, 8));
        yield return Case("transposed convolutions in a row", run => Transposed(run, Transposed(run, Transposed(run, Maps(run, 3, 4, 8), 16, 7, 5, 1), 8, 6, 2, 0), 3, 11, 1, 5));
        yield return Case("a batch normalisation on its own", run => Normalised(run, Maps(run, 3, 4, 6)));
        yield return Case("a batch normalisation of a convolution", run => Normalised(run, Convolution(run, Picture(run, 1, 6, 5), 12, 3, 1, Padding.Same(1), Activation.None)));
        yield return Case("max pooling", run => run.Add(new MaxPool(3, 2, 1), Maps(run, 9, 8, 10)));
        yield return Case("interpolation, corners aligned, and a factor", run => run.Add(new Affine(0.5f, 0), run.Add(new Resize(3, 11, AlignCorners: true, ChannelsLast: true), Maps(run, 6, 5, 7))));
        yield return Case("interpolation, corners not aligned", run => run.Add(new Resize(13, 4, AlignCorners: false, ChannelsLast: true), Maps(run, 6, 5, 8)));
        yield return Case("concatenated channels", run =>
        {
            Node x = Maps(run, 6, 5, 7);
            return Linear(run, run.Add(new Concat(3), x, run.Add(new Resize(6, 5, AlignCorners: true, ChannelsLast: true), Maps(run, 3, 9, 5, input: false))), 9);
        });
        foreach (UnaryFunction function in Enum.GetValues<UnaryFunction>())
        {
            yield return Case($"{function} of |x| + 1", run => run.Add(new Unary(function), run.Add(new Affine(1, 1), run.Add(new Unary(UnaryFunction.Abs), Maps(run, 3, 5, 4)))));
        }

        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            yield return Case($"a linear layer, {activation}", run => Linear(run, Maps(run, 3, 5, 16), 20, activation));
        }

        yield return Case("a quotient with a number for each pixel", run => run.Add(
            new Binary(BinaryFunction.Divide), Maps(run, 3, 5, 8), run.Add(new Affine(1, 2), Operand(run, new Shape(3, 5, 1)))));
        yield return Case("a linear layer whose residual is its own operand", run =>
        {
            Node x = Linear(run, Maps(run, 7, 9, 24), 24);
            return run.Add(new Binary(BinaryFunction.Add), Linear(run, x, 24), x);
        });
        yield return Case("a softmax of a linear layer", run => run.Add(new Softmax(), Linear(run, Maps(run, 3, 5, 16), 150)));
        yield return Case("a squash", run => run.Add(new Squash(), Maps(run, 3, 5, 33)));
        yield return Case("a Euclidean distance and what is added to it", run =>
        {
            Node a = run.Add(new Reshape(new Shape(1, 15, 20)), Maps(run, 3, 5, 20));
            return run.Add(new Binary(BinaryFunction.Add), run.Add(new EuclideanDistance(), a, Operand(run, new Shape(1, 15, 20))), Operand(run, new Shape(1, 15)));
        });
        yield return Case("structural similarity", run => run.Add(
            new StructuralSimilarity(SeparableFilter.Gaussian(1.5, 5), 1e-4f, 9e-4f), Picture(run, 2, 17, 33, channelsLast: false), Operand(run, new Shape(2, 3, 17, 33))));
        foreach (bool logSumExp in (bool[])[false, true])
        {
            yield return Case($"likelihoods of mixtures, {(logSumExp ? "a logarithm" : "a sum")}", run => Likelihood(run, logSumExp));
        }

        foreach ((int height, int width, int radiusY, int radiusX) in ((int, int, int, int)[])[(5, 7, 1, 2), (9, 9, 3, 0), (4, 3, 1, 1)])
        {
            yield return Case($"attention without the neighbours, {height}×{width}, {radiusY}, {radiusX}", run =>
            {
                Node x = run.Add(new Reshape(new Shape(1, height * width, 24)), Maps(run, height, width, 24));
                return run.Add(new Attention(2, 0.3f, new NeighborMask(height, width, radiusY, radiusX)), x, Linear(run, x, 24), x);
            });
        }

        static TestCaseData Case(string name, Func<OperatorRun, Node> create) => new TestCaseData(create).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Graphs))]
    public void The_GPU_agrees_with_the_CPU(Func<OperatorRun, Node> create)
    {
        using OperatorRun run = new();
        Node node = create(run);
        (float[] expected, _) = run.Run(node);
        double size = Math.Max(1, expected.Max(Math.Abs));
        foreach ((Precision precision, string architecture) in ((Precision, string)[])
            [(Precision.Fp32, "sm_80"), (Precision.Tf32, "sm_80"), (Precision.Fp16, "sm_80"), (Precision.Fp32, "sm_75"), (Precision.Fp16, "sm_75")])
        {
            (float[] found, string[] steps) = run.Run(node, precision, architecture);
            Assert.That(found, Has.Length.EqualTo(expected.Length));
            double worst = found.Zip(expected, (f, e) => float.IsFinite(f) ? Math.Abs(f - e) : double.PositiveInfinity).Max();
            TestContext.Out.WriteLine($"{precision} on {architecture}: {worst / size:E1}; {string.Join(", ", steps)}");
            Assert.That(worst, Is.LessThanOrEqualTo(size * (precision == Precision.Fp32 ? 3e-6 : FastTolerance)), $"{precision} on {architecture}");
        }
    }

    [Test]
    public void A_mean_over_pixels_is_cut_where_channels_are_few()
    {
        Shape shape = new(1, 16, 16, 24);
        using OperatorRun run = new();
        Node x = run.Add(new Reshape(new Shape(1, 256, 24)), run.Input(StepTestData.Values(256 * 24, seed: 1, outliers: false), shape));
        Node mean = run.Add(new Mean(1, KeepDimension: true), x);
        float[] expected = run.Run(mean).Values;
        Assert.That(run.Run(mean, Precision.Fp32).Values, Is.EqualTo(expected).Within(1e-6));
    }

    [Test]
    public void Epilogues_are_fused_into_one_step()
    {
        using OperatorRun run = new();
        string[] steps = run.Run(Residual(run, activateSum: true), Precision.Fp32).Steps;
        Assert.That(steps, Is.EqualTo((string[])["Linear", "Convolution 3x3+Residual+Relu"]));
    }

    [Test]
    public void Transposed_convolutions_hand_on_operands()
    {
        using OperatorRun run = new();
        Node first = Transposed(run, Maps(run, 3, 4, 8), 16, 7, 5, 1);
        string[] steps = run.Run(Transposed(run, first, 3, 11, 1, 5), Precision.Fp16).Steps;
        Assert.That(steps, Is.EqualTo((string[])["ToHalf", "TransposedConvolution 7x7/5+Tanh", "TransposedConvolution 11x11+Tanh"]));
    }

    [Test]
    public void Squeeze_and_excite_is_one_step_unless_a_block_cannot_add_it_up([Values(6, 512, 513)] int squeezed)
    {
        using OperatorRun run = new();
        string[] steps = run.Run(SqueezeAndExcite(run, 1, 32, squeezed), Precision.Fp16).Steps;
        Assert.That(steps.Contains("SqueezeAndExcite"), Is.EqualTo(squeezed <= 512), string.Join(", ", steps));
        Assert.That(steps.Contains("Mean"), Is.EqualTo(squeezed > 512), string.Join(", ", steps));
    }

    [Test]
    public void What_the_kernels_do_not_take_is_said()
    {
        using OperatorRun run = new();
        Node x = Maps(run, 20, 20, 8);
        Assert.That(
            () => run.Run(Convolution(run, x, 4, 17, 1, default), Precision.Fp32),
            Throws.InstanceOf<ConfigurationException>().With.Message.Contains("17×17").And.Message.Contains("--device cpu"));
        Node grouped = run.Add(new Convolution(1, default, Groups: 2), x, Operand(run, new Shape(8, 4, 3, 3)));
        Assert.That(
            () => run.Run(grouped, Precision.Fp32), Throws.InstanceOf<ConfigurationException>().With.Message.Contains("2 groups").And.Message.Contains("--device cpu"));
    }

    private static Node Operand(OperatorRun run, Shape shape, int seed = 7) => run.Parameter(StepTestData.Values((int)shape.Count, seed, outliers: false), shape);

    private static Node Maps(OperatorRun run, int height, int width, int channels, bool input = true)
    {
        Shape shape = new(1, height, width, channels);
        return input ? run.Input(StepTestData.Values((int)shape.Count, seed: 1, outliers: false), shape) : Operand(run, shape);
    }

    /// <summary>Pictures, turned to channels last as a model does.</summary>
    private static Node Picture(OperatorRun run, int count, int height, int width, bool channelsLast = true)
    {
        Shape shape = new(count, 3, height, width);
        Node input = run.Input(StepTestData.Values((int)shape.Count, seed: 1, outliers: false), shape);
        return channelsLast ? run.Add(new Permute([0, 2, 3, 1]), input) : input;
    }

    /// <summary>Weights whose sums stay about as large as what they are applied to.</summary>
    private static Node Weights(OperatorRun run, Shape shape, int sum)
    {
        float scale = 1 / MathF.Sqrt(sum);
        return run.Parameter([.. StepTestData.Values((int)shape.Count, seed: 2, outliers: false).Select(v => v * scale)], shape);
    }

    private static Node Linear(OperatorRun run, Node x, int outputs, Activation activation = Activation.None)
    {
        int width = x.Shape[-1];
        return run.Add(new Linear(HasBias: true, activation), x, Weights(run, new Shape(outputs, width), width), Operand(run, new Shape(outputs)));
    }

    private static Node Convolution(OperatorRun run, Node x, int outputs, int kernel, int stride, Padding padding, Activation activation = Activation.Relu)
    {
        int channels = x.Shape[3];
        Node y = run.Add(
            new Convolution(stride, padding, HasBias: true), x, Weights(run, new Shape(outputs, channels, kernel, kernel), channels * kernel * kernel), Operand(run, new Shape(outputs)));
        return activation == Activation.None ? y : run.Add(new Unary(UnaryFunction.Relu), y);
    }

    private static Node Residual(OperatorRun run, bool activateSum)
    {
        Node x = Linear(run, Maps(run, 5, 6, 16), 16);
        Node convolved = Convolution(run, x, 16, 3, 1, Padding.Same(1), activateSum ? Activation.None : Activation.Relu);
        Node sum = run.Add(new Binary(BinaryFunction.Add), convolved, x);
        return activateSum ? run.Add(new Unary(UnaryFunction.Relu), sum) : sum;
    }

    private static Node Depthwise(OperatorRun run, Node x, int kernel, int stride, Activation activation = Activation.Swish)
    {
        int channels = x.Shape[3];
        return run.Add(
            new Convolution(stride, new Padding(kernel / 2, 0, 1, kernel - 1), channels, HasBias: true, activation),
            x,
            Weights(run, new Shape(channels, 1, kernel, kernel), kernel * kernel),
            Operand(run, new Shape(channels)));
    }

    private static Node Transposed(OperatorRun run, Node x, int outputs, int kernel, int stride, int padding) => run.Add(
        new Unary(UnaryFunction.Tanh),
        run.Add(
            new TransposedConvolution(stride, padding, HasBias: true),
            x,
            Weights(run, new Shape(x.Shape[3], outputs, kernel, kernel), x.Shape[3] * kernel * kernel / (stride * stride)),
            Operand(run, new Shape(outputs))));

    private static Node SqueezeAndExcite(OperatorRun run, int pictures, int channels, int squeezed)
    {
        Node x = Depthwise(run, Linear(run, Picture(run, pictures, 12, 11), channels), 3, 1);
        Node mean = run.Add(new Mean(1, KeepDimension: true), run.Add(new Reshape(new Shape(pictures, x.Shape[1] * x.Shape[2], channels)), x));
        Node gate = Linear(run, Linear(run, mean, squeezed, Activation.Swish), channels, Activation.Sigmoid);
        Node gated = run.Add(new Binary(BinaryFunction.Multiply), x, run.Add(new Reshape(new Shape(pictures, 1, 1, channels)), gate));
        return Linear(run, gated, 16);
    }

    private static Node Normalised(OperatorRun run, Node x)
    {
        Shape channels = new(x.Shape[-1]);
        Node variance = run.Parameter([.. StepTestData.Values(channels[0], seed: 9, outliers: false).Select(v => Math.Abs(v) + 0.1f)], channels);
        return run.Add(new BatchNorm(1e-3f), x, Operand(run, channels, 3), Operand(run, channels, 4), Operand(run, channels, 5), variance);
    }

    private static Node Likelihood(OperatorRun run, bool logSumExp)
    {
        const int Tokens = 15, Width = 20, Components = 10;
        Node x = run.Add(new Reshape(new Shape(1, Tokens, Width)), Maps(run, 3, 5, Width));
        return run.Add(
            new MixtureLikelihood(logSumExp),
            x,
            run.Add(new Softmax(), Operand(run, new Shape(1, Tokens, Components))),
            Operand(run, new Shape(1, Tokens, Width * Components), 8),
            run.Add(new Unary(UnaryFunction.Softplus), Operand(run, new Shape(1, Tokens, Width * Components), 9)));
    }
}
