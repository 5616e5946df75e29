using System.Runtime.CompilerServices;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Cuts pictures x (N, C, H, W) into patches of p × p pixels and writes each as a row of a matrix (N·H/p·W/p, C·p·p) in row tiles,
/// patches in row-major order: the left operand of the patch embedding, which is a convolution with kernel = stride = p.
/// </summary>
internal sealed unsafe class PatchRowsStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly PatchOrder _order;
    private readonly int _channels;
    private readonly int _height;
    private readonly int _patch;
    private readonly int _gridHeight;
    private readonly int _gridWidth;
    private readonly Partition _partition;

    /// <param name="destination">Row tiles of (N·H/p·W/p, C·p·p).</param>
    /// <param name="source">Pictures (N, C, H, W).</param>
    /// <param name="order">Order of the columns.</param>
    /// <param name="images">N.</param>
    /// <param name="channels">C.</param>
    /// <param name="height">H, a multiple of p.</param>
    /// <param name="width">W, a multiple of p.</param>
    /// <param name="patch">p.</param>
    public PatchRowsStep(
        BufferRef destination, BufferRef source, PatchOrder order, int images, int channels, int height, int width, int patch)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(height % patch, 0, nameof(height));
        ArgumentOutOfRangeException.ThrowIfNotEqual(width % patch, 0, nameof(width));
        _destination = destination;
        _source = source;
        _order = order;
        _channels = channels;
        _height = height;
        _patch = patch;
        _gridHeight = height / patch;
        _gridWidth = width / patch;
        _partition = new Partition((long)images * _gridHeight * _gridWidth, Columns);
    }

    public override int Parts => _partition.Parts;

    public override int ScratchBytes => Blocks * RowTiles.BlockColumns * sizeof(float);

    private int Columns => _channels * _patch * _patch;

    private int Blocks => Split.Most(Columns, RowTiles.BlockColumns);

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        float* patch = (float*)scratch;
        new Span<float>(patch, Blocks * RowTiles.BlockColumns)[Columns..].Clear();
        long end = _partition.End(part);
        for (long row = _partition.Start(part); row < end; row++)
        {
            (long gridRow, long gridColumn) = Math.DivRem(row, _gridWidth);
            (long image, gridRow) = Math.DivRem(gridRow, _gridHeight);
            float* corner = source + (((image * _channels * _height) + (gridRow * _patch)) * _source.RowStride) + (gridColumn * _patch);
            if (_order == PatchOrder.ChannelRowColumn)
                GatherChannelFirst(patch, corner);
            else
                GatherChannelLast(patch, corner);

            for (int block = 0; block < Blocks; block++)
            {
                Span<float> line = new(patch + (block * RowTiles.BlockColumns), RowTiles.BlockColumns);
                line.CopyTo(new Span<float>(destination + RowTiles.BlockIndex(row, block, Columns), RowTiles.BlockColumns));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void GatherChannelFirst(float* patch, float* corner)
    {
        for (int c = 0; c < _channels; c++)
        {
            for (int y = 0; y < _patch; y++, patch += _patch)
            {
                float* line = corner + ((((long)c * _height) + y) * _source.RowStride);
                new Span<float>(line, _patch).CopyTo(new Span<float>(patch, _patch));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void GatherChannelLast(float* patch, float* corner)
    {
        for (int c = 0; c < _channels; c++)
        {
            float* pixel = patch + c;
            for (int y = 0; y < _patch; y++)
            {
                float* line = corner + ((((long)c * _height) + y) * _source.RowStride);
                for (int x = 0; x < _patch; x++, pixel += _channels)
                    *pixel = line[x];
            }
        }
    }
}
