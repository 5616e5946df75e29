using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>How a window is pooled.</summary>
internal enum Pooling
{
    /// <summary>The sum over the window, whose padding counts as zeros, by the window's full size.</summary>
    Average,

    /// <summary>The largest number of the window, padding apart; NaN if one of them is NaN.</summary>
    Max,
}

/// <summary>
/// Pools planes of H × W with square windows: ((H + 2·padding − kernel) / stride + 1) rows, columns likewise. Both reductions are
/// separable: a part reduces down the columns into a scratch row and then along it, by direct sums in float32.
/// </summary>
internal sealed unsafe class PoolStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly Pooling _pooling;
    private readonly int _height;
    private readonly int _width;
    private readonly int _kernel;
    private readonly int _stride;
    private readonly int _padding;
    private readonly int _outputHeight;
    private readonly int _outputWidth;
    private readonly Partition _partition;

    /// <param name="destination">(planes·output height, output width).</param>
    /// <param name="source">(planes·H, W).</param>
    /// <param name="pooling">Average or maximum.</param>
    /// <param name="planes">Number of planes.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="kernel">Side of the window.</param>
    /// <param name="stride">Distance between windows.</param>
    /// <param name="padding">Width of the margin added on each side, at most half of the window.</param>
    public PoolStep(
        BufferRef destination, BufferRef source, Pooling pooling, int planes, int height, int width, int kernel, int stride, int padding)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(kernel);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(stride);
        ArgumentOutOfRangeException.ThrowIfNegative(padding);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(padding, kernel / 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(kernel, Math.Min(height, width) + (2 * padding));
        _destination = destination;
        _source = source;
        _pooling = pooling;
        _height = height;
        _width = width;
        _kernel = kernel;
        _stride = stride;
        _padding = padding;
        _outputHeight = ((height + (2 * padding) - kernel) / stride) + 1;
        _outputWidth = ((width + (2 * padding) - kernel) / stride) + 1;
        _partition = new Partition((long)planes * _outputHeight, width * (1L + (kernel / 4)));
    }

    public override int Parts => _partition.Parts;

    // The last vector of a row is computed whole.
    public override int ScratchBytes => (_width + (2 * _padding) + SimdTier.Lanes) * sizeof(float);

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            RunPart<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    private void RunPart<TSimd, TVector>(in RunContext run, int part, float* padded)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        if (_pooling == Pooling.Max)
            Pool<TSimd, TVector, MaxAccumulation>(run, part, padded, 1);
        else
            Pool<TSimd, TVector, SumAccumulation>(run, part, padded, _kernel * _kernel);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Pool<TSimd, TVector, TAccumulation>(in RunContext run, int part, float* padded, float divisor)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        new Span<float>(padded, _width + (2 * _padding)).Fill(TAccumulation.Identity);
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            (long plane, long y) = Math.DivRem(unit, _outputHeight);
            long top = (y * _stride) - _padding;
            long first = Math.Max(top, 0);
            long count = Math.Min(top + _kernel, _height) - first;
            float* from = source + (((plane * _height) + first) * _source.RowStride);
            float* to = destination + (unit * _destination.RowStride);
            PoolColumns<TSimd, TVector, TAccumulation>(padded + _padding, from, count);
            if (_stride == 1)
                PoolRow<TSimd, TVector, TAccumulation>(to, padded, divisor);
            else
                PoolRowStrided<TAccumulation>(to, padded, divisor);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PoolColumns<TSimd, TVector, TAccumulation>(float* row, float* source, long count)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        for (int x = 0; x < _width; x += TSimd.Lanes)
        {
            TVector total = TSimd.Broadcast(TAccumulation.Identity);
            float* from = source + x;
            for (long i = 0; i < count; i++, from += _source.RowStride)
                total = TAccumulation.Add<TSimd, TVector>(total, SimdTail.Load<TSimd, TVector>(from, _width - x));

            SimdTail.Store<TSimd, TVector>(total, row + x, _width - x);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PoolRow<TSimd, TVector, TAccumulation>(float* destination, float* padded, float divisor)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TAccumulation : IAccumulation
    {
        TVector vectorDivisor = TSimd.Broadcast(divisor);
        for (int x = 0; x < _outputWidth; x += TSimd.Lanes)
        {
            TVector total = TSimd.Load(padded + x);
            for (int k = 1; k < _kernel; k++)
                total = TAccumulation.Add<TSimd, TVector>(total, TSimd.Load(padded + x + k));

            SimdTail.Store<TSimd, TVector>(TSimd.Divide(total, vectorDivisor), destination + x, _outputWidth - x);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PoolRowStrided<TAccumulation>(float* destination, float* padded, float divisor)
        where TAccumulation : IAccumulation
    {
        for (int x = 0; x < _outputWidth; x++, padded += _stride)
        {
            float total = padded[0];
            for (int k = 1; k < _kernel; k++)
                total = TAccumulation.Add(total, padded[k]);

            destination[x] = total / divisor;
        }
    }
}
