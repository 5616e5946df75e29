using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// The first half of an inverted bottleneck (Sandler et al. 2018, figure 3): a 1×1 convolution to many channels with its activation, and the depthwise
/// convolution of its result, in one. A part takes some channels; it expands a few rows of the picture after the other into a band in scratch memory, of which
/// <see cref="DepthwiseRows"/> computes rows of the result, so that the wide picture between the two is never written to memory.
/// </summary>
internal sealed unsafe class ExpandedDepthwiseStep : CpuStep
{
    // A band has to stay in the second-level cache beside what is read and written.
    private const int BandBytes = 192 * 1024;

    // Pixels whose product is finished together: enough for the activation's long chains of operations to overlap, few enough for the first-level cache.
    private const int ProductPixels = 256;

    // Parts that an even load takes. Cutting the rows as well costs: the rows at a cut are expanded twice.
    private const int FewestParts = 12;
    private const int FewestRows = 14;

    private readonly PackedWeights _expansion;
    private readonly Activation _activation;
    private readonly DepthwiseRows _rows;
    private readonly ConvolutionShape _shape;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _totals;
    private readonly int _images;
    private readonly int _groups;
    private readonly int _rowBlocks;
    private readonly int _productRows;
    private readonly int _chunkRows;
    private readonly int _bandRows;

    /// <param name="expansion">The 1×1 convolution.</param>
    /// <param name="activation">What is applied to its result.</param>
    /// <param name="rows">The depthwise convolution.</param>
    /// <param name="shape">The extents of that.</param>
    /// <param name="images">N.</param>
    /// <param name="x">(N, H, W, K), dense.</param>
    /// <param name="y">(N, H', W', C), dense; or the row tiles of (N·H'·W', C).</param>
    /// <param name="totals">What the pixels of each row of the result add up to, (N·H', C), dense; null if nobody needs it.</param>
    public ExpandedDepthwiseStep(
        PackedWeights expansion,
        Activation activation,
        DepthwiseRows rows,
        ConvolutionShape shape,
        int images,
        BufferRef x,
        BufferRef y,
        BufferRef? totals = null)
    {
        _expansion = expansion;
        _activation = activation;
        _rows = rows;
        _shape = shape;
        _images = images;
        _x = x;
        _y = y;
        _totals = totals;
        _productRows = Math.Max(1, ProductPixels / shape.Width);
        _groups = Split.Most(shape.Channels, GroupChannels);
        _rowBlocks = Math.Clamp(Split.Most(FewestParts, _groups * images), 1, Math.Max(1, shape.OutputHeight / FewestRows));
        int fitting = (BandBytes / (rows.Pitch * GroupBlocks * sizeof(float))) - shape.KernelHeight;
        _chunkRows = Math.Clamp((fitting / shape.Stride) + 1, 1, Split.Most(shape.OutputHeight, _rowBlocks));
        _bandRows = rows.Seen(_chunkRows);
    }

    /// <inheritdoc/>
    public override int Parts => _images * _rowBlocks * _groups;

    // Some rows of the product, some rows' sums, the bands, then pointers to the pixels of the product.
    /// <inheritdoc/>
    public override int ScratchBytes => (ScratchFloats * sizeof(float)) + (ProductFloats / DepthwiseRows.Block * sizeof(float*));

    private int ScratchFloats => (GroupBlocks * ProductFloats) + _rows.SumFloats + (GroupBlocks * BandFloats);

    /// <summary>Channels of a part: whole panels of the expansion and whole blocks of the depthwise convolution.</summary>
    private static int GroupChannels => Math.Max(SimdTier.PanelColumns, DepthwiseRows.Block);

    private static int GroupBlocks => GroupChannels / DepthwiseRows.Block;

    /// <summary>Floats of a block of the product, [pixel][16]; its last tile may have more rows than there are pixels.</summary>
    private int ProductFloats => ((_productRows * _shape.Width) + SimdTier.TileRows) * DepthwiseRows.Block;

    private int BandFloats => _bandRows * _rows.Pitch;

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

    private void Run<TSimd, TVector>(in RunContext run, int part, float* product)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_activation)
        {
            case Activation.Relu:
                Run<TSimd, TVector, ReluOperation>(run, part, product);
                break;
            case Activation.Gelu:
                Run<TSimd, TVector, GeluOperation>(run, part, product);
                break;
            case Activation.Swish:
                Run<TSimd, TVector, SwishOperation>(run, part, product);
                break;
            case Activation.Sigmoid:
                Run<TSimd, TVector, SigmoidOperation>(run, part, product);
                break;
            case Activation.Tanh:
                Run<TSimd, TVector, TanhOperation>(run, part, product);
                break;
            case Activation.Softplus:
                Run<TSimd, TVector, SoftplusOperation>(run, part, product);
                break;
            default:
                Run<TSimd, TVector, IdentityOperation>(run, part, product);
                break;
        }
    }

    private void Run<TSimd, TVector, TActivation>(in RunContext run, int part, float* product)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        (part, int group) = Math.DivRem(part, _groups);
        (int image, int rowBlock) = Math.DivRem(part, _rowBlocks);
        (int row, int endRow) = Split.Range(_shape.OutputHeight, _rowBlocks, rowBlock);
        float* x = _x.Resolve(run) + ((long)image * _shape.Height * _shape.Width * _expansion.K);
        float* y = _y.Resolve(run);
        float* totals = _totals is BufferRef rowTotals ? rowTotals.Resolve(run) : null;
        float* sums = product + (GroupBlocks * ProductFloats);
        float* band = sums + _rows.SumFloats;
        int firstBlock = group * GroupBlocks, blocks = Math.Min(GroupBlocks, Split.Most(_shape.Channels, DepthwiseRows.Block) - firstBlock);
        ClearBorder(band);
        for (int filled = 0; row < endRow;)
        {
            int rows = Math.Min(_chunkRows, endRow - row), seen = _rows.Seen(rows);
            int top = (row * _shape.Stride) - _shape.Padding.Top;
            Expand<TSimd, TVector, TActivation>(x, group, top, filled, seen, band, product);
            for (int block = 0; block < blocks; block++)
            {
                for (int i = 0; i < rows; i += _rows.RowsTogether)
                {
                    _rows.Compute<TSimd, TVector>(
                        Math.Min(_rows.RowsTogether, rows - i),
                        band + (block * BandFloats) + (i * _shape.Stride * _rows.Pitch),
                        firstBlock + block,
                        ((long)image * _shape.OutputHeight) + row + i,
                        sums,
                        y,
                        residual: null,
                        totals);
                }
            }

            // The next rows of the result see the last ones of the band again.
            row += rows;
            int passed = rows * _shape.Stride;
            filled = Math.Max(seen - passed, 0);
            for (int block = 0; block < GroupBlocks && filled > 0; block++)
            {
                float* to = band + (block * BandFloats);
                long bytes = (long)filled * _rows.Pitch * sizeof(float);
                Buffer.MemoryCopy(to + ((long)passed * _rows.Pitch), to, bytes, bytes);
            }
        }
    }

    /// <summary>Zeros the columns beyond the picture's border, which no expansion touches.</summary>
    private void ClearBorder(float* band)
    {
        int leading = _shape.Padding.Left * DepthwiseRows.Block, picture = _shape.Width * DepthwiseRows.Block;
        for (int row = 0; row < GroupBlocks * _bandRows; row++, band += _rows.Pitch)
        {
            new Span<float>(band, leading).Clear();
            new Span<float>(band + leading + picture, _rows.Pitch - leading - picture).Clear();
        }
    }

    /// <summary>Fills some rows of the bands: what is beyond the picture with zeros, the others with the expansion of the picture's rows.</summary>
    /// <param name="x">The picture.</param>
    /// <param name="group">The group of channels.</param>
    /// <param name="top">The picture's row that the bands' first row is.</param>
    /// <param name="first">The first row to fill.</param>
    /// <param name="end">The row after the last.</param>
    /// <param name="band">The bands.</param>
    /// <param name="product">Scratch memory for some rows of the product.</param>
    private void Expand<TSimd, TVector, TActivation>(float* x, int group, int top, int first, int end, float* band, float* product)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        int pitch = _rows.Pitch, width = _shape.Width;
        int firstInside = Math.Clamp(-top, first, end), endInside = Math.Clamp(_shape.Height - top, firstInside, end);
        for (int block = 0; block < GroupBlocks; block++)
        {
            float* rows = band + (block * BandFloats);
            new Span<float>(rows + (first * pitch), (firstInside - first) * pitch).Clear();
            new Span<float>(rows + (endInside * pitch), (end - endInside) * pitch).Clear();
        }

        float* inside = band + (_shape.Padding.Left * DepthwiseRows.Block);
        for (int row = firstInside; row < endInside; row += _productRows)
        {
            int rows = Math.Min(_productRows, endInside - row);
            Multiply<TSimd, TVector>(x + ((long)(top + row) * width * _expansion.K), rows * width, group, product);
            for (int channel = 0; channel < GroupChannels; channel += TSimd.Lanes)
            {
                (int block, int lane) = Math.DivRem(channel, DepthwiseRows.Block);
                float* source = product + (block * ProductFloats) + lane;
                float* target = inside + (block * BandFloats) + (row * pitch) + lane;
                Activate<TSimd, TVector, TActivation>(source, rows, (group * GroupChannels) + channel, target);
            }
        }
    }

    /// <summary>Multiplies some pixels by a group's weights.</summary>
    private void Multiply<TSimd, TVector>(float* x, int pixels, int group, float* product)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        nint vectorStride = TSimd.Lanes < DepthwiseRows.Block ? TSimd.Lanes : ProductFloats;
        float** sources = (float**)(product + ScratchFloats);
        for (int pixel = 0; pixel < pixels; pixel++)
            sources[pixel] = x + ((long)pixel * _expansion.K);
        GatheredRows.FillLastTile(sources, pixels);
        GatheredRows left = new(sources, 0, _expansion.K, 0, 1);
        for (int column = 0; column < GroupChannels; column += SimdTier.PanelColumns)
        {
            int panel = ((group * GroupChannels) + column) / SimdTier.PanelColumns;
            if (panel >= _expansion.Panels)
                return;

            // The picture comes in order, which the processor fetches by itself; the next group's weights do not.
            float* weights = _expansion.Panel(panel);
            ProductStore<TSimd, TVector> store = new(product + column, DepthwiseRows.Block, vectorStride);
            Gemm.Multiply<TSimd, TVector, GatheredRows, ProductStore<TSimd, TVector>>(
                in left, 0, pixels, weights, in store, (byte*)(weights + (GroupChannels * _expansion.K)));
        }
    }

    /// <summary>Finishes a vector of channels of some rows of the product. Channels beyond the weights', which nobody reads, stay as they are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Activate<TSimd, TVector, TActivation>(float* source, int rows, int channel, float* target)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        if (channel >= _expansion.Panels * SimdTier.PanelColumns)
            return;

        TActivation activation = default;
        TVector bias = TSimd.Load(_expansion.Bias + channel);
        int rowFloats = _shape.Width * DepthwiseRows.Block;
        for (int gap = _rows.Pitch - rowFloats; rows > 0; rows--, target += gap)
        {
            for (float* end = source + rowFloats; source < end; source += DepthwiseRows.Block, target += DepthwiseRows.Block)
                TSimd.Store(activation.Apply<TSimd, TVector>(TSimd.Add(TSimd.Load(source), bias)), target);
        }
    }
}
