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
        _partition = new Partition((rows + GroupRows - 1) / GroupRows, 2L * width * GroupRows);
    }

    public override int Parts => _partition.Parts;

    /// <summary>
    /// Rows normalised together, a tile's: its blocks are written in the order in which they lie, and weight and bias are read once for
    /// all.
    /// </summary>
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
        long rowStride = _tiled ? RowTiles.BlockColumns : _destination.RowStride;
        long blockStride = RowTiles.BlockColumns * (_tiled ? RowTiles.TileRows : 1);
        float* meanLanes = stackalloc float[TSimd.Lanes];
        Moments* moments = stackalloc Moments[GroupRows];
        long end = _partition.End(part);
        for (long group = _partition.Start(part); group < end; group++)
        {
            long first = group * GroupRows;
            int count = (int)Math.Min(GroupRows, _rows - first);
            BufferRef input = residual == null ? _source : _sum;
            float* x = (residual == null ? source : sum) + (first * input.RowStride);
            for (int i = 0; i < count; i++)
            {
                float* row = x + (i * input.RowStride);
                if (residual != null)
                {
                    float* addend = residual + ((first + i) * _residual.GetValueOrDefault().RowStride);
                    Add<TSimd, TVector>(row, source + ((first + i) * _source.RowStride), addend);
                }

                moments[i] = Measure<TSimd, TVector>(row, meanLanes);
            }

            float* y = destination + (_tiled ? RowTiles.BlockIndex(first, 0, _width) : first * _destination.RowStride);
            Normalise<TSimd, TVector>(y, rowStride, blockStride, x, input.RowStride, moments, count, weight, bias);
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

        TVector s0 = TSimd.LoadFirst(x + full, rest);
        TVector s1 = TSimd.Zero;
        int j = 0;
        for (; j <= full - (2 * lanes); j += 2 * lanes)
        {
            s0 = TSimd.Add(s0, TSimd.Load(x + j));
            s1 = TSimd.Add(s1, TSimd.Load(x + j + lanes));
        }

        if (j < full)
            s1 = TSimd.Add(s1, TSimd.Load(x + j));

        float roundedMean = TSimd.ReduceAdd(TSimd.Add(s0, s1)) / _width;
        TVector mean = TSimd.Broadcast(roundedMean);

        // Deviations of the last, incomplete vector: 0 − 0 beyond the row.
        TSimd.Store(mean, meanLanes);
        TVector deviation = TSimd.Subtract(TSimd.LoadFirst(x + full, rest), TSimd.LoadFirst(meanLanes, rest));
        s0 = deviation;
        s1 = TSimd.Zero;
        TVector q0 = TSimd.Multiply(deviation, deviation);
        TVector q1 = TSimd.Zero;
        for (j = 0; j <= full - (2 * lanes); j += 2 * lanes)
        {
            TVector d0 = TSimd.Subtract(TSimd.Load(x + j), mean);
            TVector d1 = TSimd.Subtract(TSimd.Load(x + j + lanes), mean);
            s0 = TSimd.Add(s0, d0);
            s1 = TSimd.Add(s1, d1);
            q0 = TSimd.MultiplyAdd(d0, d0, q0);
            q1 = TSimd.MultiplyAdd(d1, d1, q1);
        }

        if (j < full)
        {
            deviation = TSimd.Subtract(TSimd.Load(x + j), mean);
            s1 = TSimd.Add(s1, deviation);
            q1 = TSimd.MultiplyAdd(deviation, deviation, q1);
        }

        float shift = TSimd.ReduceAdd(TSimd.Add(s0, s1)) / _width;
        float variance = (TSimd.ReduceAdd(TSimd.Add(q0, q1)) / _width) - (shift * shift);
        return new Moments(roundedMean, shift, 1 / MathF.Sqrt(MathF.Max(variance, 0) + _epsilon));
    }

    /// <summary>Writes rows in blocks of 16 columns; y + i · rowStride + k · blockStride is block k of row i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Normalise<TSimd, TVector>(
        float* y, long rowStride, long blockStride, float* x, long sourceStride, Moments* moments, int rows, float* weight, float* bias)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        for (int j = 0; j < _width; j += TSimd.Lanes)
        {
            TVector w = SimdTail.Load<TSimd, TVector>(weight + j, _width - j);
            TVector b = SimdTail.Load<TSimd, TVector>(bias + j, _width - j);
            float* to = y + (j / RowTiles.BlockColumns * blockStride) + (j % RowTiles.BlockColumns);
            float* from = x + j;
            for (int i = 0; i < rows; i++, to += rowStride, from += sourceStride)
            {
                TVector deviation = TSimd.Subtract(SimdTail.Load<TSimd, TVector>(from, _width - j), TSimd.Broadcast(moments[i].Mean));
                deviation = TSimd.Subtract(deviation, TSimd.Broadcast(moments[i].Correction));
                deviation = TSimd.Multiply(deviation, TSimd.Broadcast(moments[i].Scale));
                SimdTail.Store<TSimd, TVector>(TSimd.MultiplyAdd(deviation, w, b), to, _width - j);
            }
        }
    }

    /// <summary>The rounded mean, what is missing from it to the true one, and 1 / √(variance + ε).</summary>
    private readonly record struct Moments(float Mean, float Correction, float Scale);
}
