using System.Runtime.CompilerServices;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Computes rows of a depthwise convolution, sixteen channels at a time, from a band: a copy of some rows of the picture, [row][column][16], with zeros where
/// they reach beyond the picture's border. In a band a kernel's rows stay in the first-level cache while they are used, and lie one after the other however
/// many channels the picture has. Vectors run over channels; some neighbouring pixels of a row are computed together.
/// </summary>
internal sealed unsafe class DepthwiseRows
{
    /// <summary>Channels of a band.</summary>
    public const int Block = DepthwiseWeights.BlockChannels;

    // Few enough for their sums and what they see to stay in the first-level cache.
    private const int PixelsTogether = 64;

    /// <summary>Pixels computed together: enough independent sums to hide the latency of the multiply-add.</summary>
    private const int Pixels = 4;

    private readonly DepthwiseWeights _weights;
    private readonly ConvolutionShape _shape;
    private readonly bool _yRowTiles;
    private readonly Activation _activation;
    private readonly bool _activateSum;
    private readonly int _columns;

    /// <param name="weights">The kernels.</param>
    /// <param name="shape">The convolution, with as many groups as channels.</param>
    /// <param name="yRowTiles">Whether the result is written in row tiles.</param>
    /// <param name="activation">The epilogue's activation.</param>
    /// <param name="activateSum">Whether a residual is added before it.</param>
    public DepthwiseRows(DepthwiseWeights weights, ConvolutionShape shape, bool yRowTiles, Activation activation, bool activateSum)
    {
        _weights = weights;
        _shape = shape;
        _yRowTiles = yRowTiles;
        _activation = activation;
        _activateSum = activateSum;

        // The last pixels of a row are computed together with some beyond it.
        _columns = Split.Most(shape.OutputWidth, Pixels) * Pixels;
        RowsTogether = Math.Max(1, PixelsTogether / _columns);
        BandWidth = Math.Max(((_columns - 1) * shape.Stride) + shape.KernelWidth, shape.Padding.Left + shape.Width);
    }

    /// <summary>Columns of a band. The picture's first is the one after the left padding.</summary>
    public int BandWidth { get; }

    /// <summary>Floats from one row of a band to the next.</summary>
    public int Pitch => BandWidth * Block;

    /// <summary>Rows of the result that are computed together: short ones, of which each would take calls of its own.</summary>
    public int RowsTogether { get; }

    /// <summary>Floats of scratch memory for their sums.</summary>
    public int SumFloats => RowsTogether * SumsPitch;

    private int SumsPitch => _columns * Block;

    /// <summary>Rows of a band that so many rows of the result see.</summary>
    public int Seen(int rows) => ((rows - 1) * _shape.Stride) + _shape.KernelHeight;

    /// <summary>Computes rows of the result.</summary>
    /// <param name="count">Their number, up to <see cref="RowsTogether"/>.</param>
    /// <param name="band">The first row that the first of them sees of a block's band.</param>
    /// <param name="block">The block of sixteen channels.</param>
    /// <param name="row">The first row, counted through all pictures.</param>
    /// <param name="sums">Scratch memory, <see cref="SumFloats"/> long.</param>
    /// <param name="y">The result: (N, H', W', C), dense, or the row tiles of (N·H'·W', C).</param>
    /// <param name="residual">What is added, dense, or null.</param>
    /// <param name="totals">Where the sums of each row's pixels go, (N·H', C); or null.</param>
    public void Compute<TSimd, TVector>(int count, float* band, int block, long row, float* sums, float* y, float* residual, float* totals)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int channel = block * Block;
        int slid = Slide<TSimd, TVector>(count, band, channel, sums);
        for (int i = 0; i < count && slid < _columns; i++)
        {
            for (int lane = 0; lane < Block; lane += 2 * TSimd.Lanes)
                Filter<TSimd, TVector>(band + (i * _shape.Stride * Pitch) + lane, channel + lane, sums + (i * SumsPitch) + lane, slid);
        }

        switch (_activation)
        {
            case Activation.Relu:
                Store<TSimd, TVector, ReluOperation>(count, sums, row, channel, y, residual, totals);
                break;
            case Activation.Gelu:
                Store<TSimd, TVector, GeluOperation>(count, sums, row, channel, y, residual, totals);
                break;
            case Activation.Swish:
                Store<TSimd, TVector, SwishOperation>(count, sums, row, channel, y, residual, totals);
                break;
            case Activation.Sigmoid:
                Store<TSimd, TVector, SigmoidOperation>(count, sums, row, channel, y, residual, totals);
                break;
            case Activation.Tanh:
                Store<TSimd, TVector, TanhOperation>(count, sums, row, channel, y, residual, totals);
                break;
            case Activation.Softplus:
                Store<TSimd, TVector, SoftplusOperation>(count, sums, row, channel, y, residual, totals);
                break;
            default:
                Store<TSimd, TVector, IdentityOperation>(count, sums, row, channel, y, residual, totals);
                break;
        }
    }

    /// <summary>The sums of each row's first pixels, as many as <see cref="SlidingWindow"/> can compute.</summary>
    /// <returns>Their number.</returns>
    private int Slide<TSimd, TVector>(int count, float* rows, int channel, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int width = _shape.KernelWidth, height = _shape.KernelHeight, pixels = _columns / SlidingWindow.Pixels * SlidingWindow.Pixels;
        if (_shape.Stride != 1 || width is not (3 or 5))
            return 0;
        for (int lane = 0; lane < Block; lane += TSimd.Lanes)
        {
            float* taps = _weights.Tap(channel + lane, 0), bias = _weights.Bias + channel + lane;
            if (width == 3)
                SlidingWindow.Filter<TSimd, TVector, ThreeTaps>(count, rows + lane, Pitch, taps, height, bias, sums + lane, SumsPitch, pixels);
            else
                SlidingWindow.Filter<TSimd, TVector, FiveTaps>(count, rows + lane, Pitch, taps, height, bias, sums + lane, SumsPitch, pixels);
        }

        return pixels;
    }

    /// <summary>A row's sums from some pixel on, for two vectors of channels (one, if a vector holds a block).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Filter<TSimd, TVector>(float* rows, int channel, float* sums, int firstPixel)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // With a block to a vector the second is the first again, and its results are not stored.
        nint second = TSimd.Lanes < Block ? TSimd.Lanes : 0, step = _shape.Stride * Block, pitch = Pitch;
        int kernelHeight = _shape.KernelHeight, kernelWidth = _shape.KernelWidth;
        float* taps = _weights.Tap(channel, 0);
        float* end = sums + (_columns * Block);
        sums += firstPixel * Block;
        rows += firstPixel * step;
        TVector bias0 = TSimd.Load(_weights.Bias + channel), bias1 = TSimd.Load(_weights.Bias + channel + second);
        for (; sums < end; sums += Pixels * Block, rows += Pixels * step)
        {
            (TVector s00, TVector s10, TVector s20, TVector s30) = (bias0, bias0, bias0, bias0);
            (TVector s01, TVector s11, TVector s21, TVector s31) = (bias1, bias1, bias1, bias1);
            float* tap = taps;
            float* row = rows;
            for (int u = 0; u < kernelHeight; u++, row += pitch)
            {
                float* pixel = row;
                for (int v = 0; v < kernelWidth; v++, pixel += Block, tap += Block)
                {
                    TVector weight = TSimd.Load(tap);
                    s00 = TSimd.MultiplyAdd(TSimd.Load(pixel), weight, s00);
                    s10 = TSimd.MultiplyAdd(TSimd.Load(pixel + step), weight, s10);
                    s20 = TSimd.MultiplyAdd(TSimd.Load(pixel + (2 * step)), weight, s20);
                    s30 = TSimd.MultiplyAdd(TSimd.Load(pixel + (3 * step)), weight, s30);
                    if (TSimd.Lanes < Block)
                    {
                        weight = TSimd.Load(tap + TSimd.Lanes);
                        s01 = TSimd.MultiplyAdd(TSimd.Load(pixel + TSimd.Lanes), weight, s01);
                        s11 = TSimd.MultiplyAdd(TSimd.Load(pixel + TSimd.Lanes + step), weight, s11);
                        s21 = TSimd.MultiplyAdd(TSimd.Load(pixel + TSimd.Lanes + (2 * step)), weight, s21);
                        s31 = TSimd.MultiplyAdd(TSimd.Load(pixel + TSimd.Lanes + (3 * step)), weight, s31);
                    }
                }
            }

            TSimd.Store(s00, sums);
            TSimd.Store(s10, sums + Block);
            TSimd.Store(s20, sums + (2 * Block));
            TSimd.Store(s30, sums + (3 * Block));
            if (TSimd.Lanes < Block)
            {
                TSimd.Store(s01, sums + TSimd.Lanes);
                TSimd.Store(s11, sums + TSimd.Lanes + Block);
                TSimd.Store(s21, sums + TSimd.Lanes + (2 * Block));
                TSimd.Store(s31, sums + TSimd.Lanes + (3 * Block));
            }
        }
    }

    /// <summary>Finishes and stores a block of channels of some rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Store<TSimd, TVector, TActivation>(int count, float* sums, long row, int channel, float* y, float* residual, float* totals)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int channels = _shape.Channels, width = _shape.OutputWidth, within = Math.Min(channels - channel, Block);
        bool activateSum = _activateSum;
        TActivation activation = default;
        for (int lane = 0; lane < within; lane += TSimd.Lanes)
        {
            int remaining = within - lane;
            long pixel = row * width;
            float* sumOfRow = totals == null ? null : totals + (row * channels) + channel + lane;
            float* target = y + (pixel * channels) + channel + lane;
            if (residual == null && !_yRowTiles && remaining >= TSimd.Lanes)
            {
                Store<TSimd, TVector, TActivation>(count, width, sums + lane, SumsPitch, target, sumOfRow, channels);
                continue;
            }

            for (int i = 0; i < count; i++)
            {
                float* sum = sums + (i * SumsPitch) + lane;
                float* added = residual + (target - y);
                TVector total = TSimd.Zero;
                for (float* end = sum + (width * Block); sum < end; sum += Block, pixel++, target += channels, added += channels)
                {
                    TVector value = TSimd.Load(sum);
                    if (residual == null)
                    {
                        value = activation.Apply<TSimd, TVector>(value);
                    }
                    else
                    {
                        TVector addend = SimdTail.Load<TSimd, TVector>(added, remaining);
                        value = activateSum
                            ? activation.Apply<TSimd, TVector>(TSimd.Add(value, addend))
                            : TSimd.Add(activation.Apply<TSimd, TVector>(value), addend);
                    }

                    SimdTail.Store<TSimd, TVector>(value, _yRowTiles ? y + RowTiles.Index(pixel, channel + lane, channels) : target, remaining);
                    total = TSimd.Add(total, value);
                }

                if (totals != null)
                    SimdTail.Store<TSimd, TVector>(total, sumOfRow + (i * channels), remaining);
            }
        }
    }

    /// <summary>Finishes and stores a vector of channels of some rows: nothing but the loop that nearly all results come from.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store<TSimd, TVector, TActivation>(int count, int width, float* sums, int sumsPitch, float* target, float* totals, nint channels)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        TActivation activation = default;
        for (; count > 0; count--, sums += sumsPitch)
        {
            TVector total = TSimd.Zero;
            float* sum = sums;
            for (float* end = sum + (width * Block); sum < end; sum += Block, target += channels)
            {
                TVector value = activation.Apply<TSimd, TVector>(TSimd.Load(sum));
                TSimd.Store(value, target);
                total = TSimd.Add(total, value);
            }

            if (totals != null)
            {
                TSimd.Store(total, totals);
                totals += channels;
            }
        }
    }
}
