using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>
/// Addition, multiplication, fused multiply-add, division and roots with exactly one rounding, in every format up to f32 and every direction; minimum and
/// maximum. Pairs (<c>.f16x2</c>, <c>.bf16x2</c>) are computed half by half. Results that are NaN are the canonical one.
/// </summary>
/// <remarks>
/// Everything is computed in binary64. A product of two f32, f16 or bf16 is exact there. A sum need not be: its rounding error is known, however, and with it
/// the sum is rounded to odd, that is, a last bit that is not exact is set. Rounding that to a format with at least two bits less gives what rounding the
/// exact value gives (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
/// </remarks>
/// <param name="Type">F16, BF16, F16x2, BF16x2 or F32.</param>
/// <param name="Rounding">Which neighbour.</param>
/// <param name="Ftz">
/// Whether subnormals, given and returned, count as zeros of their sign. Rounding to the nearest, an H200 decides as IEEE 754 detects tininess after rounding: by
/// what the result would be if the exponent had no end, so that half a last place below the smallest normal number is that number and three quarters are zero.
/// </param>
/// <param name="Saturate">Whether results are limited to 0…1, and NaN becomes 0.</param>
/// <param name="Relu">Whether negative results become 0.</param>
internal readonly unsafe record struct FloatArithmetic(
    PtxType Type, Rounding Rounding = Rounding.NearestEven, bool Ftz = false, bool Saturate = false, bool Relu = false)
{
    /// <summary>d = a + b.</summary>
    public void Add(uint* d, uint* a, uint* b) => Execute<Sum>(d, a, b, b);

    /// <summary>d = a − b.</summary>
    public void Subtract(uint* d, uint* a, uint* b) => Execute<Difference>(d, a, b, b);

    /// <summary>d = a·b.</summary>
    public void Multiply(uint* d, uint* a, uint* b) => Execute<Product>(d, a, b, b);

    /// <summary>d = a·b + c, rounded once.</summary>
    public void FusedMultiplyAdd(uint* d, uint* a, uint* b, uint* c) => Execute<ProductSum>(d, a, b, c);

    /// <summary>d = a / b.</summary>
    public void Divide(uint* d, uint* a, uint* b) => Execute<Quotient>(d, a, b, b);

    /// <summary>d = √a.</summary>
    public void SquareRoot(uint* d, uint* a) => Execute<Root>(d, a, a, a);

    /// <summary>
    /// The smaller, or the larger, of the operands, their subnormals flushed if <see cref="Ftz"/>. Of a number and a NaN the number, or with
    /// <paramref name="propagateNaN"/> a NaN; −0 is smaller than +0.
    /// </summary>
    /// <param name="d">The destination's row.</param>
    /// <param name="a">One source.</param>
    /// <param name="b">The other source.</param>
    /// <param name="larger">Whether it is the maximum.</param>
    /// <param name="propagateNaN">Whether a NaN wins (<c>.NaN</c>).</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Select(uint* d, uint* a, uint* b, bool larger, bool propagateNaN)
    {
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            Vector256<uint> x = Flush(Vector256.Load(a + i)), y = Flush(Vector256.Load(b + i));
            Vector256<uint> result = Type switch
            {
                PtxType.F32 => Select(x.AsSingle(), y.AsSingle(), larger, propagateNaN).AsUInt32(),
                PtxType.F16 => HalfVectors.ToF16(Select(HalfVectors.LowF16(x), HalfVectors.LowF16(y), larger, propagateNaN)),
                PtxType.BF16 => HalfVectors.ToBF16(Select(HalfVectors.LowBF16(x), HalfVectors.LowBF16(y), larger, propagateNaN)),
                PtxType.F16x2 => HalfVectors.ToF16(Select(HalfVectors.LowF16(x), HalfVectors.LowF16(y), larger, propagateNaN))
                    | (HalfVectors.ToF16(Select(HalfVectors.HighF16(x), HalfVectors.HighF16(y), larger, propagateNaN)) << 16),
                _ => HalfVectors.ToBF16(Select(HalfVectors.LowBF16(x), HalfVectors.LowBF16(y), larger, propagateNaN))
                    | (HalfVectors.ToBF16(Select(HalfVectors.HighBF16(x), HalfVectors.HighBF16(y), larger, propagateNaN)) << 16),
            };
            result.Store(d + i);
        }
    }

    /// <summary>The sum of two doubles, rounded to odd.</summary>
    internal static double AddToOdd(double x, double y)
    {
        double sum = x + y;
        if (!double.IsFinite(sum))
        {
            return sum;
        }

        // Knuth's TwoSum: exact, whatever the order of magnitude.
        double added = sum - x;
        return ToOdd(sum, (x - (sum - added)) + (y - added));
    }

    /// <summary>The odd neighbour of an inexact result whose exact value is <paramref name="nearest"/> + <paramref name="error"/>.</summary>
    private static double ToOdd(double nearest, double error) =>
        error == 0 || (BitConverter.DoubleToInt64Bits(nearest) & 1) != 0 ? nearest : error > 0 ? Math.BitIncrement(nearest) : Math.BitDecrement(nearest);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Select(Vector256<float> x, Vector256<float> y, bool larger, bool propagateNaN)
    {
        Vector256<float> selected = larger
            ? propagateNaN ? Vector256.Max(x, y) : Vector256.MaxNumber(x, y)
            : propagateNaN ? Vector256.Min(x, y) : Vector256.MinNumber(x, y);
        return HalfVectors.Canonicalize(selected);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<uint> Flush(Vector256<uint> bits) => !Ftz ? bits : Type switch
    {
        PtxType.F32 => HalfVectors.FlushSubnormals(bits.AsSingle()).AsUInt32(),
        PtxType.F16 or PtxType.F16x2 => HalfVectors.FlushSubnormals(bits.AsUInt16(), 0x0400).AsUInt32(),
        _ => HalfVectors.FlushSubnormals(bits.AsUInt16(), 0x0080).AsUInt32(),
    };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Execute<TOperation>(uint* d, uint* a, uint* b, uint* c)
        where TOperation : IOperation
    {
        FloatFormat format = FloatFormat.Of(Type)!;
        bool pairs = Type is PtxType.F16x2 or PtxType.BF16x2;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            (uint x, uint y, uint z) = (a[lane], b[lane], c[lane]);
            uint result = Compute<TOperation>(format, x, y, z);
            d[lane] = pairs ? result | (Compute<TOperation>(format, x >> 16, y >> 16, z >> 16) << 16) : result;
        }
    }

    private uint Compute<TOperation>(FloatFormat format, uint a, uint b, uint c)
        where TOperation : IOperation
    {
        double exact = TOperation.Compute(Read(a), Read(b), Read(c), Rounding == Rounding.Down);
        if (double.IsNaN(exact))
        {
            return Saturate ? 0 : (uint)format.CanonicalNaN;
        }

        uint bits = (uint)format.Round(Ftz && Math.Abs(exact) < (Rounding == Rounding.NearestEven ? format.RoundedToSmallestNormal : format.SmallestNormal) ? Math.CopySign(0, exact) : exact, Rounding);
        return format.IsNegative(bits) && (Saturate || Relu) ? 0 : Saturate ? Math.Min(bits, (uint)format.One) : bits;
    }

    private double Read(uint bits)
    {
        float value = Type switch
        {
            PtxType.F32 => BitConverter.UInt32BitsToSingle(bits),
            PtxType.F16 or PtxType.F16x2 => (float)BitConverter.UInt16BitsToHalf((ushort)bits),
            _ => BitConverter.UInt32BitsToSingle(bits << 16),
        };
        return Ftz && IsSubnormal(bits) ? Math.CopySign(0, value) : value;
    }

    private bool IsSubnormal(uint bits) => Type == PtxType.F32 ? FloatFormat.F32.IsSubnormal(bits) : FloatFormat.Of(Type)!.IsSubnormal((ushort)bits);

    /// <summary>An operation in binary64, exact or rounded to odd.</summary>
    private interface IOperation
    {
        /// <param name="a">The first operand.</param>
        /// <param name="b">The second operand.</param>
        /// <param name="c">The third operand.</param>
        /// <param name="down">Whether rounding is towards minus infinity, where x − x is −0.</param>
        static abstract double Compute(double a, double b, double c, bool down);
    }

    private readonly struct Sum : IOperation
    {
        public static double Compute(double a, double b, double c, bool down)
        {
            double sum = AddToOdd(a, b);
            return sum == 0 && down && !(double.IsPositive(a) && double.IsPositive(b)) ? -0.0 : sum;
        }
    }

    private readonly struct Difference : IOperation
    {
        public static double Compute(double a, double b, double c, bool down) => Sum.Compute(a, -b, c, down);
    }

    private readonly struct Product : IOperation
    {
        public static double Compute(double a, double b, double c, bool down) => a * b;
    }

    private readonly struct ProductSum : IOperation
    {
        public static double Compute(double a, double b, double c, bool down) => Sum.Compute(a * b, c, c, down);
    }

    private readonly struct Quotient : IOperation
    {
        public static double Compute(double a, double b, double c, bool down)
        {
            // The remainder a − q·b is exact in one fused step; with b's sign it tells on which side of q the quotient lies.
            double quotient = a / b;
            return !double.IsFinite(quotient) || !double.IsFinite(b) ? quotient
                : ToOdd(quotient, Math.FusedMultiplyAdd(-quotient, b, a) * Math.Sign(b));
        }
    }

    private readonly struct Root : IOperation
    {
        public static double Compute(double a, double b, double c, bool down)
        {
            double root = Math.Sqrt(a);
            return double.IsFinite(root) ? ToOdd(root, Math.FusedMultiplyAdd(-root, root, a)) : root;
        }
    }
}
