using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Maximum pooling of channels-last pictures (N, H, W, C): the largest number of each square, as far as it lies within the picture; NaN if one of them is NaN.
/// Vectors run over channels.
/// </summary>
internal sealed unsafe class MaxPoolStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly int _height;
    private readonly int _width;
    private readonly int _channels;
    private readonly int _kernel;
    private readonly int _stride;
    private readonly int _padding;
    private readonly int _outputHeight;
    private readonly int _outputWidth;
    private readonly Partition _partition;

    /// <param name="destination">(N·H'·W', C), dense.</param>
    /// <param name="source">(N·H·W, C), dense.</param>
    /// <param name="images">N.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="channels">C.</param>
    /// <param name="kernel">Side of the square.</param>
    /// <param name="stride">Distance of squares.</param>
    /// <param name="padding">Pixels beyond the border, at most half the kernel.</param>
    public MaxPoolStep(
        BufferRef destination, BufferRef source, int images, int height, int width, int channels, int kernel, int stride, int padding)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(padding, kernel / 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(kernel, Math.Min(height, width) + (2 * padding));
        _destination = destination;
        _source = source;
        _height = height;
        _width = width;
        _channels = channels;
        _kernel = kernel;
        _stride = stride;
        _padding = padding;
        _outputHeight = ((height + (2 * padding) - kernel) / stride) + 1;
        _outputWidth = ((width + (2 * padding) - kernel) / stride) + 1;
        _partition = new Partition((long)images * _outputHeight, (long)_outputWidth * channels * (1 + (kernel * kernel / 4)));
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
        float* to = _destination.Resolve(run) + (_partition.Start(part) * _outputWidth * _channels);
        long rowFloats = (long)_width * _channels;
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long image, long i) = Math.DivRem(unit, _outputHeight);
            long top = (i * _stride) - _padding;
            long first = Math.Max(top, 0), rows = Math.Min(top + _kernel, _height) - first;
            float* picture = source + (((image * _height) + first) * rowFloats);
            for (int j = 0; j < _outputWidth; j++, to += _channels)
            {
                int left = (j * _stride) - _padding;
                int firstColumn = Math.Max(left, 0), columns = Math.Min(left + _kernel, _width) - firstColumn;
                float* corner = picture + ((long)firstColumn * _channels);
                for (int c = 0; c < _channels; c += TSimd.Lanes)
                {
                    int remaining = _channels - c;
                    TVector largest = TSimd.Broadcast(float.NegativeInfinity);
                    float* row = corner + c;
                    for (long u = 0; u < rows; u++, row += rowFloats)
                    {
                        for (int v = 0; v < columns; v++)
                            largest = MaxOperation.Apply<TSimd, TVector>(SimdTail.Load<TSimd, TVector>(row + (v * _channels), remaining), largest);
                    }

                    SimdTail.Store<TSimd, TVector>(largest, to + c, remaining);
                }
            }
        }
    }
}
