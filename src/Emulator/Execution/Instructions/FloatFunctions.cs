using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>
/// The f32 functions that kernels spend their time with, rounded to nearest: bits as IEEE 754 says, but for the payload of NaNs, which is the host's. All other
/// forms go through <see cref="FloatArithmetic"/>.
/// </summary>
internal static class FloatFunctions
{
    private const float SmallestNormal = 1.17549435e-38f;

    internal readonly struct Add : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() + b.AsSingle()).AsUInt32();
    }

    internal readonly struct Subtract : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() - b.AsSingle()).AsUInt32();
    }

    internal readonly struct Multiply : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() * b.AsSingle()).AsUInt32();
    }

    internal readonly struct FusedMultiplyAdd : Lanes.ITernary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c) =>
            Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsUInt32();
    }

    /// <summary>A function between vectors whose subnormals count as zeros (<c>.ftz</c>).</summary>
    /// <typeparam name="T">The function.</typeparam>
    internal readonly struct Flushed<T> : Lanes.IBinary
        where T : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => Flush(T.Invoke(Flush(a), Flush(b)));
    }

    /// <summary>The product of numbers whose subnormals, and its own, count as zeros (<c>.ftz</c>).</summary>
    internal readonly struct MultiplyFlushed : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b)
        {
            Vector256<float> x = Flush(a).AsSingle(), y = Flush(b).AsSingle();
            return FlushResult(x * y, x, y, Vector256.Create(-0f));
        }
    }

    /// <summary>The fused product and sum of numbers whose subnormals, and its own, count as zeros (<c>.ftz</c>).</summary>
    internal readonly struct FusedMultiplyAddFlushed : Lanes.ITernary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c)
        {
            Vector256<float> x = Flush(a).AsSingle(), y = Flush(b).AsSingle(), z = Flush(c).AsSingle();
            return FlushResult(Vector256.FusedMultiplyAdd(x, y, z), x, y, z);
        }
    }

    internal readonly struct Negate : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a ^ Vector256.Create(0x8000_0000u);
    }

    internal readonly struct Absolute : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a & Vector256.Create(0x7FFF_FFFFu);
    }

    internal readonly struct NegateFlushed : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => Negate.Invoke(Flush(a));
    }

    internal readonly struct AbsoluteFlushed : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => Absolute.Invoke(Flush(a));
    }

    internal readonly struct NegateHalves : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a ^ Vector256.Create(0x8000_8000u);
    }

    internal readonly struct AbsoluteHalves : Lanes.IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a) => a & Vector256.Create(0x7FFF_7FFFu);
    }

    /// <summary>The second source with the sign of the first.</summary>
    internal readonly struct CopySign : Lanes.IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b) => (a & Vector256.Create(0x8000_0000u)) | (b & Vector256.Create(0x7FFF_FFFFu));
    }

    /// <summary>The second source with the sign of the first.</summary>
    internal readonly struct CopySign64 : Lanes.IBinary64
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b) => (a & Vector256.Create(1UL << 63)) | (b & Vector256.Create(~(1UL << 63)));
    }

    internal readonly struct AddDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => a + b;
    }

    internal readonly struct SubtractDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => a - b;
    }

    internal readonly struct MultiplyDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => a * b;
    }

    internal readonly struct DivideDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => a / b;
    }

    internal readonly struct FusedMultiplyAddDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => Math.FusedMultiplyAdd(a, b, c);
    }

    internal readonly struct SquareRootDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => Math.Sqrt(a);
    }

    internal readonly struct ReciprocalDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => 1 / a;
    }

    internal readonly struct NegateDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => -a;
    }

    internal readonly struct AbsoluteDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => Math.Abs(a);
    }

    /// <summary>Of a number and a NaN the number; −0 is smaller than +0.</summary>
    internal readonly struct MinDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => double.MinNumber(a, b);
    }

    /// <summary>Of a number and a NaN the number; −0 is smaller than +0.</summary>
    internal readonly struct MaxDouble : Lanes.IScalar<double, double, double, double>
    {
        public static double Invoke(double a, double b, double c) => double.MaxNumber(a, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Flush(Vector256<uint> a) => HalfVectors.FlushSubnormals(a.AsSingle()).AsUInt32();

    /// <summary>x·y + z, rounded, with a zero for what is subnormal; see <see cref="FloatArithmetic.Ftz"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> FlushResult(Vector256<float> rounded, Vector256<float> x, Vector256<float> y, Vector256<float> z) =>
        Vector256.EqualsAny(Vector256.Abs(rounded), Vector256.Create(SmallestNormal)) ? FlushRoundedUp(rounded, x, y, z) : Flush(rounded.AsUInt32());

    /// <summary>The same where the smallest normal number is among the results and may have come from below.</summary>
    private static Vector256<uint> FlushRoundedUp(Vector256<float> rounded, Vector256<float> x, Vector256<float> y, Vector256<float> z)
    {
        for (int i = 0; i < Vector256<float>.Count; i++)
        {
            if (Math.Abs(rounded[i]) == SmallestNormal && Math.Abs(FloatArithmetic.AddToOdd((double)x[i] * y[i], z[i])) < FloatFormat.F32.RoundedToSmallestNormal)
            {
                rounded = rounded.WithElement(i, MathF.CopySign(0, rounded[i]));
            }
        }

        return Flush(rounded.AsUInt32());
    }
}
