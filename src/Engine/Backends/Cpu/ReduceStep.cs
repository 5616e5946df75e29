using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>A reduction of many numbers to one.</summary>
internal enum Reduction
{
    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>The largest; NaN if one of them is NaN.</summary>
    Max,
}

/// <summary>
/// Reduces the middle dimension of (outer, axis, inner). With inner &gt; 1 the source is read as rows of inner floats and the destination
/// written as such; with inner = 1 the source rows are axis floats long and the destination is dense. Reducing all but the first
/// dimension is (N, the rest, 1). Sums are taken in short blocks first, so that the error does not grow with the length.
/// </summary>
internal sealed unsafe class ReduceStep : CpuStep
{
    /// <summary>Numbers added one after the other before the sum goes into the total.</summary>
    private const int Block = 32;

    /// <summary>Independent accumulators, to hide the latency of the addition.</summary>
    private const int Chains = 4;

    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly Reduction _reduction;
    private readonly long _axis;
    private readonly int _inner;
    private readonly float _divisor;
    private readonly int _strips;
    private readonly Partition _partition;

    /// <param name="destination">(outer, inner).</param>
    /// <param name="source">(outer, axis, inner).</param>
    /// <param name="reduction">What to compute.</param>
    /// <param name="outer">Extent before the axis.</param>
    /// <param name="axis">Extent reduced, at least 1.</param>
    /// <param name="inner">Extent after the axis.</param>
    /// <param name="terms">Numbers that each one of the source is the sum of already, to a mean.</param>
    public ReduceStep(BufferRef destination, BufferRef source, Reduction reduction, long outer, long axis, int inner, long terms = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(axis);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(inner);
        _destination = destination;
        _source = source;
        _reduction = reduction;
        _axis = axis;
        _inner = inner;
        _divisor = reduction == Reduction.Mean ? axis * terms : 1;
        int strip = Chains * SimdTier.Lanes;
        _strips = Split.Most(inner, strip);
        _partition = new Partition(outer * _strips, axis * Math.Min(inner, strip));
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

    private void RunPart<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        if (_reduction == Reduction.Max)
            Reduce<TSimd, TVector, MaxAccumulation>(run, part);
        else
            Reduce<TSimd, TVector, SumAccumulation>(run, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Reduce<TSimd, TVector, TAccumulation>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        float* lanes = stackalloc float[TSimd.Lanes];
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            if (_inner == 1)
            {
                destination[unit] = Row<TSimd, TVector, TAccumulation>(source + (unit * _source.RowStride), lanes) / _divisor;
                continue;
            }

            (long outer, long strip) = Math.DivRem(unit, _strips);
            float* from = source + (outer * _axis * _source.RowStride);
            float* to = destination + (outer * _destination.RowStride);
            int column = (int)strip * Chains * TSimd.Lanes;
            int limit = Math.Min(_inner, column + (Chains * TSimd.Lanes));
            TVector vectorDivisor = TSimd.Broadcast(_divisor);
            if (limit - column == Chains * TSimd.Lanes)
            {
                Columns<TSimd, TVector, TAccumulation>(to + column, from + column, vectorDivisor);
                continue;
            }

            for (; column < limit; column += TSimd.Lanes)
                Column<TSimd, TVector, TAccumulation>(to + column, from + column, Math.Min(TSimd.Lanes, limit - column), vectorDivisor);
        }
    }

    /// <summary>Four vectors of columns at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Columns<TSimd, TVector, TAccumulation>(float* destination, float* source, TVector divisor)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        int lanes = TSimd.Lanes;
        TVector identity = TSimd.Broadcast(TAccumulation.Identity);
        (TVector t0, TVector t1, TVector t2, TVector t3) = (identity, identity, identity, identity);
        for (long first = 0; first < _axis; first += Block)
        {
            (TVector s0, TVector s1, TVector s2, TVector s3) = (identity, identity, identity, identity);
            for (long i = first; i < Math.Min(_axis, first + Block); i++, source += _source.RowStride)
            {
                s0 = TAccumulation.Add<TSimd, TVector>(s0, TSimd.Load(source));
                s1 = TAccumulation.Add<TSimd, TVector>(s1, TSimd.Load(source + lanes));
                s2 = TAccumulation.Add<TSimd, TVector>(s2, TSimd.Load(source + (2 * lanes)));
                s3 = TAccumulation.Add<TSimd, TVector>(s3, TSimd.Load(source + (3 * lanes)));
            }

            t0 = TAccumulation.Add<TSimd, TVector>(t0, s0);
            t1 = TAccumulation.Add<TSimd, TVector>(t1, s1);
            t2 = TAccumulation.Add<TSimd, TVector>(t2, s2);
            t3 = TAccumulation.Add<TSimd, TVector>(t3, s3);
        }

        TSimd.Store(TSimd.Divide(t0, divisor), destination);
        TSimd.Store(TSimd.Divide(t1, divisor), destination + lanes);
        TSimd.Store(TSimd.Divide(t2, divisor), destination + (2 * lanes));
        TSimd.Store(TSimd.Divide(t3, divisor), destination + (3 * lanes));
    }

    /// <summary>Up to a vector of columns, in the same order of operations as <see cref="Columns"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Column<TSimd, TVector, TAccumulation>(float* destination, float* source, int count, TVector divisor)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        TVector identity = TSimd.Broadcast(TAccumulation.Identity);
        TVector total = identity;
        for (long first = 0; first < _axis; first += Block)
        {
            TVector sum = identity;
            for (long i = first; i < Math.Min(_axis, first + Block); i++, source += _source.RowStride)
                sum = TAccumulation.Add<TSimd, TVector>(sum, TSimd.LoadFirst(source, count));

            total = TAccumulation.Add<TSimd, TVector>(total, sum);
        }

        TSimd.StoreFirst(TSimd.Divide(total, divisor), destination, count);
    }

    /// <summary>Reduces a dense row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Row<TSimd, TVector, TAccumulation>(float* source, float* partial)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        int lanes = TSimd.Lanes;
        TVector identity = TSimd.Broadcast(TAccumulation.Identity);
        TVector total = identity;
        long full = _axis - (_axis % (Chains * lanes));
        for (long first = 0; first < full; first += Block * Chains * lanes)
        {
            (TVector s0, TVector s1, TVector s2, TVector s3) = (identity, identity, identity, identity);
            for (long i = first; i < Math.Min(full, first + (Block * Chains * lanes)); i += Chains * lanes)
            {
                s0 = TAccumulation.Add<TSimd, TVector>(s0, TSimd.Load(source + i));
                s1 = TAccumulation.Add<TSimd, TVector>(s1, TSimd.Load(source + i + lanes));
                s2 = TAccumulation.Add<TSimd, TVector>(s2, TSimd.Load(source + i + (2 * lanes)));
                s3 = TAccumulation.Add<TSimd, TVector>(s3, TSimd.Load(source + i + (3 * lanes)));
            }

            TVector sum = TAccumulation.Add<TSimd, TVector>(
                TAccumulation.Add<TSimd, TVector>(s0, s1), TAccumulation.Add<TSimd, TVector>(s2, s3));
            total = TAccumulation.Add<TSimd, TVector>(total, sum);
        }

        TSimd.Store(total, partial);
        for (long i = full; i < _axis; i++)
            partial[i % lanes] = TAccumulation.Add(partial[i % lanes], source[i]);

        float result = partial[0];
        for (int lane = 1; lane < lanes; lane++)
            result = TAccumulation.Add(result, partial[lane]);

        return result;
    }
}

/// <summary>What a reduction does with one number more, on scalars and on vectors.</summary>
internal interface IAccumulation
{
    /// <summary>The result of no number.</summary>
    static abstract float Identity { get; }

    /// <summary>Takes in one number.</summary>
    static abstract float Add(float total, float value);

    /// <summary>Takes in one number in each lane.</summary>
    static abstract TVector Add<TSimd, TVector>(TVector total, TVector value)
        where TSimd : ISimd<TVector>
        where TVector : struct;
}

/// <summary>The sum.</summary>
internal readonly struct SumAccumulation : IAccumulation
{
    public static float Identity => 0;

    public static float Add(float total, float value) => total + value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Add<TSimd, TVector>(TVector total, TVector value)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Add(total, value);
}

/// <summary>The maximum, from which a NaN never vanishes.</summary>
internal readonly struct MaxAccumulation : IAccumulation
{
    public static float Identity => float.NegativeInfinity;

    public static float Add(float total, float value) => MathF.Max(total, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Add<TSimd, TVector>(TVector total, TVector value)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        MaxOperation.Apply<TSimd, TVector>(value, total);
}
