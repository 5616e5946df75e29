using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>Bilinear resizing of channels-last pictures (N, H, W, C), by the rule of <see cref="ResizeStep"/>; vectors run over channels.</summary>
internal sealed unsafe class ResizeChannelsStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly int _height;
    private readonly int _width;
    private readonly int _channels;
    private readonly PixelMix[] _rows;
    private readonly PixelMix[] _columns;
    private readonly Partition _partition;

    /// <param name="destination">(N·H'·W', C), dense.</param>
    /// <param name="source">(N·H·W, C), dense.</param>
    /// <param name="images">N.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="channels">C.</param>
    /// <param name="outputHeight">H'.</param>
    /// <param name="outputWidth">W'.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide.</param>
    public ResizeChannelsStep(
        BufferRef destination, BufferRef source, int images, int height, int width, int channels, int outputHeight, int outputWidth, bool alignCorners)
    {
        _destination = destination;
        _source = source;
        _height = height;
        _width = width;
        _channels = channels;
        _rows = PixelMix.Table(height, outputHeight, alignCorners);
        _columns = PixelMix.Table(width, outputWidth, alignCorners);
        _partition = new Partition((long)images * outputHeight, 2L * outputWidth * channels);
    }

    public override int Parts => _partition.Parts;

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part);
        else
            RunPart<Simd128, Vector128<float>>(run, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunPart<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* source = _source.Resolve(run);
        float* to = _destination.Resolve(run) + (_partition.Start(part) * _columns.Length * _channels);
        long rowFloats = (long)_width * _channels;
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long image, long i) = Math.DivRem(unit, _rows.Length);
            PixelMix down = _rows[i];
            float* upper = source + (((image * _height) + down.Lower) * rowFloats);
            float* lower = source + (((image * _height) + down.Upper) * rowFloats);
            TVector lowerWeight = TSimd.Broadcast(down.Weight), upperWeight = TSimd.Broadcast(1 - down.Weight);
            foreach (PixelMix across in _columns)
            {
                long left = (long)across.Lower * _channels, right = (long)across.Upper * _channels;
                TVector rightWeight = TSimd.Broadcast(across.Weight), leftWeight = TSimd.Broadcast(1 - across.Weight);
                for (int c = 0; c < _channels; c += TSimd.Lanes)
                {
                    TVector above = Mix<TSimd, TVector>(upper + left + c, leftWeight, upper + right + c, rightWeight, _channels - c);
                    TVector below = Mix<TSimd, TVector>(lower + left + c, leftWeight, lower + right + c, rightWeight, _channels - c);
                    TVector mixed = TSimd.MultiplyAdd(lowerWeight, below, TSimd.Multiply(upperWeight, above));
                    SimdTail.Store<TSimd, TVector>(mixed, to + c, _channels - c);
                }

                to += _channels;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Mix<TSimd, TVector>(float* left, TVector leftWeight, float* right, TVector rightWeight, int remaining)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector product = TSimd.Multiply(leftWeight, SimdTail.Load<TSimd, TVector>(left, remaining));
        return TSimd.MultiplyAdd(rightWeight, SimdTail.Load<TSimd, TVector>(right, remaining), product);
    }
}
