namespace KernelAD.Emulator;

/// <summary>
/// A form of <c>mma.sync.aligned.mMnNkK.row.col</c>: D = A·B + C over one warp, A of M rows and K columns, B of K rows and N = 8 columns, C and D of M rows.
/// </summary>
/// <param name="M">Rows of A and D.</param>
/// <param name="K">Columns of A, rows of B.</param>
/// <param name="A">Type of A's elements.</param>
/// <param name="B">Type of B's elements.</param>
/// <param name="Accumulator">Type of the elements of C and D.</param>
/// <param name="Saturate">Whether integer sums stop at the limits (<c>.satfinite</c>) instead of wrapping.</param>
/// <param name="Sums">How floating-point products are added: PTX leaves that to the architecture.</param>
internal readonly record struct MatrixForm(
    int M, int K, PtxType A, PtxType B, PtxType Accumulator, bool Saturate = false, MatrixSums Sums = MatrixSums.Sequential)
{
    /// <summary>Columns of B and D; PTX has no other for these types.</summary>
    public const int N = 8;

    /// <summary>Whether PTX ISA 7.8 has the form and it is implemented.</summary>
    public bool IsSupported => (A, B, Accumulator, M, K) switch
    {
        (PtxType.F16, PtxType.F16, PtxType.F32 or PtxType.F16, 16, 8 or 16) => !Saturate,
        (PtxType.BF16, PtxType.BF16, PtxType.F32, 16, 8 or 16) => !Saturate,
        (PtxType.TF32, PtxType.TF32, PtxType.F32, 16, 4 or 8) => !Saturate,
        (PtxType.S8 or PtxType.U8, PtxType.S8 or PtxType.U8, PtxType.S32, 8, 16) => true,
        (PtxType.S8 or PtxType.U8, PtxType.S8 or PtxType.U8, PtxType.S32, 16, 16 or 32) => true,
        _ => false,
    };

    /// <summary>Elements of A or B that a register holds.</summary>
    public int PerRegister => 32 / BitsOf(A);

    /// <summary>32-bit registers that hold A.</summary>
    public int RegistersOfA => M * K * BitsOf(A) / (32 * Warp.Lanes);

    /// <summary>32-bit registers that hold B.</summary>
    public int RegistersOfB => N * K * BitsOf(B) / (32 * Warp.Lanes);

    /// <summary>32-bit registers that hold C, or D.</summary>
    public int RegistersOfC => M * N * BitsOf(Accumulator) / (32 * Warp.Lanes);

    /// <summary>Multiplications and additions of one instruction, counted as profilers do.</summary>
    public int Operations => 2 * M * N * K;

    /// <summary>The form as PTX writes it, e.g. <c>m16n8k16.f32.f16.f16.f32</c>, and its sums if they are aligned.</summary>
    public override string ToString() =>
        $"m{M}n{N}k{K}.{Accumulator}.{A}.{B}.{Accumulator}{(Saturate ? ".satfinite" : "")}".ToLowerInvariant()
        + (Sums == MatrixSums.Aligned ? ", aligned sums" : "");

    private static int BitsOf(PtxType format) => format switch
    {
        PtxType.S8 or PtxType.U8 => 8,
        PtxType.F16 or PtxType.BF16 => 16,
        _ => 32,
    };
}
