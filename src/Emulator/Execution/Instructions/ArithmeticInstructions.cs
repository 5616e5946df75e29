using System.Runtime.CompilerServices;

namespace KernelAD.Emulator;

/// <summary>Lets operations call the arithmetic, whose form is packed into <see cref="Op.Immediate"/>.</summary>
internal static unsafe class ArithmeticInstructions
{
    /// <summary>Packs a form.</summary>
    /// <typeparam name="T">Its type: 8 bytes at most.</typeparam>
    /// <param name="form">The form.</param>
    public static long Pack<T>(T form)
        where T : unmanaged
    {
        long bits = 0;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sizeof(T), sizeof(long));
        Unsafe.WriteUnaligned(&bits, form);
        return bits;
    }

    /// <summary>d = a + b.</summary>
    public static void Add(byte* file, Op* op, byte* d) => Form<FloatArithmetic>(op).Add((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B));

    /// <summary>d = a − b.</summary>
    public static void Subtract(byte* file, Op* op, byte* d) => Form<FloatArithmetic>(op).Subtract((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B));

    /// <summary>d = a·b.</summary>
    public static void Multiply(byte* file, Op* op, byte* d) => Form<FloatArithmetic>(op).Multiply((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B));

    /// <summary>d = a / b.</summary>
    public static void Divide(byte* file, Op* op, byte* d) => Form<FloatArithmetic>(op).Divide((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B));

    /// <summary>d = a·b + c.</summary>
    public static void FusedMultiplyAdd(byte* file, Op* op, byte* d) =>
        Form<FloatArithmetic>(op).FusedMultiplyAdd((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B), (uint*)(file + op->C));

    /// <summary>d = √a.</summary>
    public static void SquareRoot(byte* file, Op* op, byte* d) => Form<FloatArithmetic>(op).SquareRoot((uint*)d, (uint*)(file + op->A));

    /// <summary>The smaller; bit 0 of <see cref="Op.Variant"/> makes it the larger, bit 1 lets NaN win.</summary>
    public static void Select(byte* file, Op* op, byte* d) =>
        Form<FloatArithmetic>(op).Select((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B), (op->Variant & 1) != 0, (op->Variant & 2) != 0);

    /// <summary>A conversion.</summary>
    public static void Convert(byte* file, Op* op, byte* d) => Form<Conversion>(op).Execute(d, file + op->A);

    /// <summary>A conversion of two rows into one of pairs.</summary>
    public static void ConvertPacked(byte* file, Op* op, byte* d) => Form<Conversion>(op).ExecutePacked((uint*)d, (uint*)(file + op->A), (uint*)(file + op->B));

    /// <summary>2 to the power of a; as the others below with subnormals as zeros if <see cref="Op.Variant"/> is 1.</summary>
    public static void Exp2(byte* file, Op* op, byte* d) => ApproximateMath.Exp2((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>The logarithm to base 2.</summary>
    public static void Log2(byte* file, Op* op, byte* d) => ApproximateMath.Log2((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>1 / a.</summary>
    public static void Reciprocal(byte* file, Op* op, byte* d) => ApproximateMath.Reciprocal((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>1 / √a.</summary>
    public static void ReciprocalSquareRoot(byte* file, Op* op, byte* d) => ApproximateMath.ReciprocalSquareRoot((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>√a.</summary>
    public static void ApproximateSquareRoot(byte* file, Op* op, byte* d) => ApproximateMath.SquareRoot((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>The sine.</summary>
    public static void Sin(byte* file, Op* op, byte* d) => ApproximateMath.Sin((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>The cosine.</summary>
    public static void Cos(byte* file, Op* op, byte* d) => ApproximateMath.Cos((float*)d, (float*)(file + op->A), op->Variant != 0);

    /// <summary>The hyperbolic tangent.</summary>
    public static void Tanh(byte* file, Op* op, byte* d) => ApproximateMath.Tanh((float*)d, (float*)(file + op->A));

    /// <summary>a / b, for b of up to 2^126.</summary>
    public static void ApproximateDivide(byte* file, Op* op, byte* d) =>
        ApproximateMath.Divide((float*)d, (float*)(file + op->A), (float*)(file + op->B), op->Variant != 0);

    /// <summary>a / b, over the full range.</summary>
    public static void DivideFull(byte* file, Op* op, byte* d) =>
        ApproximateMath.DivideFull((float*)d, (float*)(file + op->A), (float*)(file + op->B), op->Variant != 0);

    /// <summary>2 to the power of halves, of the type in <see cref="Op.Immediate"/>.</summary>
    public static void Exp2Halves(byte* file, Op* op, byte* d) => ApproximateMath.Exp2OfHalves((PtxType)op->Immediate, (uint*)d, (uint*)(file + op->A));

    /// <summary>The hyperbolic tangent of halves, of the type in <see cref="Op.Immediate"/>.</summary>
    public static void TanhHalves(byte* file, Op* op, byte* d) => ApproximateMath.TanhOfHalves((PtxType)op->Immediate, (uint*)d, (uint*)(file + op->A));

    private static T Form<T>(Op* op)
        where T : unmanaged => Unsafe.ReadUnaligned<T>(&op->Immediate);
}
