using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Gradient magnitude similarity of two tensors, plane by plane: GMS = (2·gₓ·g_y + c) / (gₓ² + g_y² + c + 1e-12), where g = √(h² + v² +
/// 1e-12) and h, v are the Prewitt derivatives divided by 3 with zeros beyond the border: h = [1 0 −1] along the row of [1 1 1]ᵀ down the
/// column, v the other way round.
/// </summary>
internal sealed unsafe class GradientMagnitudeSimilarityStep : CpuStep
{
    private const float Tiny = 1e-12f;

    private readonly BufferRef _destination;
    private readonly BufferRef _left;
    private readonly BufferRef _right;
    private readonly int _height;
    private readonly int _width;
    private readonly float _constant;
    private readonly Partition _partition;

    /// <param name="destination">(planes·H, W); neither of the operands.</param>
    /// <param name="left">x (planes·H, W).</param>
    /// <param name="right">y (planes·H, W).</param>
    /// <param name="planes">Number of planes.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="constant">c.</param>
    public GradientMagnitudeSimilarityStep(
        BufferRef destination, BufferRef left, BufferRef right, int planes, int height, int width, float constant)
    {
        _destination = destination;
        _left = left;
        _right = right;
        _height = height;
        _width = width;
        _constant = constant;
        _partition = new Partition((long)planes * height, 4L * width);
    }

    public override int Parts => _partition.Parts;

    // One row of zeros, and for each operand one row of column sums and one of column differences, each with a zero before and after.
    public override int ScratchBytes => 5 * ScratchRow * sizeof(float);

    private int ScratchRow => _width + 2 + SimdTier.Lanes;

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
        float* left = _left.Resolve(run);
        float* right = _right.Resolve(run);
        new Span<float>(scratch, 5 * ScratchRow).Clear();
        float* leftSums = scratch + ScratchRow;
        float* leftDifferences = leftSums + ScratchRow;
        float* rightSums = leftDifferences + ScratchRow;
        float* rightDifferences = rightSums + ScratchRow;
        TVector two = TSimd.Broadcast(2);
        TVector constant = TSimd.Broadcast(_constant);
        TVector denominatorConstant = TSimd.Broadcast(_constant + Tiny);
        long end = _partition.End(part);
        for (long unit = _partition.Start(part); unit < end; unit++)
        {
            int y = (int)(unit % _height);
            float* leftRow = left + (unit * _left.RowStride);
            float* rightRow = right + (unit * _right.RowStride);
            CombineRows<TSimd, TVector>(leftSums + 1, leftDifferences + 1, leftRow, _left.RowStride, scratch, y);
            CombineRows<TSimd, TVector>(rightSums + 1, rightDifferences + 1, rightRow, _right.RowStride, scratch, y);
            float* to = destination + (unit * _destination.RowStride);
            for (int x = 0; x < _width; x += TSimd.Lanes)
            {
                TVector a = SquaredMagnitude<TSimd, TVector>(leftSums + x, leftDifferences + x);
                TVector b = SquaredMagnitude<TSimd, TVector>(rightSums + x, rightDifferences + x);
                TVector product = TSimd.Multiply(TSimd.Sqrt(a), TSimd.Sqrt(b));
                TVector numerator = TSimd.MultiplyAdd(two, product, constant);
                TVector denominator = TSimd.Add(TSimd.Add(a, b), denominatorConstant);
                SimdTail.Store<TSimd, TVector>(TSimd.Divide(numerator, denominator), to + x, _width - x);
            }
        }
    }

    /// <summary>Sum of three rows, and the row above minus the row below.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CombineRows<TSimd, TVector>(float* sums, float* differences, float* middle, long rowStride, float* zeros, int y)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float* above = y > 0 ? middle - rowStride : zeros;
        float* below = y < _height - 1 ? middle + rowStride : zeros;
        for (int x = 0; x < _width; x += TSimd.Lanes)
        {
            int remaining = _width - x;
            TVector a = SimdTail.Load<TSimd, TVector>(above + x, remaining);
            TVector b = SimdTail.Load<TSimd, TVector>(below + x, remaining);
            TVector sum = TSimd.Add(TSimd.Add(a, SimdTail.Load<TSimd, TVector>(middle + x, remaining)), b);
            SimdTail.Store<TSimd, TVector>(sum, sums + x, remaining);
            SimdTail.Store<TSimd, TVector>(TSimd.Subtract(a, b), differences + x, remaining);
        }
    }

    /// <summary>h² + v² + 1e-12 from the padded column sums and differences, starting one pixel to the left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector SquaredMagnitude<TSimd, TVector>(float* sums, float* differences)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector third = TSimd.Broadcast(1f / 3);
        TVector h = TSimd.Multiply(TSimd.Subtract(TSimd.Load(sums), TSimd.Load(sums + 2)), third);
        TVector v = TSimd.Add(TSimd.Add(TSimd.Load(differences), TSimd.Load(differences + 1)), TSimd.Load(differences + 2));
        v = TSimd.Multiply(v, third);
        return TSimd.MultiplyAdd(h, h, TSimd.MultiplyAdd(v, v, TSimd.Broadcast(Tiny)));
    }
}
