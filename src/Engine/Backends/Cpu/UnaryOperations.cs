using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>A function of one vector.</summary>
internal interface IUnaryOperation
{
    /// <summary>Applies it lane by lane.</summary>
    TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct;
}

/// <summary>scale · x + offset.</summary>
internal readonly struct AffineOperation(float scale, float offset) : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.MultiplyAdd(x, TSimd.Broadcast(scale), TSimd.Broadcast(offset));
}

/// <summary>x · Φ(x).</summary>
internal readonly struct GeluOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        VectorMath.Gelu<TSimd, TVector>(x);
}

/// <summary>max(0, x), in the order of operands that keeps a NaN.</summary>
internal readonly struct ReluOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Max(TSimd.Zero, x);
}

/// <summary>x².</summary>
internal readonly struct SquareOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Multiply(x, x);
}

/// <summary>√x.</summary>
internal readonly struct SqrtOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Sqrt(x);
}

/// <summary>x.</summary>
internal readonly struct IdentityOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        x;
}

/// <summary>x / (1 + e⁻ˣ).</summary>
internal readonly struct SwishOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        VectorMath.Swish<TSimd, TVector>(x);
}

/// <summary>1 / (1 + e⁻ˣ).</summary>
internal readonly struct SigmoidOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        VectorMath.Sigmoid<TSimd, TVector>(x);
}

/// <summary>tanh x.</summary>
internal readonly struct TanhOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        VectorMath.Tanh<TSimd, TVector>(x);
}

/// <summary>log(1 + eˣ).</summary>
internal readonly struct SoftplusOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        VectorMath.Softplus<TSimd, TVector>(x);
}

/// <summary>|x|.</summary>
internal readonly struct AbsOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Abs(x);
}

/// <summary>1/√x.</summary>
internal readonly struct ReciprocalSqrtOperation : IUnaryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Apply<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Divide(TSimd.Broadcast(1), TSimd.Sqrt(x));
}
