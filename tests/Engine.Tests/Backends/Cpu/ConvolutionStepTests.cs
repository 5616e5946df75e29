using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>Convolutions, depthwise and transposed ones too, against sums in double precision.</summary>
[Category("SimdTier")]
internal sealed unsafe class ConvolutionStepTests
{
    private static readonly ConvolutionCase[] Convolutions =
    [
        new(1, 1, 1, 1, 1, 1, 1),
        new(2, 1, 1, 3, 5, 3, 3, Padding: new(1, 1, 1, 1)),
        new(1, 17, 63, 3, 17, 7, 7, Stride: 2, Padding: new(3, 3, 3, 3)),
        new(2, 9, 7, 16, 33, 3, 3, Padding: new(1, 1, 1, 1)),
        new(1, 14, 14, 40, 63, 3, 3, Stride: 2, Padding: new(0, 0, 1, 1)),
        new(2, 11, 13, 17, 8, 5, 5, Stride: 2, Padding: new(1, 2, 2, 1)),
        new(1, 13, 17, 257, 3, 1, 1, Stride: 2),
        new(3, 7, 7, 300, 40, 3, 3, Padding: new(1, 1, 1, 1)),
        new(1, 5, 6, 700, 33, 3, 3, Padding: new(1, 1, 1, 1)),
        new(1, 10, 12, 12, 18, 3, 3, Groups: 3, Padding: new(1, 1, 1, 1)),
        new(2, 8, 9, 34, 34, 3, 1, Groups: 2, Stride: 2, Padding: new(1, 0, 0, 0)),
        new(1, 63, 65, 8, 3, 3, 5, Padding: new(1, 2, 1, 2)),
        new(1, 6, 5, 4, 4, 3, 3, Padding: new(5, 6, 4, 7)),
    ];

    private static readonly ConvolutionCase[] DepthwiseConvolutions =
    [
        new(1, 1, 1, 1, 1, 1, 1, Groups: 1),
        new(2, 1, 1, 3, 3, 3, 3, Groups: 3, Padding: new(1, 1, 1, 1)),
        new(1, 17, 63, 17, 17, 3, 3, Groups: 17, Padding: new(1, 1, 1, 1)),
        new(2, 14, 14, 63, 63, 5, 5, Groups: 63, Padding: new(2, 2, 2, 2)),
        new(1, 15, 18, 40, 40, 3, 3, Stride: 2, Groups: 40, Padding: new(0, 0, 1, 1)),
        new(1, 16, 15, 257, 257, 5, 5, Stride: 2, Groups: 257, Padding: new(1, 2, 2, 1)),
        new(1, 4, 5, 24, 24, 5, 5, Groups: 24, Padding: new(2, 2, 2, 2)),
        new(1, 9, 40, 16, 16, 7, 2, Stride: 3, Groups: 16, Padding: new(3, 0, 3, 1)),
        new(1, 3, 2, 8, 8, 3, 3, Groups: 8, Padding: new(4, 5, 6, 5)),
    ];

    private static readonly TransposedCase[] TransposedConvolutions =
    [
        new(1, 1, 1, 1, 1, 1, 1, 0),
        new(2, 3, 5, 3, 3, 3, 1, 1),
        new(1, 9, 7, 32, 32, 7, 5, 0),
        new(1, 12, 11, 32, 16, 9, 2, 0),
        new(2, 10, 13, 16, 8, 6, 1, 0),
        new(1, 14, 17, 8, 3, 11, 1, 0),
        new(1, 8, 8, 5, 17, 4, 2, 1),
        new(1, 5, 6, 7, 5, 2, 3, 0),
        new(1, 5, 4, 63, 33, 5, 3, 4),
        new(2, 3, 3, 4, 2, 8, 2, 5),
    ];

    [Test]
    public void A_convolution_matches_the_definition([ValueSource(nameof(Convolutions))] ConvolutionCase c, [Values] bool bias)
    {
        ConvolutionData data = new(c, bias);
        using StepRunner runner = new();
        using MemoryPool memory = new();
        StepRunner.Matrix x = runner.Input(data.X, c.Channels);
        StepRunner.Matrix y = runner.Output(c.Images * c.OutputHeight * c.OutputWidth, c.OutputChannels);

        runner.Run(new ConvolutionStep(ConvolutionPhase.Of(memory, data.Weight, data.Bias, c.Shape), c.Source, c.Result, x.Ref, y.Ref));

        data.AssertEquals(runner.Read(y), Activation.None, residual: null, activateSum: false);
    }

    [Test]
    public void Activation_and_residual_follow_in_the_order_asked_for(
        [Values(Activation.None, Activation.Relu, Activation.Swish, Activation.Tanh)] Activation activation, [Values] bool activateSum, [Values] bool depthwise)
    {
        ConvolutionCase c = depthwise ? DepthwiseConvolutions[3] : Convolutions[3];
        ConvolutionData data = new(c, bias: true);
        float[] added = StepTestData.Values((int)c.Result.Count, seed: 9);
        using StepRunner runner = new();
        using MemoryPool memory = new();
        StepRunner.Matrix x = runner.Input(data.X, c.Channels);
        StepRunner.Matrix residual = runner.Input(added, c.OutputChannels);
        runner.MakeWritable(residual);

        CpuStep step = depthwise
            ? new DepthwiseStep(Rows(memory, c, data, activation, activateSum), c.Shape, c.Images, x.Ref, residual.Ref, residual.Ref)
            : new ConvolutionStep(
                ConvolutionPhase.Of(memory, data.Weight, data.Bias, c.Shape),
                c.Source,
                c.Result,
                x.Ref,
                residual.Ref,
                activation: activation,
                residual: residual.Ref,
                activateSum: activateSum);
        runner.Run(step);

        data.AssertEquals(runner.Read(residual), activation, added, activateSum);
    }

    [Test]
    public void A_convolution_writes_row_tiles([Values] bool depthwise, [Values(3, 7)] int index)
    {
        ConvolutionCase c = depthwise ? DepthwiseConvolutions[index - 2] : Convolutions[index];
        ConvolutionData data = new(c, bias: true);
        using StepRunner runner = new();
        using MemoryPool memory = new();
        int rows = c.Images * c.OutputHeight * c.OutputWidth;
        StepRunner.Matrix x = runner.Input(data.X, c.Channels);
        StepRunner.Matrix tiles = runner.Output(1, (int)RowTiles.Size(rows, c.OutputChannels));

        runner.Run(depthwise
            ? new DepthwiseStep(Rows(memory, c, data, yRowTiles: true), c.Shape, c.Images, x.Ref, tiles.Ref)
            : new ConvolutionStep(ConvolutionPhase.Of(memory, data.Weight, data.Bias, c.Shape), c.Source, c.Result, x.Ref, tiles.Ref, yRowTiles: true));

        float[] values = runner.Read(tiles), y = new float[rows * c.OutputChannels];
        for (int i = 0; i < y.Length; i++)
            y[i] = values[RowTiles.Index(i / c.OutputChannels, i % c.OutputChannels, c.OutputChannels)];
        data.AssertEquals(y, Activation.None, residual: null, activateSum: false);
    }

    [Test]
    public void A_depthwise_convolution_matches_the_definition([ValueSource(nameof(DepthwiseConvolutions))] ConvolutionCase c, [Values] bool bias)
    {
        ConvolutionData data = new(c, bias);
        using StepRunner runner = new();
        using MemoryPool memory = new();
        StepRunner.Matrix x = runner.Input(data.X, c.Channels);
        StepRunner.Matrix y = runner.Output(c.Images * c.OutputHeight * c.OutputWidth, c.OutputChannels);

        runner.Run(new DepthwiseStep(Rows(memory, c, data), c.Shape, c.Images, x.Ref, y.Ref));

        data.AssertEquals(runner.Read(y), Activation.None, residual: null, activateSum: false);
    }

    [Test]
    public void An_expansion_computed_with_its_depthwise_convolution_gives_the_same_bits_as_one_after_the_other(
        [ValueSource(nameof(DepthwiseConvolutions))] ConvolutionCase c,
        [Values(1, 5, 24, 33)] int k,
        [Values(Activation.None, Activation.Swish)] Activation activation,
        [Values] bool bias)
    {
        ConvolutionData data = new(c, bias);
        int pixels = c.Images * c.Height * c.Width;
        float[] values = StepTestData.Values(pixels * k, seed: 5, outliers: false);
        float[] weight = StepTestData.Values(c.Channels * k, seed: 6, outliers: false), added = bias ? StepTestData.Values(c.Channels, seed: 7) : [];
        using MemoryPool memory = new();
        PackedWeights expansion = Packing.Pack(memory, weight, c.Channels, k, added);
        DepthwiseRows rows = Rows(memory, c, data, Activation.Swish);
        using GuardedMatrix x = new(pixels, k);
        for (int i = 0; i < values.Length; i++)
            x[i / k, i % k] = values[i];
        using GuardedMatrix wide = new(pixels, c.Channels);
        using GuardedMatrix expected = new(c.Images * c.OutputHeight * c.OutputWidth, c.Channels);
        CpuStep[] apart =
        [
            new LinearStep(pixels, expansion, x.Ref, wide.Ref, activation: activation, xRowTiles: false),
            new DepthwiseStep(rows, c.Shape, c.Images, wide.Ref, expected.Ref),
        ];
        WorkerTeam.Shared.RunAll(apart, default, 1);

        for (int threads = 1; threads <= 2; threads++)
        {
            using GuardedMatrix y = new(c.Images * c.OutputHeight * c.OutputWidth, c.Channels);
            WorkerTeam.Shared.RunAll([new ExpandedDepthwiseStep(expansion, activation, rows, c.Shape, c.Images, x.Ref, y.Ref)], default, threads);

            Assert.That(y.ToArray(), Is.EqualTo(expected.ToArray()));
            y.AssertNothingWrittenOutside();
        }
    }

    [Test]
    public void A_depthwise_convolution_adds_up_the_rows_of_its_result(
        [ValueSource(nameof(DepthwiseConvolutions))] ConvolutionCase c, [Values] bool yRowTiles, [Values] bool residual)
    {
        ConvolutionData data = new(c, bias: true);
        int channels = c.Channels, pixels = c.Images * c.OutputHeight * c.OutputWidth;
        using StepRunner runner = new();
        using MemoryPool memory = new();
        StepRunner.Matrix x = runner.Input(data.X, channels);
        StepRunner.Matrix y = yRowTiles ? runner.Output(1, (int)RowTiles.Size(pixels, channels)) : runner.Output(pixels, channels);
        StepRunner.Matrix added = runner.Input(StepTestData.Values(pixels * channels, seed: 9), channels);
        StepRunner.Matrix totals = runner.Output(c.Images * c.OutputHeight, channels);

        runner.Run(new DepthwiseStep(
            Rows(memory, c, data, Activation.Swish, yRowTiles: yRowTiles), c.Shape, c.Images, x.Ref, y.Ref, residual ? added.Ref : null, totals.Ref));

        AssertTotals(runner.Read(totals), runner.Read(y), c, yRowTiles);
    }

    [Test]
    public void An_expansion_with_its_depthwise_convolution_adds_up_the_rows_of_its_result([ValueSource(nameof(DepthwiseConvolutions))] ConvolutionCase c)
    {
        const int K = 5;
        ConvolutionData data = new(c, bias: true);
        using StepRunner runner = new();
        using MemoryPool memory = new();
        PackedWeights expansion = Packing.Pack(memory, StepTestData.Values(c.Channels * K, seed: 6, outliers: false), c.Channels, K, []);
        StepRunner.Matrix x = runner.Input(StepTestData.Values(c.Images * c.Height * c.Width * K, seed: 5, outliers: false), K);
        StepRunner.Matrix y = runner.Output(c.Images * c.OutputHeight * c.OutputWidth, c.Channels);
        StepRunner.Matrix totals = runner.Output(c.Images * c.OutputHeight, c.Channels);

        runner.Run(new ExpandedDepthwiseStep(expansion, Activation.Swish, Rows(memory, c, data), c.Shape, c.Images, x.Ref, y.Ref, totals.Ref));

        AssertTotals(runner.Read(totals), runner.Read(y), c, rowTiles: false);
    }

    private static void AssertTotals(float[] totals, float[] y, ConvolutionCase c, bool rowTiles)
    {
        for (int i = 0; i < totals.Length; i++)
        {
            (int row, int channel) = Math.DivRem(i, c.Channels);
            double sum = 0, magnitude = 0;
            for (int pixel = row * c.OutputWidth; pixel < (row + 1) * c.OutputWidth; pixel++)
            {
                float value = y[rowTiles ? RowTiles.Index(pixel, channel, c.Channels) : (pixel * c.Channels) + channel];
                sum += value;
                magnitude += Math.Abs(value);
            }

            Assert.That(totals[i], Is.EqualTo(sum).Within(1e-6 * magnitude), $"row {row}, channel {channel}");
        }
    }

    private static DepthwiseRows Rows(
        MemoryPool memory, ConvolutionCase c, ConvolutionData data, Activation activation = Activation.None, bool activateSum = false, bool yRowTiles = false) =>
        new(new DepthwiseWeights(memory, data.Weight, data.Bias, c.Channels), c.Shape, yRowTiles, activation, activateSum);

    [Test]
    public void A_transposed_convolution_matches_the_definition([ValueSource(nameof(TransposedConvolutions))] TransposedCase c, [Values] bool bias)
    {
        float[] x = StepTestData.Values(c.Images * c.Height * c.Width * c.Channels, seed: 1);
        float[] weight = StepTestData.Values(c.Channels * c.OutputChannels * c.Kernel * c.Kernel, seed: 2, outliers: false);
        float[] b = bias ? StepTestData.Values(c.OutputChannels, seed: 3) : [];
        using StepRunner runner = new();
        using MemoryPool memory = new();
        StepRunner.Matrix source = runner.Input(x, c.Channels);
        StepRunner.Matrix y = runner.Output(c.Images * c.OutputHeight * c.OutputWidth, c.OutputChannels);

        runner.Run(new ConvolutionStep(
            ConvolutionPhase.Of(memory, weight, b, c.Shape), c.Source, c.Result, source.Ref, y.Ref, activation: Activation.Relu));

        double[] expected = new double[c.Result.Count], magnitude = new double[expected.Length];
        for (int i = 0; i < expected.Length; i++)
        {
            expected[i] = bias ? b[i % c.OutputChannels] : 0;
            magnitude[i] = Math.Abs(expected[i]);
        }

        for (int i = 0; i < x.Length; i++)
        {
            int channel = i % c.Channels, column = i / c.Channels % c.Width, row = i / c.Channels / c.Width % c.Height, image = i / c.Channels / c.Width / c.Height;
            for (int j = 0; j < c.OutputChannels * c.Kernel * c.Kernel; j++)
            {
                int o = j / (c.Kernel * c.Kernel), to = (row * c.Stride) - c.Padding + (j / c.Kernel % c.Kernel), across = (column * c.Stride) - c.Padding + (j % c.Kernel);
                if (to < 0 || to >= c.OutputHeight || across < 0 || across >= c.OutputWidth)
                    continue;
                int target = (((((image * c.OutputHeight) + to) * c.OutputWidth) + across) * c.OutputChannels) + o;
                double product = (double)x[i] * weight[(channel * c.OutputChannels * c.Kernel * c.Kernel) + j];
                expected[target] += product;
                magnitude[target] += Math.Abs(product);
            }
        }

        float[] actual = runner.Read(y);
        for (int i = 0; i < actual.Length; i++)
            Assert.That(actual[i], Is.EqualTo(Math.Max(expected[i], 0)).Within(1e-6 * (1 + magnitude[i])), $"element {i}");
    }

    [Test]
    public void Bits_depend_neither_on_threads_nor_on_the_place_in_the_batch([Values] bool depthwise)
    {
        ConvolutionCase c = depthwise
            ? new(3, 13, 11, 33, 33, 3, 3, Groups: 33, Padding: new(1, 1, 1, 1))
            : new(3, 13, 11, 33, 40, 3, 3, Padding: new(1, 1, 1, 1));
        ConvolutionData data = new(c, bias: true);
        int input = data.X.Length / 3, output = (int)c.Result.Count / 3;
        for (int image = 1; image < 3; image++)
            data.X.AsSpan(0, input).CopyTo(data.X.AsSpan(image * input));
        using MemoryPool memory = new();
        CpuStep Step(int images, BufferRef x, BufferRef y) => depthwise
            ? new DepthwiseStep(Rows(memory, c, data, Activation.Swish), c.Shape, images, x, y)
            : new ConvolutionStep(
                ConvolutionPhase.Of(memory, data.Weight, data.Bias, c.Shape), c.Source.With(0, images), c.Result.With(0, images), x, y, activation: Activation.Swish);

        using GuardedMatrix x = new(1, data.X.Length);
        for (int i = 0; i < data.X.Length; i++)
            x[0, i] = data.X[i];
        using GuardedMatrix single = new(1, output);
        WorkerTeam.Shared.RunAll([Step(1, x.Ref, single.Ref)], default, 1);
        float[] expected = single.ToArray();
        for (int threads = 1; threads <= 3; threads++)
        {
            using GuardedMatrix y = new(3, output);
            WorkerTeam.Shared.RunAll([Step(3, x.Ref, y.Ref)], default, threads);
            for (int image = 0; image < 3; image++)
                Assert.That(y.ToArray().AsSpan(image * output, output).SequenceEqual(expected), $"picture {image}, {threads} threads");
        }
    }

    internal sealed record ConvolutionCase(
        int Images, int Height, int Width, int Channels, int OutputChannels, int KernelHeight, int KernelWidth, int Stride = 1, int Groups = 1, Padding Padding = default)
    {
        public int OutputHeight => ((Height + Padding.Top + Padding.Bottom - KernelHeight) / Stride) + 1;

        public int OutputWidth => ((Width + Padding.Left + Padding.Right - KernelWidth) / Stride) + 1;

        public Shape Source => new(Images, Height, Width, Channels);

        public Shape Result => new(Images, OutputHeight, OutputWidth, OutputChannels);

        public ConvolutionShape Shape =>
            new(Height, Width, Channels, OutputHeight, OutputWidth, OutputChannels, KernelHeight, KernelWidth, Stride, Padding, Groups);
    }

    internal sealed record TransposedCase(int Images, int Height, int Width, int Channels, int OutputChannels, int Kernel, int Stride, int Padding)
    {
        public int OutputHeight => ((Height - 1) * Stride) - (2 * Padding) + Kernel;

        public int OutputWidth => ((Width - 1) * Stride) - (2 * Padding) + Kernel;

        public Shape Source => new(Images, Height, Width, Channels);

        public Shape Result => new(Images, OutputHeight, OutputWidth, OutputChannels);

        public TransposedConvolutionShape Shape => new(Height, Width, Channels, OutputHeight, OutputWidth, OutputChannels, Kernel, Stride, Padding);
    }

    /// <summary>Operands with outliers in the picture, and what comes of them.</summary>
    private sealed class ConvolutionData
    {
        private readonly ConvolutionCase _case;
        private readonly double[] _sums;
        private readonly double[] _magnitudes;

        public ConvolutionData(ConvolutionCase c, bool bias)
        {
            _case = c;
            X = StepTestData.Values((int)c.Source.Count, seed: 1);
            Weight = StepTestData.Values(c.OutputChannels * c.Channels / c.Groups * c.KernelHeight * c.KernelWidth, seed: 2, outliers: false);
            Bias = bias ? StepTestData.Values(c.OutputChannels, seed: 3) : [];
            _sums = new double[c.Result.Count];
            _magnitudes = new double[_sums.Length];
            Convolve();
        }

        public float[] X { get; }

        public float[] Weight { get; }

        public float[] Bias { get; }

        public void AssertEquals(float[] y, Activation activation, float[]? residual, bool activateSum)
        {
            for (int i = 0; i < y.Length; i++)
            {
                double added = residual is null ? 0 : residual[i];
                double expected = activateSum ? Apply(activation, _sums[i] + added) : Apply(activation, _sums[i]) + added;
                Assert.That(y[i], Is.EqualTo(expected).Within(1e-6 * (1 + _magnitudes[i] + Math.Abs(added))), $"element {i}");
            }
        }

        private static double Apply(Activation activation, double x) => activation switch
        {
            Activation.None => x,
            Activation.Relu => Math.Max(x, 0),
            Activation.Swish => x / (1 + Math.Exp(-x)),
            Activation.Tanh => Math.Tanh(x),
            _ => throw new ArgumentOutOfRangeException(nameof(activation)),
        };

        private void Convolve()
        {
            ConvolutionCase c = _case;
            int channels = c.Channels / c.Groups, outputs = c.OutputChannels / c.Groups;
            for (int i = 0; i < _sums.Length; i++)
            {
                int o = i % c.OutputChannels, pixel = i / c.OutputChannels;
                int left = (pixel % c.OutputWidth * c.Stride) - c.Padding.Left, top = (pixel / c.OutputWidth % c.OutputHeight * c.Stride) - c.Padding.Top;
                int image = pixel / (c.OutputWidth * c.OutputHeight);
                _sums[i] = Bias.Length == 0 ? 0 : Bias[o];
                _magnitudes[i] = Math.Abs(_sums[i]);
                for (int k = 0; k < channels * c.KernelHeight * c.KernelWidth; k++)
                {
                    int channel = k / (c.KernelHeight * c.KernelWidth), row = top + (k / c.KernelWidth % c.KernelHeight), column = left + (k % c.KernelWidth);
                    if (row < 0 || row >= c.Height || column < 0 || column >= c.Width)
                        continue;
                    int from = (((((image * c.Height) + row) * c.Width) + column) * c.Channels) + (o / outputs * channels) + channel;
                    double product = (double)X[from] * Weight[(o * channels * c.KernelHeight * c.KernelWidth) + k];
                    _sums[i] += product;
                    _magnitudes[i] += Math.Abs(product);
                }
            }
        }
    }
}
