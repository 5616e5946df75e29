using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Depthwise convolution of channels-last pictures: every channel with a kernel of its own. A part takes some rows of some channels; it copies what these see
/// of the picture into bands in scratch memory, of which <see cref="DepthwiseRows"/> computes the result.
/// </summary>
internal sealed unsafe class DepthwiseStep : CpuStep
{
    // Blocks of channels that a part takes: two cache lines of each pixel. Bytes of its copy, which has to stay in the second-level cache.
    private const int MostBlocks = 2;
    private const int BandBytes = 192 * 1024;

    private readonly DepthwiseRows _rows;
    private readonly ConvolutionShape _shape;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _residual;
    private readonly BufferRef? _totals;
    private readonly int _images;
    private readonly int _blocks;
    private readonly int _blockGroups;
    private readonly int _rowBlocks;
    private readonly int _bandRows;

    /// <param name="rows">The convolution.</param>
    /// <param name="shape">Its extents.</param>
    /// <param name="images">N.</param>
    /// <param name="x">(N, H, W, C), dense.</param>
    /// <param name="y">(N, H', W', C), dense; or the row tiles of (N·H'·W', C).</param>
    /// <param name="residual">What is added, (N, H', W', C), dense; possibly the same memory as y.</param>
    /// <param name="totals">What the pixels of each row of the result add up to, (N·H', C), dense; null if nobody needs it.</param>
    public DepthwiseStep(
        DepthwiseRows rows, ConvolutionShape shape, int images, BufferRef x, BufferRef y, BufferRef? residual = null, BufferRef? totals = null)
    {
        _rows = rows;
        _shape = shape;
        _x = x;
        _y = y;
        _residual = residual;
        _totals = totals;
        _images = images;
        _blocks = Split.Most(shape.Channels, Block);
        _blockGroups = Split.Most(_blocks, MostBlocks);
        int fitting = (BandBytes / (rows.Pitch * MostBlocks * sizeof(float))) - shape.KernelHeight;
        _rowBlocks = Split.Most(shape.OutputHeight, Math.Clamp((fitting / shape.Stride) + 1, 1, shape.OutputHeight));
        _bandRows = rows.Seen(Split.Most(shape.OutputHeight, _rowBlocks));
    }

    /// <inheritdoc/>
    public override int Parts => _images * _rowBlocks * _blockGroups;

    // Some rows' sums, then the bands.
    /// <inheritdoc/>
    public override int ScratchBytes => (_rows.SumFloats + (MostBlocks * BandFloats)) * sizeof(float);

    private const int Block = DepthwiseRows.Block;

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

    private void Run<TSimd, TVector>(in RunContext run, int part, float* sums)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        (part, int blockGroup) = Math.DivRem(part, _blockGroups);
        (int image, int rowBlock) = Math.DivRem(part, _rowBlocks);
        (int firstRow, int endRow) = Split.Range(_shape.OutputHeight, _rowBlocks, rowBlock);
        (int firstBlock, int endBlock) = Split.Range(_blocks, _blockGroups, blockGroup);
        float* y = _y.Resolve(run);
        float* residual = _residual is BufferRef added ? added.Resolve(run) : null;
        float* totals = _totals is BufferRef rowTotals ? rowTotals.Resolve(run) : null;
        float* picture = _x.Resolve(run) + ((long)image * _shape.Height * _shape.Width * _shape.Channels);
        float* band = sums + _rows.SumFloats;
        CopyBand<TSimd, TVector>(picture, firstRow, endRow, firstBlock, endBlock, band);
        for (int block = firstBlock; block < endBlock; block++, band += BandFloats)
        {
            for (int row = firstRow; row < endRow; row += _rows.RowsTogether)
            {
                _rows.Compute<TSimd, TVector>(
                    Math.Min(_rows.RowsTogether, endRow - row),
                    band + ((row - firstRow) * _shape.Stride * _rows.Pitch),
                    block,
                    ((long)image * _shape.OutputHeight) + row,
                    sums,
                    y,
                    residual,
                    totals);
            }
        }
    }

    /// <summary>Copies what some rows of the result see of some blocks of channels. Channels beyond the last become 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void CopyBand<TSimd, TVector>(float* picture, int firstRow, int endRow, int firstBlock, int endBlock, float* band)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int channels = _shape.Channels, block = Block, pitch = _rows.Pitch, leading = _shape.Padding.Left, copied = _shape.Width;
        int top = (firstRow * _shape.Stride) - _shape.Padding.Top;
        int rows = _rows.Seen(endRow - firstRow);
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
}
