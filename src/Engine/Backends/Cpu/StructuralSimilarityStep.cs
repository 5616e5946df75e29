using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Structural similarity of two tensors, plane by plane: with E the separable filter with zeros beyond the border, μ = E[x], σ² = E[x²] − μ², σ_xy = E[xy] − μ_x μ_y:
/// (2μ_x μ_y + c₁)(2σ_xy + c₂) / ((μ_x² + μ_y² + c₁)(σ_x² + σ_y² + c₂)). For each row the filter runs down the columns of x, y, x² + y² and xy at once (of the squares only
/// the sum counts) into scratch rows, then along those.
/// </summary>
internal sealed unsafe class StructuralSimilarityStep : CpuStep
{
    private const int Quantities = 4;

    private readonly BufferRef _destination;
    private readonly BufferRef _left;
    private readonly BufferRef _right;
    private readonly float[] _taps;
    private readonly int _radius;
    private readonly float _c1;
    private readonly float _c2;
    private readonly int _height;
    private readonly int _width;
    private readonly Partition _partition;

    /// <param name="destination">(planes·H, W); neither of the operands.</param>
    /// <param name="left">x (planes·H, W).</param>
    /// <param name="right">y (planes·H, W).</param>
    /// <param name="taps">The filter, an odd number of taps; copied.</param>
    /// <param name="c1">c₁.</param>
    /// <param name="c2">c₂.</param>
    /// <param name="planes">Number of planes.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    public StructuralSimilarityStep(
        BufferRef destination, BufferRef left, BufferRef right, ReadOnlySpan<float> taps, float c1, float c2, int planes, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(taps.Length % 2, 0, nameof(taps));
        _destination = destination;
        _left = left;
        _right = right;
        _taps = taps.ToArray();
        _radius = taps.Length / 2;
        _c1 = c1;
        _c2 = c2;
        _height = height;
        _width = width;
        _partition = new Partition((long)planes * height, width * (3L + taps.Length));
    }

    public override int Parts => _partition.Parts;

    public override int ScratchBytes => Quantities * ScratchRow * sizeof(float);

    private int ScratchRow => _width + (2 * _radius) + SimdTier.Lanes;

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
        new Span<float>(scratch, Quantities * ScratchRow).Clear();
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            int y = (int)(unit % _height);
            FilterColumns<TSimd, TVector>(scratch + _radius, _left.Resolve(run) + (unit * _left.RowStride), _right.Resolve(run) + (unit * _right.RowStride), y);
            Compare<TSimd, TVector>(destination + (unit * _destination.RowStride), scratch);
        }
    }

    /// <summary>Row y of the first pass, from the operands' rows y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FilterColumns<TSimd, TVector>(float* rows, float* left, float* right, int y)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int first = Math.Max(_radius - y, 0), end = Math.Min(_radius + _height - y, _taps.Length);
        for (int x = 0; x < _width; x += TSimd.Lanes)
        {
            int remaining = _width - x;
            (TVector a, TVector b, TVector squares, TVector product) = (TSimd.Zero, TSimd.Zero, TSimd.Zero, TSimd.Zero);
            for (int k = first; k < end; k++)
            {
                TVector tap = TSimd.Broadcast(_taps[k]);
                TVector u = SimdTail.Load<TSimd, TVector>(left + ((k - _radius) * _left.RowStride) + x, remaining);
                TVector v = SimdTail.Load<TSimd, TVector>(right + ((k - _radius) * _right.RowStride) + x, remaining);
                a = TSimd.MultiplyAdd(tap, u, a);
                b = TSimd.MultiplyAdd(tap, v, b);
                squares = TSimd.MultiplyAdd(tap, TSimd.MultiplyAdd(u, u, TSimd.Multiply(v, v)), squares);
                product = TSimd.MultiplyAdd(tap, TSimd.Multiply(u, v), product);
            }

            SimdTail.Store<TSimd, TVector>(a, rows + x, remaining);
            SimdTail.Store<TSimd, TVector>(b, rows + ScratchRow + x, remaining);
            SimdTail.Store<TSimd, TVector>(squares, rows + (2 * ScratchRow) + x, remaining);
            SimdTail.Store<TSimd, TVector>(product, rows + (3 * ScratchRow) + x, remaining);
        }
    }

    /// <summary>The second pass over the padded rows, and the comparison.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Compare<TSimd, TVector>(float* destination, float* rows)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector c1 = TSimd.Broadcast(_c1), c2 = TSimd.Broadcast(_c2);
        for (int x = 0; x < _width; x += TSimd.Lanes)
        {
            float* from = rows + x;
            (TVector a, TVector b, TVector squares, TVector product) = (TSimd.Zero, TSimd.Zero, TSimd.Zero, TSimd.Zero);
            for (int k = 0; k < _taps.Length; k++, from++)
            {
                TVector tap = TSimd.Broadcast(_taps[k]);
                a = TSimd.MultiplyAdd(tap, TSimd.Load(from), a);
                b = TSimd.MultiplyAdd(tap, TSimd.Load(from + ScratchRow), b);
                squares = TSimd.MultiplyAdd(tap, TSimd.Load(from + (2 * ScratchRow)), squares);
                product = TSimd.MultiplyAdd(tap, TSimd.Load(from + (3 * ScratchRow)), product);
            }

            TVector means = TSimd.Multiply(a, b);
            TVector meanSquares = TSimd.MultiplyAdd(a, a, TSimd.Multiply(b, b));
            TVector covariance = TSimd.Subtract(product, means), variances = TSimd.Subtract(squares, meanSquares);
            TVector numerator = TSimd.Multiply(TSimd.Add(TSimd.Add(means, means), c1), TSimd.Add(TSimd.Add(covariance, covariance), c2));
            TVector denominator = TSimd.Multiply(TSimd.Add(meanSquares, c1), TSimd.Add(variances, c2));
            SimdTail.Store<TSimd, TVector>(TSimd.Divide(numerator, denominator), destination + x, _width - x);
        }
    }
}
