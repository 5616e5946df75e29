using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>The weight of a depthwise convolution, (C, 1, kh, kw), as [kh · kw][C], and its bias; each row padded with zeros to whole vectors.</summary>
internal sealed unsafe class DepthwiseWeights
{
    /// <param name="memory">Where the weights go.</param>
    /// <param name="weight">(C, 1, kh, kw).</param>
    /// <param name="bias">(C), or empty.</param>
    /// <param name="channels">C.</param>
    public DepthwiseWeights(MemoryPool memory, float[] weight, float[] bias, int channels)
    {
        int taps = weight.Length / channels;
        Stride = Split.Most(channels, RowTiles.BlockColumns) * RowTiles.BlockColumns;
        Taps = (float*)memory.Take((taps + 1L) * Stride * sizeof(float));
        Bias = Taps + ((long)taps * Stride);
        new Span<float>(Taps, (taps + 1) * Stride).Clear();
        for (int i = 0; i < weight.Length; i++)
            Taps[((i % taps) * Stride) + (i / taps)] = weight[i];
        bias.CopyTo(new Span<float>(Bias, Stride));
    }

    /// <summary>[kh · kw][Stride].</summary>
    public float* Taps { get; }

    /// <summary>[Stride]; zeros if there is none.</summary>
    public float* Bias { get; }

    /// <summary>Floats from one tap to the next.</summary>
    public int Stride { get; }
}

/// <summary>
/// Depthwise convolution of channels-last pictures: every channel with a kernel of its own. Vectors run over channels; some neighbouring pixels of a row are
/// computed together. At the border a pixel sees the kernel's taps that lie within the picture.
/// </summary>
internal sealed unsafe class DepthwiseStep : CpuStep
{
    /// <summary>Pixels computed together.</summary>
    private const int Pixels = 4;

    private readonly DepthwiseWeights _weights;
    private readonly ConvolutionShape _shape;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _residual;
    private readonly bool _yRowTiles;
    private readonly Activation _activation;
    private readonly bool _activateSum;
    private readonly int _firstInner;
    private readonly int _endInner;
    private readonly Partition _partition;

    /// <param name="weights">The kernels.</param>
    /// <param name="shape">The convolution, with as many groups as channels.</param>
    /// <param name="images">N.</param>
    /// <param name="x">(N, H, W, C), dense.</param>
    /// <param name="y">(N, H', W', C), dense; or the row tiles of (N·H'·W', C).</param>
    /// <param name="yRowTiles">Whether Y is written in row tiles.</param>
    /// <param name="activation">The epilogue's activation.</param>
    /// <param name="residual">What is added, (N, H', W', C), dense; possibly the same memory as y.</param>
    /// <param name="activateSum">Whether it is added before the activation.</param>
    public DepthwiseStep(
        DepthwiseWeights weights,
        ConvolutionShape shape,
        int images,
        BufferRef x,
        BufferRef y,
        bool yRowTiles = false,
        Activation activation = Activation.None,
        BufferRef? residual = null,
        bool activateSum = false)
    {
        _weights = weights;
        _shape = shape;
        _x = x;
        _y = y;
        _yRowTiles = yRowTiles;
        _activation = activation;
        _residual = residual;
        _activateSum = activateSum;
        _firstInner = Math.Min(Split.Most(shape.Padding.Left, shape.Stride), shape.OutputWidth);
        _endInner = Math.Clamp(((shape.Width + shape.Padding.Left - shape.KernelWidth) / shape.Stride) + 1, _firstInner, shape.OutputWidth);
        _partition = new Partition((long)images * shape.OutputHeight, (long)shape.OutputWidth * shape.Channels * (2 + (shape.KernelHeight * shape.KernelWidth / 4)));
    }

    /// <inheritdoc/>
    public override int Parts => _partition.Parts;

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<Simd512, Vector512<float>>(run, part);
        else if (Vector256.IsHardwareAccelerated)
            Run<Simd256, Vector256<float>>(run, part);
        else
            Run<Simd128, Vector128<float>>(run, part);
    }

    private void Run<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_activation)
        {
            case Activation.Relu:
                Run<TSimd, TVector, ReluOperation>(run, part);
                break;
            case Activation.Gelu:
                Run<TSimd, TVector, GeluOperation>(run, part);
                break;
            case Activation.Swish:
                Run<TSimd, TVector, SwishOperation>(run, part);
                break;
            case Activation.Sigmoid:
                Run<TSimd, TVector, SigmoidOperation>(run, part);
                break;
            case Activation.Tanh:
                Run<TSimd, TVector, TanhOperation>(run, part);
                break;
            case Activation.Softplus:
                Run<TSimd, TVector, SoftplusOperation>(run, part);
                break;
            default:
                Run<TSimd, TVector, IdentityOperation>(run, part);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run<TSimd, TVector, TActivation>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        float* x = _x.Resolve(run);
        float* y = _y.Resolve(run);
        float* residual = _residual is BufferRef added ? added.Resolve(run) : null;
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long image, long i) = Math.DivRem(unit, _shape.OutputHeight);
            int top = ((int)i * _shape.Stride) - _shape.Padding.Top;
            int firstTap = Math.Max(-top, 0), endTap = Math.Min(_shape.Height - top, _shape.KernelHeight);
            float* row = x + (((image * _shape.Height) + top) * _shape.Width * _shape.Channels);
            long flat = unit * _shape.OutputWidth;
            for (int j = 0; j < _shape.OutputWidth;)
            {
                bool inner = j >= _firstInner && j + Pixels <= _endInner;
                int count = inner ? Pixels : 1;
                int left = (j * _shape.Stride) - _shape.Padding.Left;
                int firstColumn = inner ? 0 : Math.Max(-left, 0), endColumn = inner ? _shape.KernelWidth : Math.Min(_shape.Width - left, _shape.KernelWidth);
                float* window = row + ((long)left * _shape.Channels);
                for (int c = 0; c < _shape.Channels; c += TSimd.Lanes)
                {
                    if (inner)
                        Filter<TSimd, TVector, TActivation>(window, firstTap, endTap, flat + j, c, y, residual);
                    else
                        FilterBorder<TSimd, TVector, TActivation>(window, firstTap, endTap, firstColumn, endColumn, flat + j, c, y, residual);
                }

                j += count;
            }
        }
    }

    /// <summary>A vector of channels of <see cref="Pixels"/> pixels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Filter<TSimd, TVector, TActivation>(float* window, int firstTap, int endTap, long flat, int c, float* y, float* residual)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int channels = _shape.Channels, remaining = channels - c;
        nint step = (nint)_shape.Stride * channels;
        TVector s0 = TSimd.Load(_weights.Bias + c);
        (TVector s1, TVector s2, TVector s3) = (s0, s0, s0);
        for (int u = firstTap; u < endTap; u++)
        {
            float* tap = _weights.Taps + ((long)u * _shape.KernelWidth * _weights.Stride) + c;
            float* pixel = window + ((long)u * _shape.Width * channels) + c;
            for (int v = 0; v < _shape.KernelWidth; v++, tap += _weights.Stride, pixel += channels)
            {
                TVector weight = TSimd.Load(tap);
                s0 = TSimd.MultiplyAdd(SimdTail.Load<TSimd, TVector>(pixel, remaining), weight, s0);
                s1 = TSimd.MultiplyAdd(SimdTail.Load<TSimd, TVector>(pixel + step, remaining), weight, s1);
                s2 = TSimd.MultiplyAdd(SimdTail.Load<TSimd, TVector>(pixel + (2 * step), remaining), weight, s2);
                s3 = TSimd.MultiplyAdd(SimdTail.Load<TSimd, TVector>(pixel + (3 * step), remaining), weight, s3);
            }
        }

        Store<TSimd, TVector, TActivation>(s0, flat, c, y, residual);
        Store<TSimd, TVector, TActivation>(s1, flat + 1, c, y, residual);
        Store<TSimd, TVector, TActivation>(s2, flat + 2, c, y, residual);
        Store<TSimd, TVector, TActivation>(s3, flat + 3, c, y, residual);
    }

    /// <summary>A vector of channels of one pixel that does not see all of the kernel's columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FilterBorder<TSimd, TVector, TActivation>(
        float* window, int firstTap, int endTap, int firstColumn, int endColumn, long flat, int c, float* y, float* residual)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int channels = _shape.Channels;
        TVector sum = TSimd.Load(_weights.Bias + c);
        for (int u = firstTap; u < endTap; u++)
        {
            float* tap = _weights.Taps + (((long)u * _shape.KernelWidth) * _weights.Stride) + c;
            float* pixel = window + ((long)u * _shape.Width * channels) + c;
            for (int v = firstColumn; v < endColumn; v++)
                sum = TSimd.MultiplyAdd(SimdTail.Load<TSimd, TVector>(pixel + (v * channels), channels - c), TSimd.Load(tap + (v * _weights.Stride)), sum);
        }

        Store<TSimd, TVector, TActivation>(sum, flat, c, y, residual);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store<TSimd, TVector, TActivation>(TVector sum, long flat, int c, float* y, float* residual)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int remaining = _shape.Channels - c;
        TActivation activation = default;
        TVector addend = residual == null ? TSimd.Zero : SimdTail.Load<TSimd, TVector>(residual + (flat * _shape.Channels) + c, remaining);
        sum = _activateSum
            ? activation.Apply<TSimd, TVector>(TSimd.Add(sum, addend))
            : TSimd.Add(activation.Apply<TSimd, TVector>(sum), addend);
        float* target = y + (_yRowTiles ? RowTiles.Index(flat, c, _shape.Channels) : (flat * _shape.Channels) + c);
        SimdTail.Store<TSimd, TVector>(sum, target, remaining);
    }
}
