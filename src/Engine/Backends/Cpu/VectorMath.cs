using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>Transcendental functions of vectors. NaN propagates; infinities give the limits.</summary>
/// <remarks>
/// The polynomials are in Horner form: a kernel keeps enough independent vectors in flight to hide the length of the chain, so the number of operations is
/// what counts.
/// </remarks>
internal static class VectorMath
{
    /// <summary>
    /// Added to a number of magnitude below 2²², rounds it to the nearest integer n, ties to even, and leaves n + 127, the exponent of 2ⁿ, in the lowest bits.
    /// </summary>
    public const float Rounding = (3 << 22) + 127;

    private const float GeluLimit = 5.54f;

    /// <summary>eˣ, relative error below 2e-7; subnormal results included, +∞ above 88.73.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Exp<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // x = n·ln 2 + r with |r| ≤ ln 2 / 2. The upper part of ln 2 has few enough bits for n·upper to be exact.
        x = TSimd.Min(TSimd.Broadcast(89f), TSimd.Max(TSimd.Broadcast(-105f), x));
        TVector n = TSimd.Round(TSimd.Multiply(x, TSimd.Broadcast(1.44269504f)));
        TVector r = TSimd.MultiplyAdd(n, TSimd.Broadcast(-0.693359375f), x);
        r = TSimd.MultiplyAdd(n, TSimd.Broadcast(2.12194440e-4f), r);
        TVector p = TSimd.Broadcast(0.0013948593f);
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.008375137f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.041666218f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.16666415f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.5f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(1f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(1f));
        return TSimd.ScaleByPowerOf2(p, n);
    }

    /// <summary>2^(x − m) for a whole number m, |m| ≤ 2²¹, and x ≤ m; relative error below 3e-7, no smaller than 2⁻¹²⁵.</summary>
    /// <param name="x">The exponents.</param>
    /// <param name="lowest">m − 125.</param>
    /// <param name="rounding"><see cref="Rounding"/> − m.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Exp2OfDifference<TSimd, TVector>(TVector x, TVector lowest, TVector rounding)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // One addition rounds x to a whole number and takes m from it.
        x = TSimd.Max(lowest, x);
        TVector sum = TSimd.Add(x, rounding);
        TVector r = TSimd.Subtract(TSimd.Subtract(sum, rounding), x);
        return TSimd.Multiply(Exp2OfMinus<TSimd, TVector>(r), TSimd.PowerOf2OfRounded(sum));
    }

    /// <summary>GELU in its exact form, x/2 · (1 + erf(x/√2)); absolute error below 3e-7 · max(1, |x|).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Gelu<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // ½ erf(z/√2) / z is even: P(z²) / Q(z²) with both of degree 5, the best rational approximation of that size on the range; beyond it erf is ±1 to within
        // 3e-8. Below it GELU is between −1e-7 and 0.
        x = TSimd.Max(TSimd.Broadcast(-GeluLimit), x);
        TVector z = TSimd.Min(TSimd.Broadcast(GeluLimit), x);
        TVector w = TSimd.Multiply(z, z);
        TVector p = TSimd.Broadcast(2.248104280511143e-08f);
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(6.352459877234651e-06f));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(0.00017095608927775174f));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(0.004689919296652079f));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(0.034076038748025894f));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(0.3989422023296356f));
        TVector q = TSimd.Broadcast(1.1897133163074614e-06f);
        q = TSimd.MultiplyAdd(q, w, TSimd.Broadcast(7.425681542372331e-05f));
        q = TSimd.MultiplyAdd(q, w, TSimd.Broadcast(0.0018965285271406174f));
        q = TSimd.MultiplyAdd(q, w, TSimd.Broadcast(0.028771067038178444f));
        q = TSimd.MultiplyAdd(q, w, TSimd.Broadcast(0.2520817816257477f));
        q = TSimd.MultiplyAdd(q, w, TSimd.Broadcast(1f));
        return TSimd.Multiply(x, TSimd.Add(TSimd.Broadcast(0.5f), TSimd.Divide(TSimd.Multiply(p, z), q)));
    }

    /// <summary>1 / (1 + e⁻ˣ), relative error below 4e-7 from −87 on; below, it is e⁻⁸⁷.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Sigmoid<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        TSimd.Divide(TSimd.Broadcast(1), OnePlusExpOfMinus<TSimd, TVector>(TSimd.Max(TSimd.Broadcast(-87f), x)));

    /// <summary>x / (1 + e⁻ˣ), relative error below 4e-7 from −87 on; below, it is −87 e⁻⁸⁷.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Swish<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        x = TSimd.Max(TSimd.Broadcast(-87f), x);
        return TSimd.Divide(x, OnePlusExpOfMinus<TSimd, TVector>(x));
    }

    /// <summary>tanh x, absolute error below 2e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Tanh<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector twice = Exp<TSimd, TVector>(TSimd.Add(x, x));
        return TSimd.Subtract(TSimd.Broadcast(1), TSimd.Divide(TSimd.Broadcast(2), TSimd.Add(twice, TSimd.Broadcast(1))));
    }

    /// <summary>log(1 + eˣ), relative error below 4e-7; above 20 it rounds to x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Softplus<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // log(1 + eˣ) = max(x, 0) + log(1 + t) with t = e^−|x| ≤ 1, and log(1 + t) = 2 artanh s with s = t / (2 + t) ≤ 1/3: its series in w = s² ≤ 1/9.
        TVector t = Exp<TSimd, TVector>(TSimd.Subtract(TSimd.Zero, TSimd.Abs(x)));
        TVector s = TSimd.Divide(t, TSimd.Add(t, TSimd.Broadcast(2)));
        TVector w = TSimd.Multiply(s, s);
        TVector p = TSimd.Broadcast(1f / 13);
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f / 11));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f / 9));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f / 7));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f / 5));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f / 3));
        p = TSimd.MultiplyAdd(p, w, TSimd.Broadcast(1f));
        return TSimd.MultiplyAdd(TSimd.Add(s, s), p, TSimd.Max(TSimd.Zero, x));
    }

    /// <summary>1 + e⁻ˣ for x ≥ −87. The sum forgives an exponential that is less exact, and too large by far above 87, than <see cref="Exp"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector OnePlusExpOfMinus<TSimd, TVector>(TVector x)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // e⁻ˣ = 2ⁿ · 2⁻ʳ with r = x log₂ e + n, |r| ≤ ½.
        x = TSimd.Min(TSimd.Broadcast(87f), x);
        TVector sum = TSimd.MultiplyAdd(x, TSimd.Broadcast(-1.44269504f), TSimd.Broadcast(Rounding));
        TVector r = TSimd.MultiplyAdd(x, TSimd.Broadcast(1.44269504f), TSimd.Subtract(sum, TSimd.Broadcast(Rounding)));
        return TSimd.MultiplyAdd(Exp2OfMinus<TSimd, TVector>(r), TSimd.PowerOf2OfRounded(sum), TSimd.Broadcast(1));
    }

    /// <summary>2⁻ʳ for |r| ≤ ½, relative error below 2e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Exp2OfMinus<TSimd, TVector>(TVector r)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TVector p = TSimd.Broadcast(-0.00134004327f);
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.00967217144f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(-0.0555032715f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(0.240222275f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Broadcast(-0.693147182f));
        return TSimd.MultiplyAdd(p, r, TSimd.Broadcast(1f));
    }
}
