using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Depthwise convolution of channels-last pictures: every channel with a kernel of its own. A part takes some rows of some channels; it copies what these see of the
/// picture into scratch memory, sixteen channels after the other, zeros beyond the border included. There a kernel's rows stay in the first-level cache while they are
/// used, and lie one after the other however many channels the picture has. Vectors run over channels; some neighbouring pixels of a row are computed together.
/// </summary>
internal sealed unsafe class DepthwiseStep : CpuStep
{
    /// <summary>Pixels computed together: enough independent sums to hide the latency of the multiply-add.</summary>
    private const int Pixels = 4;

    // Blocks of channels that a part takes: two cache lines of each pixel. Bytes of its copy, which has to stay in the second-level cache.
    private const int MostBlocks = 2;
    private const int BandBytes = 192 * 1024;

    private readonly DepthwiseWeights _weights;
    private readonly ConvolutionShape _shape;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _residual;
    private readonly bool _yRowTiles;
    private readonly Activation _activation;
    private readonly bool _activateSum;
    private readonly int _images;
    private readonly int _blocks;
    private readonly int _blockGroups;
    private readonly int _rowBlocks;
    private readonly int _bandWidth;
    private readonly int _bandRows;
    private readonly int _columns;

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
        _images = images;
        _blocks = Split.Most(shape.Channels, Block);
        _blockGroups = Split.Most(_blocks, MostBlocks);

        // The last pixels of a row are computed together with some beyond it.
        _columns = Split.Most(shape.OutputWidth, Pixels) * Pixels;
        _bandWidth = ((_columns - 1) * shape.Stride) + shape.KernelWidth;
        int fitting = (BandBytes / (_bandWidth * MostBlocks * Block * sizeof(float))) - shape.KernelHeight;
        _rowBlocks = Split.Most(shape.OutputHeight, Math.Clamp((fitting / shape.Stride) + 1, 1, shape.OutputHeight));
        _bandRows = ((Split.Most(shape.OutputHeight, _rowBlocks) - 1) * shape.Stride) + shape.KernelHeight;
    }

    /// <inheritdoc/>
    public override int Parts => _images * _rowBlocks * _blockGroups;

    // A row's sums, then the copy.
    /// <inheritdoc/>
    public override int ScratchBytes => ((_columns * Block) + (MostBlocks * BandFloats)) * sizeof(float);

    private const int Block = DepthwiseWeights.BlockChannels;

    /// <summary>Floats of a block of channels in the copy.</summary>
    private int BandFloats => _bandRows * _bandWidth * Block;

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            Run<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            Run<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    private void Run<TSimd, TVector>(in RunContext run, int part, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_activation)
        {
            case Activation.Relu:
                Run<TSimd, TVector, ReluOperation>(run, part, scratch);
                break;
            case Activation.Gelu:
                Run<TSimd, TVector, GeluOperation>(run, part, scratch);
                break;
            case Activation.Swish:
                Run<TSimd, TVector, SwishOperation>(run, part, scratch);
                break;
            case Activation.Sigmoid:
                Run<TSimd, TVector, SigmoidOperation>(run, part, scratch);
                break;
            case Activation.Tanh:
                Run<TSimd, TVector, TanhOperation>(run, part, scratch);
                break;
            case Activation.Softplus:
                Run<TSimd, TVector, SoftplusOperation>(run, part, scratch);
                break;
            default:
                Run<TSimd, TVector, IdentityOperation>(run, part, scratch);
                break;
        }
    }

    private void Run<TSimd, TVector, TActivation>(in RunContext run, int part, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        (part, int blockGroup) = Math.DivRem(part, _blockGroups);
        (int image, int rowBlock) = Math.DivRem(part, _rowBlocks);
        (int firstRow, int endRow) = Split.Range(_shape.OutputHeight, _rowBlocks, rowBlock);
        (int firstBlock, int endBlock) = Split.Range(_blocks, _blockGroups, blockGroup);
        float* y = _y.Resolve(run);
        float* residual = _residual is BufferRef added ? added.Resolve(run) : null;
        float* picture = _x.Resolve(run) + ((long)image * _shape.Height * _shape.Width * _shape.Channels);
        float* band = sums + (_columns * Block);
        CopyBand<TSimd, TVector>(picture, firstRow, endRow, firstBlock, endBlock, band);
        for (int block = firstBlock; block < endBlock; block++, band += BandFloats)
        {
            float* rows = band;
            for (int i = firstRow; i < endRow; i++, rows += _shape.Stride * _bandWidth * Block)
            {
                for (int lane = 0; lane < Block; lane += 2 * TSimd.Lanes)
                    Filter<TSimd, TVector>(rows + lane, (block * Block) + lane, sums + lane);
                StoreRow<TSimd, TVector, TActivation>(sums, (((long)image * _shape.OutputHeight) + i) * _shape.OutputWidth, block * Block, y, residual);
            }
        }
    }

    /// <summary>Copies what some rows of the result see of some blocks of channels. Channels beyond the last become 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void CopyBand<TSimd, TVector>(float* picture, int firstRow, int endRow, int firstBlock, int endBlock, float* band)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int channels = _shape.Channels, block = Block, pitch = _bandWidth * Block;
        int leading = Math.Min(_shape.Padding.Left, _bandWidth), copied = Math.Min(_bandWidth - leading, _shape.Width);
        int top = (firstRow * _shape.Stride) - _shape.Padding.Top;
        int rows = ((endRow - firstRow - 1) * _shape.Stride) + _shape.KernelHeight;
        for (int row = top; row < top + rows; row++, band += pitch)
        {
            for (int b = firstBlock; b < endBlock; b++)
            {
                float* to = band + ((b - firstBlock) * BandFloats);
                Span<float> target = new(to, pitch);
                if (row < 0 || row >= _shape.Height)
                {
                    target.Clear();
                    continue;
                }

                target[..(leading * block)].Clear();
                target[((leading + copied) * block)..].Clear();
                float* from = picture + ((long)row * _shape.Width * channels) + (b * block);
                float* end = to + ((leading + copied) * block);
                for (to += leading * block; to < end; to += block, from += channels)
                {
                    for (int lane = 0; lane < block; lane += TSimd.Lanes)
                        TSimd.Store(SimdTail.Load<TSimd, TVector>(from + lane, Math.Max(channels - (b * block) - lane, 0)), to + lane);
                }
            }
        }
    }

    /// <summary>A row's sums for two vectors of channels (one, if a vector holds a block).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Filter<TSimd, TVector>(float* rows, int channel, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // With a block to a vector the second is the first again, and its results are not stored.
        nint second = TSimd.Lanes < Block ? TSimd.Lanes : 0, step = _shape.Stride * Block, pitch = _bandWidth * Block;
        int kernelHeight = _shape.KernelHeight, kernelWidth = _shape.KernelWidth;
        float* taps = _weights.Tap(channel, 0);
        float* end = sums + (_columns * Block);
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

    /// <summary>Finishes and stores a block of channels of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void StoreRow<TSimd, TVector, TActivation>(float* sums, long pixel, int channel, float* y, float* residual)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int channels = _shape.Channels, count = Math.Min(channels - channel, Block);
        bool tiled = _yRowTiles, activateSum = _activateSum;
        TActivation activation = default;
        float* row = y + (pixel * channels) + channel;
        float* end = sums + (_shape.OutputWidth * Block);
        for (; sums < end; sums += Block, pixel++, row += channels)
        {
            float* target = tiled ? y + RowTiles.Index(pixel, channel, channels) : row;
            for (int lane = 0; lane < count; lane += TSimd.Lanes)
            {
                TVector sum = TSimd.Load(sums + lane);
                if (residual == null)
                {
                    sum = activation.Apply<TSimd, TVector>(sum);
                }
                else
                {
                    TVector addend = SimdTail.Load<TSimd, TVector>(residual + (pixel * channels) + channel + lane, count - lane);
                    sum = activateSum
                        ? activation.Apply<TSimd, TVector>(TSimd.Add(sum, addend))
                        : TSimd.Add(activation.Apply<TSimd, TVector>(sum), addend);
                }

                SimdTail.Store<TSimd, TVector>(sum, target + lane, count - lane);
            }
        }
    }
}
