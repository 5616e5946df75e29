using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>Arithmetic that has to be exactly one instruction, and functions whose error is known.</summary>
internal static class Numbers
{
    /// <summary>log2(e).</summary>
    public const float Log2E = 1.442695041f;

    /// <summary>log(2).</summary>
    public const float Ln2 = 0.693147181f;

    /// <summary>a·b + c, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Fma(float a, float b, float c)
    {
        CudaAsm.Emit("fma.rn.f32 %0, %1, %2, %3;", out float d, a, b, c);
        return d;
    }

    /// <summary>2^x, relative error 2^-22; 0 below 2^-126.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Exp2(float x)
    {
        CudaAsm.Emit("ex2.approx.ftz.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>1/x, at most 1 unit in the last place off.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Reciprocal(float x)
    {
        CudaAsm.Emit("rcp.approx.ftz.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>1/√x, relative error 2^-22.4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ReciprocalSqrt(float x)
    {
        CudaAsm.Emit("rsqrt.approx.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>√x, relative error 2^-23.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sqrt(float x)
    {
        CudaAsm.Emit("sqrt.approx.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>log2(x): within 2^-22 for x in [½, 2], else relative error 2^-22.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Log2(float x)
    {
        CudaAsm.Emit("lg2.approx.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>a/b, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Divide(float a, float b)
    {
        CudaAsm.Emit("div.rn.f32 %0, %1, %2;", out float c, a, b);
        return c;
    }

    /// <summary>|x|.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Abs(float x)
    {
        CudaAsm.Emit("abs.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>The larger one; the other one if one is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(float a, float b)
    {
        CudaAsm.Emit("max.f32 %0, %1, %2;", out float c, a, b);
        return c;
    }

    /// <summary>The larger one; NaN if one is NaN. The instruction that does it exists from sm_80 on only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxOrNaN(float a, float b)
    {
        CudaAsm.Emit(
            "{ .reg .pred nan; .reg .f32 m, s; max.f32 m, %1, %2; add.f32 s, %1, %2; setp.nan.f32 nan, %1, %2; selp.f32 %0, s, m, nan; }", out float c, a, b);
        return c;
    }

    /// <summary>The smaller one; the other one if one is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Min(float a, float b)
    {
        CudaAsm.Emit("min.f32 %0, %1, %2;", out float c, a, b);
        return c;
    }

    /// <summary>a·b, never contracted with an addition.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Multiply(float a, float b)
    {
        CudaAsm.Emit("mul.rn.f32 %0, %1, %2;", out float c, a, b);
        return c;
    }

    /// <summary>n / d, rounded down, for n ≥ 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Divide(int n, Divisor d)
    {
        CudaAsm.Emit("{ .reg .b64 p; mul.wide.u32 p, %1, %2; shr.u64 p, p, %3; cvt.u32.u64 %0, p; }", out int quotient, n, d.Multiplier, d.Shift);
        return quotient;
    }

    /// <summary>The smaller one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Min(int a, int b)
    {
        CudaAsm.Emit("min.s32 %0, %1, %2;", out int c, a, b);
        return c;
    }

    /// <summary>The larger one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Max(int a, int b)
    {
        CudaAsm.Emit("max.s32 %0, %1, %2;", out int c, a, b);
        return c;
    }

    /// <summary>
    /// x·Φ(x), Φ the normal distribution: with t = min(|x|, 6) and h = ½·2^(−t·P(t)), Φ = h for negative x and 1 − h otherwise. The clamp keeps the
    /// polynomial within its range, where the absolute error is at most 4.2e-7, that of the usual float formula with erf.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Gelu(float x)
    {
        CudaAsm.Emit("{ .reg .f32 t; abs.f32 t, %1; min.f32 %0, t, 0f40C00000; }", out float t, x);
        float p = Fma(t, -2.99248676e-5f, 0.000739879788f);
        p = Fma(p, t, -0.0079774794f);
        p = Fma(p, t, 0.0532382092f);
        p = Fma(p, t, 0.458915673f);
        p = Fma(p, t, 1.15114709f);
        float half = 0.5f * Exp2(-t * p);
        float phi = x < 0 ? half : 1 - half;
        // min drops a NaN, so it has to come back through x.
        return x * phi;
    }

    /// <summary>max(x, 0); NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Relu(float x) => x < 0 ? 0 : x;

    /// <summary>x / (1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Swish(float x) => x * Sigmoid(x);

    /// <summary>1 / (1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sigmoid(float x) => Reciprocal(1 + Exp2(-Log2E * x));

    /// <summary>tanh(x), relative error 1e-6: 1 − 2/(1 + e^2x), and where that cancels the first terms of x − x³/3 + 2x⁵/15 − 17x⁷/315 + 62x⁹/2835 − ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Tanh(float x)
    {
        float far = 1 - (2 * Reciprocal(1 + Exp2(2 * Log2E * x))), square = x * x;
        float near = Fma(square, 62f / 2835, -17f / 315);
        near = Fma(near, square, 2f / 15);
        near = Fma(near, square, -1f / 3);
        near = Fma(near * square, x, x);
        return square < 0.0625f ? near : far;
    }

    /// <summary>
    /// log(1 + e^x) = max(x, 0) + log(1 + e^−|x|), off by at most 3e-7 absolutely and 2e-5 relatively: where the exponential is small, the first terms of the logarithm's series
    /// t − t²/2 + t³/3 − t⁴/4.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Softplus(float x)
    {
        float t = Exp2(-Log2E * Abs(x));
        float near = Fma(t, -0.25f, 1f / 3);
        near = Fma(near, t, -0.5f);
        near = Fma(near * t, t, t);
        return Relu(x) + (t < 0.02f ? near : Ln2 * Log2(1 + t));
    }

    /// <summary>
    /// Rounds to the 10 fraction bits of tf32, ties away from zero, as <c>cvt.rna.tf32.f32</c> does, in integer arithmetic that every target has. Infinities and NaN stay
    /// what they are.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float RoundToTf32(float x)
    {
        CudaAsm.Emit(
            "{ .reg .b32 b, r; .reg .f32 m; .reg .pred finite; mov.b32 b, %1; add.u32 r, b, 4096; and.b32 r, r, -8192; abs.f32 m, %1;"
            + " setp.lt.f32 finite, m, 0f7F800000; selp.b32 r, r, b, finite; mov.b32 %0, r; }",
            out float y,
            x);
        return y;
    }

    /// <summary>A float's bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Bits(float x)
    {
        CudaAsm.Emit("mov.b32 %0, %1;", out uint bits, x);
        return bits;
    }

    /// <summary>Two floats as halves in one register, <paramref name="low"/> in the lower bits, rounded to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint PackHalves(float low, float high)
    {
        CudaAsm.Emit("{ .reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h}; }", out uint packed, low, high);
        return packed;
    }
}
