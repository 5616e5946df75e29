using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>An operation on two numbers; those on NaN give NaN, the extrema too.</summary>
internal enum BinaryOperation
{
    /// <summary>a + b.</summary>
    Add,

    /// <summary>a − b.</summary>
    Subtract,

    /// <summary>a · b.</summary>
    Multiply,

    /// <summary>a / b.</summary>
    Divide,

    /// <summary>The larger one.</summary>
    Max,

    /// <summary>The smaller one.</summary>
    Min,
}

/// <summary>
/// destination = left ∘ right element by element, where the shapes of left and right are broadcast as NumPy does: aligned at their last
/// dimension, extents of 1 and missing ones repeat. The destination may be an operand of its own shape.
/// </summary>
internal sealed unsafe class BinaryStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _left;
    private readonly BufferRef _right;
    private readonly BinaryOperation _operation;
    private readonly StridedLoops _loops;

    /// <param name="destination">Of the broadcast shape.</param>
    /// <param name="left">Left operand.</param>
    /// <param name="right">Right operand.</param>
    /// <param name="operation">What to compute.</param>
    /// <param name="leftShape">Extents of the left operand.</param>
    /// <param name="rightShape">Extents of the right operand.</param>
    public BinaryStep(
        BufferRef destination,
        BufferRef left,
        BufferRef right,
        BinaryOperation operation,
        ReadOnlySpan<int> leftShape,
        ReadOnlySpan<int> rightShape)
    {
        _destination = destination;
        _left = left;
        _right = right;
        _operation = operation;

        int[] shape = new int[Math.Max(leftShape.Length, rightShape.Length)];
        int[] alignedLeft = Align(leftShape, shape.Length);
        int[] alignedRight = Align(rightShape, shape.Length);
        for (int d = 0; d < shape.Length; d++)
        {
            shape[d] = alignedLeft[d] == 1 ? alignedRight[d] : alignedLeft[d];
            if (alignedRight[d] != 1 && alignedRight[d] != shape[d])
                throw new ArgumentException($"Extents {alignedLeft[d]} and {alignedRight[d]} cannot be broadcast.", nameof(rightShape));
        }

        _loops = StridedLoops.Create(
            shape,
            StridedLoops.RowMajor(shape, destination.RowStride),
            Broadcast(alignedLeft, left.RowStride),
            Broadcast(alignedRight, right.RowStride)).WithVectorColumns();
    }

    public override int Parts => _loops.Tiles.Parts;

    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            RunPart<Simd512, Vector512<float>>(run, part);
        else if (Vector256.IsHardwareAccelerated)
            RunPart<Simd256, Vector256<float>>(run, part);
        else
            RunPart<Simd128, Vector128<float>>(run, part);
    }

    private static int[] Align(ReadOnlySpan<int> shape, int rank)
    {
        int[] aligned = new int[rank];
        aligned.AsSpan().Fill(1);
        shape.CopyTo(aligned.AsSpan(rank - shape.Length));
        return aligned;
    }

    private static long[] Broadcast(int[] shape, long rowStride)
    {
        long[] strides = StridedLoops.RowMajor(shape, rowStride);
        for (int d = 0; d < shape.Length; d++)
            strides[d] = shape[d] == 1 ? 0 : strides[d];

        return strides;
    }

    private void RunPart<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_operation)
        {
            case BinaryOperation.Add:
                Apply<TSimd, TVector, AddOperation>(run, part);
                break;
            case BinaryOperation.Subtract:
                Apply<TSimd, TVector, SubtractOperation>(run, part);
                break;
            case BinaryOperation.Multiply:
                Apply<TSimd, TVector, MultiplyOperation>(run, part);
                break;
            case BinaryOperation.Divide:
                Apply<TSimd, TVector, DivideOperation>(run, part);
                break;
            case BinaryOperation.Max:
                Apply<TSimd, TVector, MaxOperation>(run, part);
                break;
            default:
                Apply<TSimd, TVector, MinOperation>(run, part);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Apply<TSimd, TVector, TOperation>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TOperation : IBinaryOperation
    {
        float* destination = _destination.Resolve(run);
        float* left = _left.Resolve(run);
        float* right = _right.Resolve(run);
        bool leftRepeats = _loops.ColumnStride(1) == 0;
        bool rightRepeats = _loops.ColumnStride(2) == 0;
        Span<long> offsets = stackalloc long[3];
        long end = _loops.Tiles.End(part);
        for (long tile = _loops.Tiles.Start(part); tile < end; tile++)
        {
            (long rows, long columns) = _loops.Seek(tile, offsets);
            for (long row = 0; row < rows; row++)
            {
                float* to = destination + offsets[0] + (row * _loops.RowStride(0));
                float* a = left + offsets[1] + (row * _loops.RowStride(1));
                float* b = right + offsets[2] + (row * _loops.RowStride(2));
                TVector leftScalar = TSimd.Broadcast(*a);
                TVector rightScalar = TSimd.Broadcast(*b);
                for (long j = 0; j < columns; j += TSimd.Lanes)
                {
                    TVector x = leftRepeats ? leftScalar : SimdTail.Load<TSimd, TVector>(a + j, columns - j);
                    TVector y = rightRepeats ? rightScalar : SimdTail.Load<TSimd, TVector>(b + j, columns - j);
                    SimdTail.Store<TSimd, TVector>(TOperation.Apply<TSimd, TVector>(x, y), to + j, columns - j);
                }
            }
        }
    }
}

/// <summary>An operation on two vectors.</summary>
internal interface IBinaryOperation
{
    /// <summary>Applies it lane by lane.</summary>
    static abstract TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct;
}

/// <summary>a + b.</summary>
internal readonly struct AddOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Add(a, b);
}

/// <summary>a − b.</summary>
internal readonly struct SubtractOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Subtract(a, b);
}

/// <summary>a · b.</summary>
internal readonly struct MultiplyOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Multiply(a, b);
}

/// <summary>a / b.</summary>
internal readonly struct DivideOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Divide(a, b);
}

/// <summary>The larger one, or NaN if either is NaN: the hardware's maximum keeps a NaN of b only, 0 · min(1, |a|) adds one of a.</summary>
internal readonly struct MaxOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.MultiplyAdd(TSimd.Min(TSimd.Broadcast(1), TSimd.Abs(a)), TSimd.Zero, TSimd.Max(a, b));
}

/// <summary>The smaller one, or NaN if either is NaN; see <see cref="MaxOperation"/>.</summary>
internal readonly struct MinOperation : IBinaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Apply<TSimd, TVector>(TVector a, TVector b)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.MultiplyAdd(TSimd.Min(TSimd.Broadcast(1), TSimd.Abs(a)), TSimd.Zero, TSimd.Min(a, b));
}
