using System.Runtime.Intrinsics;
using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
public sealed unsafe class VectorMathTests
{
    private static float Exp(float x) => Vector512.IsHardwareAccelerated
        ? VectorMath.Exp<Simd512, Vector512<float>>(Vector512.Create(x))[5]
        : Vector256.IsHardwareAccelerated
            ? VectorMath.Exp<Simd256, Vector256<float>>(Vector256.Create(x))[5]
            : VectorMath.Exp<Simd128, Vector128<float>>(Vector128.Create(x))[1];

    private static float Exp2OfDifference(float x, float m) => Vector512.IsHardwareAccelerated
        ? VectorMath.Exp2OfDifference<Simd512, Vector512<float>>(Vector512.Create(x), Vector512.Create(m - 125), Vector512.Create(VectorMath.Rounding - m))[5]
        : Vector256.IsHardwareAccelerated
            ? VectorMath.Exp2OfDifference<Simd256, Vector256<float>>(Vector256.Create(x), Vector256.Create(m - 125), Vector256.Create(VectorMath.Rounding - m))[5]
            : VectorMath.Exp2OfDifference<Simd128, Vector128<float>>(Vector128.Create(x), Vector128.Create(m - 125), Vector128.Create(VectorMath.Rounding - m))[1];

    private static float Gelu(float x) => Vector512.IsHardwareAccelerated
        ? VectorMath.Gelu<Simd512, Vector512<float>>(Vector512.Create(x))[5]
        : Vector256.IsHardwareAccelerated
            ? VectorMath.Gelu<Simd256, Vector256<float>>(Vector256.Create(x))[5]
            : VectorMath.Gelu<Simd128, Vector128<float>>(Vector128.Create(x))[1];

    /// <summary>erf by its Maclaurin series near 0 and Lentz's continued fraction for erfc beyond, in double.</summary>
    private static double ReferenceErf(double x)
    {
        double z = Math.Abs(x);
        if (z > 6)
            return Math.Sign(x);
        if (z < 2.5)
        {
            double term = z, sum = z;
            for (int n = 1; n < 100; n++)
            {
                term *= -z * z / n;
                sum += term / ((2 * n) + 1);
            }

            return Math.CopySign(2 / Math.Sqrt(Math.PI) * sum, x);
        }

        double fraction = z;
        for (int n = 200; n > 0; n--)
            fraction = z + (n / 2.0 / fraction);
        return Math.CopySign(1 - (Math.Exp(-z * z) / (Math.Sqrt(Math.PI) * fraction)), x);
    }

    [Test]
    public void Exponentials_are_within_two_units_in_the_last_place()
    {
        for (int i = -12000; i <= 12000; i++)
        {
            float x = i * 0.00727f;
            Assert.That(Exp(x), Is.EqualTo(Math.Exp(x)).Within(Math.Exp(x) * 2.4e-7), $"exp {x}");
        }
    }

    [Test]
    public void Powers_of_two_are_relative_to_a_whole_number([Values(0, 1, -7, 1000, 1 << 20, -(1 << 20))] int m)
    {
        for (int i = 0; i <= 12000; i++)
        {
            float x = m - (i * 0.0104f);
            double expected = Math.Pow(2, (double)x - m);
            Assert.That(Exp2OfDifference(x, m), Is.EqualTo(expected).Within(expected * 3e-7), $"2^({x} - {m})");
        }

        Assert.That(Exp2OfDifference(m, m), Is.EqualTo(1f));
        Assert.That(Exp2OfDifference(float.NegativeInfinity, m), Is.EqualTo(MathF.Pow(2, -125)));
        Assert.That(Exp2OfDifference(float.NaN, m), Is.NaN);
    }

    [Test]
    public void Exponentials_at_the_ends_of_the_range()
    {
        Assert.That(Exp(0), Is.EqualTo(1f));
        foreach (float big in new[] { 128f, 1e4f, 1e30f, float.PositiveInfinity })
        {
            Assert.That(Exp(big), Is.EqualTo(float.PositiveInfinity));
            Assert.That(Exp(-big), Is.Zero);
        }

        Assert.That(Exp(float.NaN), Is.NaN);
    }

    [Test]
    public void Gelu_is_within_its_bound()
    {
        for (int i = -20000; i <= 20000; i++)
        {
            float x = i * 0.0005f;
            double gelu = 0.5 * x * (1 + ReferenceErf(x / Math.Sqrt(2)));
            Assert.That(Gelu(x), Is.EqualTo(gelu).Within(3e-7 * Math.Max(1, Math.Abs(x))), $"gelu {x}");
        }
    }

    [Test]
    public void Gelu_of_large_arguments_infinities_and_nan()
    {
        Assert.That(Gelu(0f), Is.Zero);
        Assert.That(Gelu(1e30f), Is.EqualTo(1e30f).Within(2e23f));
        Assert.That(Gelu(float.PositiveInfinity), Is.EqualTo(float.PositiveInfinity));
        Assert.That(Gelu(-1e30f), Is.Zero.Within(1e-6));
        Assert.That(Gelu(float.NegativeInfinity), Is.Zero.Within(1e-6));
        Assert.That(Gelu(float.NaN), Is.NaN);
    }

    [Test]
    public void Partial_loads_and_stores_touch_only_the_first_lanes([Range(0, 4)] int count)
    {
        PartialAccess<Simd128, Vector128<float>>(count);
        if (Vector256.IsHardwareAccelerated)
            PartialAccess<Simd256, Vector256<float>>(2 * count);
        if (Vector512.IsHardwareAccelerated)
            PartialAccess<Simd512, Vector512<float>>(4 * count);
    }

    [Test]
    public void Reductions()
    {
        Reduce<Simd128, Vector128<float>>();
        if (Vector256.IsHardwareAccelerated)
            Reduce<Simd256, Vector256<float>>();
        if (Vector512.IsHardwareAccelerated)
            Reduce<Simd512, Vector512<float>>();
    }

    private static void PartialAccess<TSimd, TVector>(int count)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        using GuardedMatrix source = GuardedMatrix.Random(new Random(1), 1, count + 1);
        using GuardedMatrix target = new(1, TSimd.Lanes);
        using GuardedMatrix loaded = new(1, TSimd.Lanes);
        TVector value = TSimd.LoadFirst(source.Pointer, count);
        TSimd.Store(value, loaded.Pointer);
        TSimd.StoreFirst(value, target.Pointer, count);
        for (int i = 0; i < TSimd.Lanes; i++)
        {
            Assert.That(loaded[0, i], Is.EqualTo(i < count ? source[0, i] : 0f));
            Assert.That(target[0, i], i < count ? Is.EqualTo(source[0, i]) : Is.NaN);
        }
    }

    private static void Reduce<TSimd, TVector>()
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        float[] values = new float[TSimd.Lanes];
        for (int position = 0; position < TSimd.Lanes; position++)
        {
            for (int i = 0; i < values.Length; i++)
                values[i] = ((i + position) % TSimd.Lanes) - 2;
            fixed (float* pointer = values)
            {
                TVector value = TSimd.Load(pointer);
                Assert.That(TSimd.ReduceAdd(value), Is.EqualTo(values.Sum()));
                Assert.That(TSimd.ReduceMax(value), Is.EqualTo(values.Max()));
                Assert.That(TSimd.ReduceMin(value), Is.EqualTo(-2f));
            }
        }
    }
}
