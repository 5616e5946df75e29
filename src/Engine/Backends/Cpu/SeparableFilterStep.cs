using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Filters planes of H × W with the same taps down the columns, then along the rows (scipy.ndimage.gaussian_filter's order): y[i] = Σₖ
/// taps[k] · x[i + k − radius], a correlation, in float32. A part does both passes for some rows: the intermediate row stays in scratch
/// memory.
/// </summary>
internal sealed unsafe class SeparableFilterStep : CpuStep
{
    /// <summary>Vectors of a row computed together, to hide the latency of the multiply-add.</summary>
    private const int Chains = 4;

    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly float[] _taps;
    private readonly int _radius;
    private readonly Border _border;
    private readonly int _height;
    private readonly int _width;
    private readonly int[] _rows;
    private readonly int[] _columns;
    private readonly Partition _partition;

    /// <param name="destination">(planes·H, W); not the source.</param>
    /// <param name="source">(planes·H, W).</param>
    /// <param name="taps">The filter, an odd number of taps; copied.</param>
    /// <param name="border">What lies beyond the border.</param>
    /// <param name="planes">Number of planes.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    public SeparableFilterStep(
        BufferRef destination, BufferRef source, ReadOnlySpan<float> taps, Border border, int planes, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(taps.Length % 2, 0, nameof(taps));
        _destination = destination;
        _source = source;
        _taps = taps.ToArray();
        _radius = taps.Length / 2;
        _border = border;
        _height = height;
        _width = width;
        _rows = ReflectedIndices(height, _radius);
        _columns = ReflectedIndices(width, _radius);
        _partition = new Partition((long)planes * height, width * (1L + (taps.Length / 8)));
    }

    public override int Parts => _partition.Parts;

    // Whole groups of vectors are computed, so the row may be overrun by one.
    public override int ScratchBytes => (_width + (2 * _radius) + (Chains * SimdTier.Lanes)) * sizeof(float);

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            RunPart<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    /// <summary>Source index for −radius … extent − 1 + radius.</summary>
    private static int[] ReflectedIndices(int extent, int radius)
    {
        int[] indices = new int[extent + (2 * radius)];
        for (int i = 0; i < indices.Length; i++)
        {
            int period = 2 * extent;
            int folded = (((i - radius) % period) + period) % period;
            indices[i] = folded < extent ? folded : period - 1 - folded;
        }

        return indices;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunPart<TSimd, TVector>(in RunContext run, int part, float* padded)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long plane, long y) = Math.DivRem(unit, _height);
            FilterColumns<TSimd, TVector>(padded + _radius, source + (plane * _height * _source.RowStride), (int)y);
            PadRow(padded);
            FilterRow<TSimd, TVector>(destination + (unit * _destination.RowStride), padded);
        }
    }

    /// <summary>Row y of the first pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FilterColumns<TSimd, TVector>(float* row, float* plane, int y)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int lanes = TSimd.Lanes;
        bool zero = _border == Border.Zero;
        int first = zero ? Math.Max(0, _radius - y) : 0;
        int end = zero ? Math.Min(_taps.Length, _radius + _height - y) : _taps.Length;
        int x = 0;
        for (; x <= _width - (Chains * lanes); x += Chains * lanes)
        {
            (TVector s0, TVector s1, TVector s2, TVector s3) = (TSimd.Zero, TSimd.Zero, TSimd.Zero, TSimd.Zero);
            for (int k = first; k < end; k++)
            {
                float* from = plane + (_rows[y + k] * _source.RowStride) + x;
                TVector tap = TSimd.Broadcast(_taps[k]);
                s0 = TSimd.MultiplyAdd(tap, TSimd.Load(from), s0);
                s1 = TSimd.MultiplyAdd(tap, TSimd.Load(from + lanes), s1);
                s2 = TSimd.MultiplyAdd(tap, TSimd.Load(from + (2 * lanes)), s2);
                s3 = TSimd.MultiplyAdd(tap, TSimd.Load(from + (3 * lanes)), s3);
            }

            TSimd.Store(s0, row + x);
            TSimd.Store(s1, row + x + lanes);
            TSimd.Store(s2, row + x + (2 * lanes));
            TSimd.Store(s3, row + x + (3 * lanes));
        }

        for (; x < _width; x += lanes)
        {
            TVector sum = TSimd.Zero;
            for (int k = first; k < end; k++)
            {
                float* from = plane + (_rows[y + k] * _source.RowStride) + x;
                sum = TSimd.MultiplyAdd(TSimd.Broadcast(_taps[k]), SimdTail.Load<TSimd, TVector>(from, _width - x), sum);
            }

            TSimd.Store(sum, row + x);
        }
    }

    /// <summary>Writes what lies left and right of the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PadRow(float* padded)
    {
        for (int i = 0; i < _radius; i++)
        {
            int right = _radius + _width + i;
            padded[i] = _border == Border.Zero ? 0 : padded[_radius + _columns[i]];
            padded[right] = _border == Border.Zero ? 0 : padded[_radius + _columns[right]];
        }
    }

    /// <summary>The second pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FilterRow<TSimd, TVector>(float* destination, float* padded)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int lanes = TSimd.Lanes;
        for (int x = 0; x < _width; x += Chains * lanes)
        {
            (TVector s0, TVector s1, TVector s2, TVector s3) = (TSimd.Zero, TSimd.Zero, TSimd.Zero, TSimd.Zero);
            float* from = padded + x;
            for (int k = 0; k < _taps.Length; k++, from++)
            {
                TVector tap = TSimd.Broadcast(_taps[k]);
                s0 = TSimd.MultiplyAdd(tap, TSimd.Load(from), s0);
                s1 = TSimd.MultiplyAdd(tap, TSimd.Load(from + lanes), s1);
                s2 = TSimd.MultiplyAdd(tap, TSimd.Load(from + (2 * lanes)), s2);
                s3 = TSimd.MultiplyAdd(tap, TSimd.Load(from + (3 * lanes)), s3);
            }

            int remaining = _width - x;
            SimdTail.Store<TSimd, TVector>(s0, destination + x, remaining);
            SimdTail.Store<TSimd, TVector>(s1, destination + x + lanes, remaining - lanes);
            SimdTail.Store<TSimd, TVector>(s2, destination + x + (2 * lanes), remaining - (2 * lanes));
            SimdTail.Store<TSimd, TVector>(s3, destination + x + (3 * lanes), remaining - (3 * lanes));
        }
    }
}
