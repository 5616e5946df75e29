using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Layer normalisation over rows of <c>width</c> floats: y = (x − mean) / √(var + ε) · weight + bias with the biased variance. Optionally
/// x = source + residual, stored to <c>sum</c> on the way. The result is row-major or in row tiles. The variance is the corrected
/// two-pass one: the sum of the deviations from the rounded mean, which would be 0 in exact arithmetic, is taken out of both mean and
/// variance, so that rows with a large mean keep their digits.
/// </summary>
internal sealed unsafe class LayerNormStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly BufferRef _weight;
    private readonly BufferRef _bias;
    private readonly BufferRef? _residual;
    private readonly BufferRef _sum;
    private readonly int _width;
    private readonly float _epsilon;
    private readonly bool _tiled;
    private readonly long _rows;
    private readonly Partition _partition;

    /// <param name="destination">(rows, width), or its row tiles.</param>
    /// <param name="source">(rows, width).</param>
    /// <param name="weight">(width).</param>
    /// <param name="bias">(width).</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="width">Floats in a row.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="tiled">Whether the result is wanted in row tiles.</param>
    /// <param name="residual">(rows, width), added to the source; goes with <paramref name="sum"/>.</param>
    /// <param name="sum">(rows, width), receives source + residual; may be either of them.</param>
    public LayerNormStep(
        BufferRef destination,
        BufferRef source,
        BufferRef weight,
        BufferRef bias,
        long rows,
        int width,
        float epsilon,
        bool tiled,
        BufferRef? residual = null,
        BufferRef? sum = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        if (residual.HasValue != sum.HasValue)
            throw new ArgumentException("A residual needs a buffer for the sum, and the other way round.", nameof(sum));

        _destination = destination;
        _source = source;
        _weight = weight;
        _bias = bias;
        _residual = residual;
        _sum = sum.GetValueOrDefault();
        _width = width;
        _epsilon = epsilon;
        _tiled = tiled;
        _rows = rows;
        _partition = new Partition(Split.Most(rows, GroupRows), 2L * width * GroupRows);
    }

    public override int Parts => _partition.Parts;

    /// <summary>Rows that a part has a multiple of: a tile's, whose lines lie beside each other.</summary>
    private static int GroupRows => RowTiles.TileRows;

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
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        float* weight = _weight.Resolve(run);
        float* bias = _bias.Resolve(run);
        float* residual = _residual is BufferRef r ? r.Resolve(run) : null;
        float* sum = residual == null ? null : _sum.Resolve(run);
        long blockStride = RowTiles.BlockColumns * (_tiled ? RowTiles.TileRows : 1);
        float* meanLanes = stackalloc float[TSimd.Lanes];
        long end = Math.Min(_partition.End(part) * GroupRows, _rows);
        for (long row = _partition.Start(part) * GroupRows; row < end; row++)
        {
            float* x = source + (row * _source.RowStride);
            if (residual != null)
            {
                float* added = sum + (row * _sum.RowStride);
                Add<TSimd, TVector>(added, x, residual + (row * _residual.GetValueOrDefault().RowStride));
                x = added;
            }

            Moments moments = Measure<TSimd, TVector>(x, meanLanes);
            float* y = destination + (_tiled ? RowTiles.BlockIndex(row, 0, _width) : row * _destination.RowStride);
            Normalise<TSimd, TVector>(y, blockStride, x, moments, weight, bias);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add<TSimd, TVector>(float* sum, float* left, float* right)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        for (int j = 0; j < _width; j += TSimd.Lanes)
        {
            TVector a = SimdTail.Load<TSimd, TVector>(left + j, _width - j);
            TVector b = SimdTail.Load<TSimd, TVector>(right + j, _width - j);
            SimdTail.Store<TSimd, TVector>(TSimd.Add(a, b), sum + j, _width - j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Moments Measure<TSimd, TVector>(float* x, float* meanLanes)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int lanes = TSimd.Lanes;
        int full = _width - (_width % lanes);
        int rest = _width - full;

        // Four sums each, to hide the latency of the addition.
        (TVector s0, TVector s1, TVector s2, TVector s3) = (TSimd.LoadFirst(x + full, rest), TSimd.Zero, TSimd.Zero, TSimd.Zero);
        int j = 0;
        for (; j <= full - (4 * lanes); j += 4 * lanes)
        {
            s0 = TSimd.Add(s0, TSimd.Load(x + j));
            s1 = TSimd.Add(s1, TSimd.Load(x + j + lanes));
            s2 = TSimd.Add(s2, TSimd.Load(x + j + (2 * lanes)));
            s3 = TSimd.Add(s3, TSimd.Load(x + j + (3 * lanes)));
        }

        for (; j < full; j += lanes)
            s1 = TSimd.Add(s1, TSimd.Load(x + j));

        float roundedMean = Total<TSimd, TVector>(s0, s1, s2, s3) / _width;
        TVector mean = TSimd.Broadcast(roundedMean);

        // Deviations of the last, incomplete vector: 0 − 0 beyond the row.
        TSimd.Store(mean, meanLanes);
        TVector d0 = TSimd.Subtract(TSimd.LoadFirst(x + full, rest), TSimd.LoadFirst(meanLanes, rest));
        (s0, s1, s2, s3) = (d0, TSimd.Zero, TSimd.Zero, TSimd.Zero);
        (TVector q0, TVector q1, TVector q2, TVector q3) = (TSimd.Multiply(d0, d0), TSimd.Zero, TSimd.Zero, TSimd.Zero);
        for (j = 0; j <= full - (4 * lanes); j += 4 * lanes)
        {
            d0 = TSimd.Subtract(TSimd.Load(x + j), mean);
            TVector d1 = TSimd.Subtract(TSimd.Load(x + j + lanes), mean);
            TVector d2 = TSimd.Subtract(TSimd.Load(x + j + (2 * lanes)), mean);
            TVector d3 = TSimd.Subtract(TSimd.Load(x + j + (3 * lanes)), mean);
            s0 = TSimd.Add(s0, d0);
            s1 = TSimd.Add(s1, d1);
            s2 = TSimd.Add(s2, d2);
            s3 = TSimd.Add(s3, d3);
            q0 = TSimd.MultiplyAdd(d0, d0, q0);
            q1 = TSimd.MultiplyAdd(d1, d1, q1);
            q2 = TSimd.MultiplyAdd(d2, d2, q2);
            q3 = TSimd.MultiplyAdd(d3, d3, q3);
        }

        for (; j < full; j += lanes)
        {
            d0 = TSimd.Subtract(TSimd.Load(x + j), mean);
            s1 = TSimd.Add(s1, d0);
            q1 = TSimd.MultiplyAdd(d0, d0, q1);
        }

        float correction = Total<TSimd, TVector>(s0, s1, s2, s3) / _width;
        float variance = (Total<TSimd, TVector>(q0, q1, q2, q3) / _width) - (correction * correction);
        float scale = 1 / MathF.Sqrt(MathF.Max(variance, 0) + _epsilon);
        return new Moments(roundedMean, scale, -correction * scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Total<TSimd, TVector>(TVector a, TVector b, TVector c, TVector d)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.ReduceAdd(TSimd.Add(TSimd.Add(a, b), TSimd.Add(c, d)));

    /// <summary>Writes a row in blocks of 16 columns, (x − mean) · scale + shift times the weight, plus the bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Normalise<TSimd, TVector>(float* y, long blockStride, float* x, Moments moments, float* weight, float* bias)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector mean = TSimd.Broadcast(moments.Mean), scale = TSimd.Broadcast(moments.Scale), shift = TSimd.Broadcast(moments.Shift);
        int j = 0;
        for (; j <= _width - RowTiles.BlockColumns; j += RowTiles.BlockColumns, y += blockStride)
        {
            for (int lane = 0; lane < RowTiles.BlockColumns; lane += TSimd.Lanes)
            {
                TVector value = TSimd.MultiplyAdd(TSimd.Subtract(TSimd.Load(x + j + lane), mean), scale, shift);
                TSimd.Store(TSimd.MultiplyAdd(value, TSimd.Load(weight + j + lane), TSimd.Load(bias + j + lane)), y + lane);
            }
        }

        for (int rest = _width - j; rest > 0; rest -= TSimd.Lanes, j += TSimd.Lanes, y += TSimd.Lanes)
        {
            TVector value = TSimd.MultiplyAdd(TSimd.Subtract(SimdTail.Load<TSimd, TVector>(x + j, rest), mean), scale, shift);
            value = TSimd.MultiplyAdd(value, SimdTail.Load<TSimd, TVector>(weight + j, rest), SimdTail.Load<TSimd, TVector>(bias + j, rest));
            SimdTail.Store<TSimd, TVector>(value, y, rest);
        }
    }

    /// <summary>
    /// The rounded mean; 1 / √(variance + ε); and what is missing from the mean to the true one, taken times −1 / √(variance + ε).
    /// </summary>
    private readonly record struct Moments(float Mean, float Scale, float Shift);
}
