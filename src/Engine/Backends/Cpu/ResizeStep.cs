using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Bilinear resizing of planes as torch.nn.functional.interpolate does it in float32, without antialiasing. Source coordinate of pixel i:
/// i·(in − 1)/(out − 1) with aligned corners, otherwise max((i + ½)·in/out − ½, 0); beyond the last pixel the last one counts. A row of
/// the result mixes two rows of the source that have been resized in the row direction before; while it stays between the same two they
/// are reused.
/// </summary>
internal sealed unsafe class ResizeStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly int _height;
    private readonly int _outputWidth;
    private readonly PixelMix[] _rows;
    private readonly PixelMix[] _columns;
    private readonly Partition _partition;

    /// <param name="destination">(planes·output height, output width).</param>
    /// <param name="source">(planes·height, width).</param>
    /// <param name="planes">Number of planes.</param>
    /// <param name="height">Rows of a source plane.</param>
    /// <param name="width">Columns of a source plane.</param>
    /// <param name="outputHeight">Rows of a resized plane.</param>
    /// <param name="outputWidth">Columns of a resized plane.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide.</param>
    public ResizeStep(
        BufferRef destination, BufferRef source, int planes, int height, int width, int outputHeight, int outputWidth, bool alignCorners)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        _destination = destination;
        _source = source;
        _height = height;
        _outputWidth = outputWidth;
        _rows = PixelMix.Table(height, outputHeight, alignCorners);
        _columns = PixelMix.Table(width, outputWidth, alignCorners);
        _partition = new Partition((long)planes * outputHeight, 2L * outputWidth);
    }

    public override int Parts => _partition.Parts;

    public override int ScratchBytes => 2 * _outputWidth * sizeof(float);

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            RunPart<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunPart<TSimd, TVector>(in RunContext run, int part, float* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);

        // Neighbouring source rows are kept in two slots, even and odd ones.
        long* held = stackalloc long[2] { -1, -1 };
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long plane, long y) = Math.DivRem(unit, _rows.Length);
            PixelMix mix = _rows[y];
            float* lower = ResizedRow(source, (plane * _height) + mix.Lower, scratch, held);
            float* upper = ResizedRow(source, (plane * _height) + mix.Upper, scratch, held);
            MixRows<TSimd, TVector>(destination + (unit * _destination.RowStride), lower, upper, mix.Weight);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float* ResizedRow(float* source, long row, float* scratch, long* held)
    {
        long slot = row % 2;
        float* resized = scratch + (slot * _outputWidth);
        if (held[slot] == row)
            return resized;

        float* from = source + (row * _source.RowStride);
        for (int x = 0; x < _columns.Length; x++)
        {
            PixelMix mix = _columns[x];
            resized[x] = ((1 - mix.Weight) * from[mix.Lower]) + (mix.Weight * from[mix.Upper]);
        }

        held[slot] = row;
        return resized;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void MixRows<TSimd, TVector>(float* destination, float* lower, float* upper, float weight)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector upperWeight = TSimd.Broadcast(weight);
        TVector lowerWeight = TSimd.Broadcast(1 - weight);
        for (int x = 0; x < _outputWidth; x += TSimd.Lanes)
        {
            int remaining = _outputWidth - x;
            TVector mixed = TSimd.Multiply(lowerWeight, SimdTail.Load<TSimd, TVector>(lower + x, remaining));
            mixed = TSimd.MultiplyAdd(upperWeight, SimdTail.Load<TSimd, TVector>(upper + x, remaining), mixed);
            SimdTail.Store<TSimd, TVector>(mixed, destination + x, remaining);
        }
    }
}
