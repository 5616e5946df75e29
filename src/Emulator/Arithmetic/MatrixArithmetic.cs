using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KernelAD.Emulator;

/// <summary>
/// The tensor core: <c>mma.sync</c> on the registers of a warp, which hold the matrices as "Matrix Fragments for mma" in the PTX ISA says.
/// </summary>
/// <remarks>
/// <para>
/// Accumulation. PTX leaves order and rounding of the sums open, beyond "at least single precision": <see cref="MatrixSums"/> has the ways of adding, and a
/// kernel must not depend on the last bits of any. f16 accumulators are summed in binary32, too, and rounded once, at the end. Integer sums are exact modulo
/// 2³², or with <c>.satfinite</c> the exact sum limited to s32.
/// </para>
/// <para>
/// Values. f16 and bf16 subnormals count. tf32 operands lose their low 13 bits: they are cut off, as hardware does, and not rounded. NaN and infinity spread
/// as in IEEE 754; every NaN of D is the canonical 0x7FFFFFFF.
/// </para>
/// <para>
/// Working layout. A fragment's row of 32 lanes is (8 groups × 4 threads), lane = 4·group + thread. A is unpacked row by row and read by broadcast. B is
/// transposed so that 8 columns of one k are a vector, in the order 0 2 4 6 1 3 5 7: then a row of C or D is four lanes of its even register and four of its
/// odd one.
/// </para>
/// </remarks>
internal static unsafe class MatrixArithmetic
{
    /// <summary>Groups of lanes: rows of half a fragment.</summary>
    internal const int Groups = 8;

    /// <summary>Lanes of a group.</summary>
    internal const int Threads = 4;

    /// <summary>d = a·b + c.</summary>
    /// <param name="form">The form; it must be a supported one.</param>
    /// <param name="d">The rows of D's registers.</param>
    /// <param name="a">The rows of A's registers.</param>
    /// <param name="b">The rows of B's registers.</param>
    /// <param name="c">The rows of C's registers; may be D's.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyAdd(in MatrixForm form, uint** d, uint** a, uint** b, uint** c)
    {
        switch (form.A)
        {
            case PtxType.F16:
                MultiplyAdd<F16>(form, d, a, b, c);
                break;
            case PtxType.BF16:
                MultiplyAdd<BF16>(form, d, a, b, c);
                break;
            case PtxType.TF32:
                MultiplyAdd<TF32>(form, d, a, b, c);
                break;
            default:
                MultiplyAddBytes(form, (int**)d, a, b, (int**)c);
                break;
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyAdd<TElement>(in MatrixForm form, uint** d, uint** a, uint** b, uint** c)
        where TElement : IElement
    {
        float* left = stackalloc float[8 * Warp.Lanes];
        float* right = stackalloc float[16 * MatrixForm.N];
        int blocks = form.RegistersOfB;
        for (int r = 0; r < 2 * blocks; r++)
        {
            for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
            {
                Vector256<uint> bits = Vector256.Load(a[r] + i);
                TElement.Low(bits).Store(left + (2 * r * Warp.Lanes) + i);
                if (TElement.PerRegister == 2)
                {
                    TElement.High(bits).Store(left + (((2 * r) + 1) * Warp.Lanes) + i);
                }
            }
        }

        uint* transposed = stackalloc uint[Warp.Lanes];
        float* rows = right;
        for (int r = 0; r < blocks; r++)
        {
            Transpose(transposed, b[r]);
            for (int t = 0; t < Threads; t++)
            {
                Vector256<uint> bits = Vector256.Load(transposed + (t * MatrixForm.N));
                TElement.Low(bits).Store(rows);
                if (TElement.PerRegister == 2)
                {
                    TElement.High(bits).Store(rows + MatrixForm.N);
                }

                rows += TElement.PerRegister * MatrixForm.N;
            }
        }

        if (form.Accumulator == PtxType.F32)
        {
            Sum<TElement>(form, (float**)d, left, right, (float**)c);
            return;
        }

        float* sums = stackalloc float[4 * Warp.Lanes];
        float** registers = stackalloc float*[] { sums, sums + Warp.Lanes, sums + (2 * Warp.Lanes), sums + (3 * Warp.Lanes) };
        UnpackHalves(registers[0], c[0]);
        UnpackHalves(registers[2], c[1]);
        Sum<TElement>(form, registers, left, right, registers);
        PackHalves(d[0], registers[0]);
        PackHalves(d[1], registers[2]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sum<TElement>(in MatrixForm form, float** d, float* left, float* right, float** c)
        where TElement : IElement
    {
        if (form.Sums == MatrixSums.Aligned)
        {
            AlignedSums.MultiplyAdd(form, d, left, right, c);
        }
        else
        {
            MultiplyAdd<TElement>(form.RegistersOfB, d, left, right, c);
        }
    }

    /// <summary>16 rows: D's registers 0 and 1 are the even and the odd columns of rows 0 to 7, registers 2 and 3 those of rows 8 to 15.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyAdd<TElement>(int blocks, float** d, float* left, float* right, float** c)
        where TElement : IElement
    {
        // Eight sums at a time hide the latency of the multiply-add and share each load of B.
        for (int lanes = 0; lanes < Warp.Lanes; lanes += 4 * Threads)
        {
            Rows upper = new(c[0], c[1], lanes);
            Rows lower = new(c[2], c[3], lanes);
            float* factors = right;
            for (int block = 0; block < blocks; block++)
            {
                for (int t = 0; t < Threads; t++)
                {
                    float* elements = left + (block * 4 * Warp.Lanes) + lanes + t;
                    for (int i = 0; i < TElement.PerRegister; i++)
                    {
                        Vector256<float> factor = Vector256.Load(factors);
                        upper.MultiplyAdd(elements, factor);
                        lower.MultiplyAdd(elements + (2 * Warp.Lanes), factor);
                        factors += MatrixForm.N;
                        elements += Warp.Lanes;
                    }
                }
            }

            upper.Store(d[0], d[1], lanes);
            lower.Store(d[2], d[3], lanes);
        }
    }

    /// <summary>A row of C or D, in the working order.</summary>
    /// <param name="even">The register of the even columns.</param>
    /// <param name="odd">The register of the odd columns.</param>
    /// <param name="lanes">The row's first lane.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadRow(float* even, float* odd, int lanes) => Vector256.Create(Vector128.Load(even + lanes), Vector128.Load(odd + lanes));

    /// <summary>Stores a row of D.</summary>
    /// <param name="even">The register of the even columns.</param>
    /// <param name="odd">The register of the odd columns.</param>
    /// <param name="lanes">The row's first lane.</param>
    /// <param name="row">The row, in the working order.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRow(float* even, float* odd, int lanes, Vector256<float> row)
    {
        row.GetLower().Store(even + lanes);
        row.GetUpper().Store(odd + lanes);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyAddBytes(in MatrixForm form, int** d, uint** a, uint** b, int** c)
    {
        int* left = stackalloc int[16 * Warp.Lanes];
        int* right = stackalloc int[32 * MatrixForm.N];
        int registers = form.RegistersOfA;
        for (int r = 0; r < registers; r++)
        {
            for (int i = 0; i < Warp.Lanes; i += Vector256<int>.Count)
            {
                UnpackBytes(form.A, left + (4 * r * Warp.Lanes) + i, Warp.Lanes, Vector256.Load((int*)a[r] + i));
            }
        }

        int blocks = form.RegistersOfB;
        uint* transposed = stackalloc uint[Warp.Lanes];
        for (int r = 0; r < blocks; r++)
        {
            Transpose(transposed, b[r]);
            for (int t = 0; t < Threads; t++)
            {
                UnpackBytes(form.B, right + (((16 * r) + (4 * t)) * MatrixForm.N), MatrixForm.N, Vector256.Load((int*)transposed + (t * MatrixForm.N)));
            }
        }

        // A's registers alternate between rows 0 to 7 and rows 8 to 15, where there are such.
        int halves = form.M / Groups;
        for (int half = 0; half < halves; half++)
        {
            int* even = c[2 * half], odd = c[(2 * half) + 1];
            for (int lanes = 0; lanes < Warp.Lanes; lanes += Threads)
            {
                Vector256<int> sum = Vector256<int>.Zero;
                int* factors = right;
                for (int block = 0; block < blocks; block++)
                {
                    int* elements = left + (((block * halves) + half) * 4 * Warp.Lanes) + lanes;
                    for (int t = 0; t < Threads; t++)
                    {
                        for (int i = 0; i < 4; i++)
                        {
                            sum += Vector256.Create(elements[(i * Warp.Lanes) + t]) * Vector256.Load(factors);
                            factors += MatrixForm.N;
                        }
                    }
                }

                // The products' sum is below 2^31: only adding C can pass the limits.
                Vector256<int> accumulator = Vector256.Create(Vector128.Load(even + lanes), Vector128.Load(odd + lanes));
                sum = form.Saturate ? Vector256.AddSaturate(accumulator, sum) : accumulator + sum;
                sum.GetLower().Store(d[2 * half] + lanes);
                sum.GetUpper().Store(d[(2 * half) + 1] + lanes);
            }
        }
    }

    /// <summary>A register of f16 into two rows: the low halves, then the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackHalves(float* rows, uint* register)
    {
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            Vector256<uint> bits = Vector256.Load(register + i);
            HalfVectors.LowF16(bits).Store(rows + i);
            HalfVectors.HighF16(bits).Store(rows + Warp.Lanes + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackHalves(uint* register, float* rows)
    {
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            Vector256<uint> low = HalfVectors.ToF16(Vector256.Load(rows + i));
            (low | (HalfVectors.ToF16(Vector256.Load(rows + Warp.Lanes + i)) << 16)).Store(register + i);
        }
    }

    /// <summary>The four bytes of eight lanes, widened to s32, into four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackBytes(PtxType format, int* rows, int stride, Vector256<int> bits)
    {
        for (int i = 0; i < 4; i++)
        {
            Vector256<int> top = bits << (24 - (8 * i));
            (format == PtxType.S8 ? top >> 24 : top >>> 24).Store(rows + (i * stride));
        }
    }

    /// <summary>(8 columns n × 4 threads) to (4 threads × 8 columns in the working order).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(uint* destination, uint* register)
    {
        if (Avx2.IsSupported)
        {
            // A vector is the four threads of an even column and those of the next, odd one: both halves are transposed at once.
            Vector256<uint> n01 = Vector256.Load(register), n23 = Vector256.Load(register + 8);
            Vector256<uint> n45 = Vector256.Load(register + 16), n67 = Vector256.Load(register + 24);
            Vector256<ulong> low0123 = Avx2.UnpackLow(n01, n23).AsUInt64(), high0123 = Avx2.UnpackHigh(n01, n23).AsUInt64();
            Vector256<ulong> low4567 = Avx2.UnpackLow(n45, n67).AsUInt64(), high4567 = Avx2.UnpackHigh(n45, n67).AsUInt64();
            Avx2.UnpackLow(low0123, low4567).AsUInt32().Store(destination);
            Avx2.UnpackHigh(low0123, low4567).AsUInt32().Store(destination + 8);
            Avx2.UnpackLow(high0123, high4567).AsUInt32().Store(destination + 16);
            Avx2.UnpackHigh(high0123, high4567).AsUInt32().Store(destination + 24);
            return;
        }

        for (int n = 0; n < MatrixForm.N; n++)
        {
            int column = (n / 2) + (n % 2 * Threads);
            for (int t = 0; t < Threads; t++)
            {
                destination[(t * MatrixForm.N) + column] = register[(n * Threads) + t];
            }
        }
    }

    /// <summary>Four rows of C or D, eight columns each in the working order.</summary>
    private struct Rows
    {
        private Vector256<float> _first;
        private Vector256<float> _second;
        private Vector256<float> _third;
        private Vector256<float> _fourth;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Rows(float* even, float* odd, int lanes)
        {
            _first = LoadRow(even, odd, lanes);
            _second = LoadRow(even, odd, lanes + Threads);
            _third = LoadRow(even, odd, lanes + (2 * Threads));
            _fourth = LoadRow(even, odd, lanes + (3 * Threads));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void MultiplyAdd(float* elements, Vector256<float> factor)
        {
            _first = Vector256.FusedMultiplyAdd(Vector256.Create(elements[0]), factor, _first);
            _second = Vector256.FusedMultiplyAdd(Vector256.Create(elements[Threads]), factor, _second);
            _third = Vector256.FusedMultiplyAdd(Vector256.Create(elements[2 * Threads]), factor, _third);
            _fourth = Vector256.FusedMultiplyAdd(Vector256.Create(elements[3 * Threads]), factor, _fourth);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Store(float* even, float* odd, int lanes)
        {
            StoreRow(even, odd, lanes, HalfVectors.Canonicalize(_first));
            StoreRow(even, odd, lanes + Threads, HalfVectors.Canonicalize(_second));
            StoreRow(even, odd, lanes + (2 * Threads), HalfVectors.Canonicalize(_third));
            StoreRow(even, odd, lanes + (3 * Threads), HalfVectors.Canonicalize(_fourth));
        }
    }

    /// <summary>How elements lie in a 32-bit register.</summary>
    private interface IElement
    {
        static abstract int PerRegister { get; }

        static abstract Vector256<float> Low(Vector256<uint> bits);

        static abstract Vector256<float> High(Vector256<uint> bits);
    }

    private readonly struct F16 : IElement
    {
        public static int PerRegister => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Low(Vector256<uint> bits) => HalfVectors.LowF16(bits);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> High(Vector256<uint> bits) => HalfVectors.HighF16(bits);
    }

    private readonly struct BF16 : IElement
    {
        public static int PerRegister => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Low(Vector256<uint> bits) => HalfVectors.LowBF16(bits);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> High(Vector256<uint> bits) => HalfVectors.HighBF16(bits);
    }

    private readonly struct TF32 : IElement
    {
        public static int PerRegister => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Low(Vector256<uint> bits) => (bits & Vector256.Create(0xFFFFE000u)).AsSingle();

        public static Vector256<float> High(Vector256<uint> bits) => throw new NotSupportedException("A register holds one tf32.");
    }
}
