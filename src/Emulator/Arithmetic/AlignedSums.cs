using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Emulator;

/// <summary>
/// Sums of products as the tensor cores of Hopper form them: every product of an instruction and C in one step.
/// </summary>
/// <remarks>
/// <para>
/// Let e be the largest exponent of any term: the sum of the exponents of a product's operands, for C its own. A product of two numbers in [1, 2) is in
/// [1, 4) and is not normalised first. Every term is exact and then cut off, towards zero, to a multiple of 2^(e−25): two bits below the last place of a
/// number of that exponent. The sum of these is exact and then cut off, towards zero, to binary32.
/// </para>
/// <para>
/// Measured on an NVIDIA H200 (sm_90, driver 580.159.04), where this gives every recorded result bit by bit: 40 960 sums of random terms and 12 416 of terms
/// made to tell, m16n8k8 and m16n8k16 of f16, m16n8k16 of bf16, m16n8k4 and m16n8k8 of tf32, all with C and D of f32. The same form with other numbers of
/// bits was found for other hardware by Fasi, Higham, Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores" (2021).
/// </para>
/// <para>
/// At the ends of the range, measured too: a subnormal operand has the exponent of the smallest normal number; terms that are zero do not count in e; a sum of
/// zero is +0; what is 2^128 or more becomes infinite. Not measured but chosen: f16 results are the f32 ones, rounded to nearest.
/// </para>
/// <para>
/// Exponents here are biased as in binary32, 127 for 1; the exponent of a product is biased once.
/// </para>
/// </remarks>
internal static unsafe class AlignedSums
{
    private const int Groups = MatrixArithmetic.Groups;
    private const int Threads = MatrixArithmetic.Threads;
    private const int M = 2 * Groups;
    private const int Bias = 127;
    private const int FractionBits = 23;

    /// <summary>Bits of a term below its leading place, at the largest exponent.</summary>
    private const int AlignedBits = FractionBits + 2;

    /// <summary>The exponent of zero: with that of any other number below every other sum, and two of them fit 16 bits.</summary>
    private const int ExponentOfZero = -4096;

    private const int ExponentsOfZeros = -2048;

    // Between these all that counts is a normal number in binary32: products from 2^(e−26) on down to their last bit, and all scales.
    private const int LeastExponent = Bias - 75;
    private const int LargestExponent = Bias + 100;

    private const int Infinity = 0x7F800000;

    /// <summary>d = a·b + c.</summary>
    /// <param name="form">The form.</param>
    /// <param name="d">The rows of D's registers, as f32.</param>
    /// <param name="left">A as <see cref="MatrixArithmetic"/> unpacks it.</param>
    /// <param name="right">B, eight columns of one k after those of another.</param>
    /// <param name="c">The rows of C's registers, as f32; may be D's.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyAdd(in MatrixForm form, float** d, float* left, float* right, float** c)
    {
        int* exponents = stackalloc int[M * MatrixForm.N];
        if (FindExponents(form, exponents, left, right, c))
        {
            Add(form, exponents, d, left, right, c);
        }
        else
        {
            AddExactly(form, d, left, right, c);
        }
    }

    /// <summary>The largest exponents of D's rows, and whether all are in the range that vectors can do.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool FindExponents(in MatrixForm form, int* exponents, float* left, float* right, float** c)
    {
        // Exponents are taken two at a time: those of row g of A and of row g + 8 share a word, those of B fill both halves.
        uint* exponentsOfA = stackalloc uint[4 * Warp.Lanes];
        uint* exponentsOfB = stackalloc uint[16 * MatrixForm.N];
        int least = LeastField(form);
        int parts = form.PerRegister, blocks = form.RegistersOfB;
        Vector256<int> low = Vector256.Create(0xFFFF), largest = Vector256<int>.Zero;
        for (int block = 0; block < blocks; block++)
        {
            for (int i = 0; i < parts * Warp.Lanes; i += Vector256<int>.Count)
            {
                float* upper = left + (block * 4 * Warp.Lanes) + i;
                Vector256<int> first = Exponents(upper, least, ref largest), second = Exponents(upper + (2 * Warp.Lanes), least, ref largest);
                ((first & low) | (second << 16)).AsUInt32().Store(exponentsOfA + (block * parts * Warp.Lanes) + i);
            }
        }

        for (int k = 0; k < form.K; k++)
        {
            Vector256<int> exponent = Exponents(right + (k * MatrixForm.N), least, ref largest) - Vector256.Create(Bias);
            ((exponent & low) | (exponent << 16)).AsUInt32().Store(exponentsOfB + (k * MatrixForm.N));
        }

        Vector256<int> outside = Vector256<int>.Zero;
        for (int lanes = 0; lanes < Warp.Lanes; lanes += 4 * Threads)
        {
            Vector256<short> none = Vector256.Create(short.MinValue), first = none, second = none, third = none, fourth = none;
            uint* factors = exponentsOfB;
            for (int block = 0; block < blocks; block++)
            {
                for (int t = 0; t < Threads; t++)
                {
                    uint* elements = exponentsOfA + (block * parts * Warp.Lanes) + lanes + t;
                    for (int i = 0; i < parts; i++)
                    {
                        Vector256<short> factor = Vector256.Load(factors).AsInt16();
                        first = Vector256.Max(first, Vector256.Create(elements[0]).AsInt16() + factor);
                        second = Vector256.Max(second, Vector256.Create(elements[Threads]).AsInt16() + factor);
                        third = Vector256.Max(third, Vector256.Create(elements[2 * Threads]).AsInt16() + factor);
                        fourth = Vector256.Max(fourth, Vector256.Create(elements[3 * Threads]).AsInt16() + factor);
                        factors += MatrixForm.N;
                        elements += Warp.Lanes;
                    }
                }
            }

            int* rows = exponents + (2 * lanes);
            StoreLargest(rows, first.AsInt32(), c, lanes, ref largest, ref outside);
            StoreLargest(rows + MatrixForm.N, second.AsInt32(), c, lanes + Threads, ref largest, ref outside);
            StoreLargest(rows + (2 * MatrixForm.N), third.AsInt32(), c, lanes + (2 * Threads), ref largest, ref outside);
            StoreLargest(rows + (3 * MatrixForm.N), fourth.AsInt32(), c, lanes + (3 * Threads), ref largest, ref outside);
        }

        return outside == Vector256<int>.Zero && !Vector256.GreaterThanOrEqualAny(largest, Vector256.Create(Infinity));
    }

    /// <summary>The sums in units of 2^(e−25), which 32 bits hold without C: 16 products of at most (2 − 2^-10)² are less than 64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(in MatrixForm form, int* exponents, float** d, float* left, float* right, float** c)
    {
        int parts = form.PerRegister, blocks = form.RegistersOfB;
        for (int half = 0; half < 2; half++)
        {
            for (int lanes = 0; lanes < Warp.Lanes; lanes += 4 * Threads)
            {
                int* rows = exponents + (half * Groups * MatrixForm.N) + (2 * lanes);
                Vector256<float> firstScale = Scale(rows), secondScale = Scale(rows + MatrixForm.N);
                Vector256<float> thirdScale = Scale(rows + (2 * MatrixForm.N)), fourthScale = Scale(rows + (3 * MatrixForm.N));
                Vector256<int> first = Vector256<int>.Zero, second = first, third = first, fourth = first;
                float* factors = right;
                for (int block = 0; block < blocks; block++)
                {
                    for (int t = 0; t < Threads; t++)
                    {
                        float* elements = left + (block * 4 * Warp.Lanes) + (half * 2 * Warp.Lanes) + lanes + t;
                        for (int i = 0; i < parts; i++)
                        {
                            Vector256<float> factor = Vector256.Load(factors);
                            first += Vector256.ConvertToInt32Native(Vector256.Create(elements[0]) * factor * firstScale);
                            second += Vector256.ConvertToInt32Native(Vector256.Create(elements[Threads]) * factor * secondScale);
                            third += Vector256.ConvertToInt32Native(Vector256.Create(elements[2 * Threads]) * factor * thirdScale);
                            fourth += Vector256.ConvertToInt32Native(Vector256.Create(elements[3 * Threads]) * factor * fourthScale);
                            factors += MatrixForm.N;
                            elements += Warp.Lanes;
                        }
                    }
                }

                StoreSum(d, c, half, lanes, first, rows);
                StoreSum(d, c, half, lanes + Threads, second, rows + MatrixForm.N);
                StoreSum(d, c, half, lanes + (2 * Threads), third, rows + (2 * MatrixForm.N));
                StoreSum(d, c, half, lanes + (3 * Threads), fourth, rows + (3 * MatrixForm.N));
            }
        }
    }

    /// <summary>The same for all numbers there are, in integers and one at a time.</summary>
    private static void AddExactly(in MatrixForm form, float** d, float* left, float* right, float** c)
    {
        int parts = form.PerRegister, least = LeastField(form);
        float* a = stackalloc float[16];
        float* b = stackalloc float[16];
        for (int row = 0; row < M; row++)
        {
            float* elements = left + (row / Groups * 2 * Warp.Lanes) + (row % Groups * Threads);
            for (int k = 0; k < form.K; k++)
            {
                (int block, int rest) = (k / (Threads * parts), k % (Threads * parts));
                a[k] = elements[(block * 4 * Warp.Lanes) + (rest % parts * Warp.Lanes) + (rest / parts)];
            }

            for (int column = 0; column < MatrixForm.N; column++)
            {
                // Even columns are the first half of a row of B, odd ones the second.
                for (int k = 0; k < form.K; k++)
                {
                    b[k] = right[(k * MatrixForm.N) + (column / 2) + (column % 2 * Threads)];
                }

                int register = (row / Groups * 2) + (column % 2), lane = (row % Groups * Threads) + (column / 2);
                d[register][lane] = AddExactly(form.K, a, b, c[register][lane], least);
            }
        }
    }

    private static float AddExactly(int count, float* a, float* b, float c, int least)
    {
        // In binary64 no product and no sum of finite operands overflows: what is not finite follows IEEE 754.
        double sum = c;
        int largest = Exponent(c, 1);
        for (int k = 0; k < count; k++)
        {
            sum += (double)a[k] * b[k];
            largest = Math.Max(largest, Exponent(a[k], least) + Exponent(b[k], least) - Bias);
        }

        if (!double.IsFinite(sum))
        {
            return double.IsNaN(sum) ? BitConverter.UInt32BitsToSingle(0x7FFFFFFF) : (float)sum;
        }

        if (largest < ExponentsOfZeros)
        {
            return 0;
        }

        int place = largest - Bias - AlignedBits;
        long units = Units(FloatFormat.F32.Unpack(BitConverter.SingleToUInt32Bits(c)), place);
        for (int k = 0; k < count; k++)
        {
            ExactNumber x = FloatFormat.F32.Unpack(BitConverter.SingleToUInt32Bits(a[k])), y = FloatFormat.F32.Unpack(BitConverter.SingleToUInt32Bits(b[k]));
            units += Units(new ExactNumber(x.Negative != y.Negative, x.Significand * y.Significand, x.Exponent + y.Exponent), place);
        }

        ulong magnitude = (ulong)Math.Abs(units);
        return Math.ScaleB((double)magnitude, place) >= Math.ScaleB(1, 128) ? units < 0 ? float.NegativeInfinity : float.PositiveInfinity
            : BitConverter.UInt32BitsToSingle((uint)FloatFormat.F32.Round(new ExactNumber(units < 0, magnitude, place), Rounding.Zero));
    }

    private static long Units(ExactNumber term, int place)
    {
        long magnitude = (long)term.ToMultipleOf(place, Rounding.Zero);
        return term.Negative ? -magnitude : magnitude;
    }

    /// <summary>The exponent of an operand; subnormals have the smallest normal number's.</summary>
    private static int Exponent(float value, int least) =>
        value == 0 ? ExponentOfZero : Math.Max((int)(BitConverter.SingleToUInt32Bits(value) >> FractionBits) & 0xFF, least);

    /// <summary>The exponents of eight operands. <paramref name="largest"/> takes their magnitudes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Exponents(float* values, int least, ref Vector256<int> largest) => Exponents(Vector256.Load(values), least, ref largest);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Exponents(Vector256<float> values, int least, ref Vector256<int> largest)
    {
        Vector256<int> magnitudes = values.AsInt32() & Vector256.Create(int.MaxValue);
        largest = Vector256.Max(largest, magnitudes);
        Vector256<int> exponents = Vector256.Max(magnitudes >> FractionBits, Vector256.Create(least));
        return Vector256.ConditionalSelect(Vector256.Equals(magnitudes, Vector256<int>.Zero), Vector256.Create(ExponentOfZero), exponents);
    }

    /// <summary>The largest exponents of a row and of the row eight below it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreLargest(int* rows, Vector256<int> pairs, float** c, int lanes, ref Vector256<int> largest, ref Vector256<int> outside)
    {
        Vector256<int> upper = Vector256.Max((pairs << 16) >> 16, Exponents(MatrixArithmetic.LoadRow(c[0], c[1], lanes), 1, ref largest));
        Vector256<int> lower = Vector256.Max(pairs >> 16, Exponents(MatrixArithmetic.LoadRow(c[2], c[3], lanes), 1, ref largest));
        upper.Store(rows);
        lower.Store(rows + (Groups * MatrixForm.N));
        outside |= Outside(upper) | Outside(lower);
    }

    /// <summary>Where exponents are out of the vectors' range, all terms being zero excepted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Outside(Vector256<int> exponents) =>
        Vector256.GreaterThan(exponents, Vector256.Create(LargestExponent))
        | (Vector256.GreaterThan(Vector256.Create(LeastExponent), exponents) & Vector256.GreaterThan(exponents, Vector256.Create(ExponentsOfZeros)));

    /// <summary>2^(25−e), which makes a term a number of units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Scale(int* exponents) =>
        ((Vector256.Create((2 * Bias) + AlignedBits) - Clamp(exponents)) << FractionBits).AsSingle();

    /// <summary>Where all terms are zero any exponent will do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Clamp(int* exponents) => Vector256.Max(Vector256.Load(exponents), Vector256.Create(LeastExponent));

    /// <summary>Adds C, cuts off and stores.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreSum(float** d, float** c, int half, int lanes, Vector256<int> products, int* exponents)
    {
        Vector256<int> addend = Vector256.ConvertToInt32Native(MatrixArithmetic.LoadRow(c[2 * half], c[(2 * half) + 1], lanes) * Scale(exponents));
        Vector256<double> low = ToDouble(products.GetLower()) + ToDouble(addend.GetLower()), high = ToDouble(products.GetUpper()) + ToDouble(addend.GetUpper());

        // The top 24 bits of a double's 53: what is left fits binary32.
        Vector256<ulong> kept = Vector256.Create(~((1UL << 29) - 1));
        Vector256<float> units = Vector256.Narrow((low.AsUInt64() & kept).AsDouble(), (high.AsUInt64() & kept).AsDouble());
        Vector256<float> unit = ((Clamp(exponents) - Vector256.Create(AlignedBits)) << FractionBits).AsSingle();
        MatrixArithmetic.StoreRow(d[2 * half], d[(2 * half) + 1], lanes, units * unit);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> ToDouble(Vector128<int> values)
    {
        if (Avx.IsSupported)
        {
            return Avx.ConvertToVector256Double(values);
        }

        (Vector128<long> low, Vector128<long> high) = Vector128.Widen(values);
        return Vector256.ConvertToDouble(Vector256.Create(low, high));
    }

    /// <summary>The exponent field, in binary32, of the operands' smallest normal number.</summary>
    private static int LeastField(in MatrixForm form) => form.A == PtxType.F16 ? Bias - 14 : 1;
}
