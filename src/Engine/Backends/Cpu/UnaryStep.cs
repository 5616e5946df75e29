using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>A function of one number.</summary>
internal enum UnaryOperation
{
    /// <summary>scale · x + offset.</summary>
    Affine,

    /// <summary>x · Φ(x) with the exact (erf) Φ.</summary>
    Gelu,

    /// <summary>max(x, 0); NaN stays.</summary>
    Relu,

    /// <summary>x².</summary>
    Square,

    /// <summary>√x.</summary>
    Sqrt,

    /// <summary>x / (1 + e⁻ˣ).</summary>
    Swish,

    /// <summary>1 / (1 + e⁻ˣ).</summary>
    Sigmoid,

    /// <summary>tanh x.</summary>
    Tanh,

    /// <summary>log(1 + eˣ).</summary>
    Softplus,

    /// <summary>|x|.</summary>
    Abs,

    /// <summary>1/√x.</summary>
    ReciprocalSqrt,
}

/// <summary>destination = f(source) element by element on a matrix (rows, columns). The destination may be the source.</summary>
internal sealed unsafe class UnaryStep : CpuStep
{
    private readonly BufferRef _destination;
    private readonly BufferRef _source;
    private readonly UnaryOperation _operation;
    private readonly StridedLoops _loops;
    private readonly float _scale;
    private readonly float _offset;

    /// <param name="destination">(rows, columns).</param>
    /// <param name="source">(rows, columns).</param>
    /// <param name="operation">f.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Floats in a row.</param>
    /// <param name="scale">Factor of <see cref="UnaryOperation.Affine"/>.</param>
    /// <param name="offset">Offset of <see cref="UnaryOperation.Affine"/>.</param>
    public UnaryStep(
        BufferRef destination, BufferRef source, UnaryOperation operation, int rows, int columns, float scale = 1, float offset = 0)
    {
        _destination = destination;
        _source = source;
        _operation = operation;
        _scale = scale;
        _offset = offset;
        _loops = StridedLoops.Create([rows, columns], [destination.RowStride, 1], [source.RowStride, 1]).WithVectorColumns();
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

    private void RunPart<TSimd, TVector>(in RunContext run, int part)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_operation)
        {
            case UnaryOperation.Affine:
                Apply<TSimd, TVector, AffineOperation>(run, part, new AffineOperation(_scale, _offset));
                break;
            case UnaryOperation.Gelu:
                Apply<TSimd, TVector, GeluOperation>(run, part, default);
                break;
            case UnaryOperation.Relu:
                Apply<TSimd, TVector, ReluOperation>(run, part, default);
                break;
            case UnaryOperation.Square:
                Apply<TSimd, TVector, SquareOperation>(run, part, default);
                break;
            case UnaryOperation.Swish:
                Apply<TSimd, TVector, SwishOperation>(run, part, default);
                break;
            case UnaryOperation.Sigmoid:
                Apply<TSimd, TVector, SigmoidOperation>(run, part, default);
                break;
            case UnaryOperation.Tanh:
                Apply<TSimd, TVector, TanhOperation>(run, part, default);
                break;
            case UnaryOperation.Softplus:
                Apply<TSimd, TVector, SoftplusOperation>(run, part, default);
                break;
            case UnaryOperation.Abs:
                Apply<TSimd, TVector, AbsOperation>(run, part, default);
                break;
            case UnaryOperation.ReciprocalSqrt:
                Apply<TSimd, TVector, ReciprocalSqrtOperation>(run, part, default);
                break;
            default:
                Apply<TSimd, TVector, SqrtOperation>(run, part, default);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Apply<TSimd, TVector, TOperation>(in RunContext run, int part, TOperation operation)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TOperation : struct, IUnaryOperation
    {
        float* destination = _destination.Resolve(run);
        float* source = _source.Resolve(run);
        Span<long> offsets = stackalloc long[2];
        long end = _loops.Tiles.End(part);
        for (long tile = _loops.Tiles.Start(part); tile < end; tile++)
        {
            (long rows, long columns) = _loops.Seek(tile, offsets);
            for (long row = 0; row < rows; row++)
            {
                float* to = destination + offsets[0] + (row * _loops.RowStride(0));
                float* from = source + offsets[1] + (row * _loops.RowStride(1));
                for (long j = 0; j < columns; j += TSimd.Lanes)
                {
                    TVector x = SimdTail.Load<TSimd, TVector>(from + j, columns - j);
                    SimdTail.Store<TSimd, TVector>(operation.Apply<TSimd, TVector>(x), to + j, columns - j);
                }
            }
        }
    }
}
