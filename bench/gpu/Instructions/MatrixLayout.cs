namespace KernelAD.GpuChecks.Instructions;

/// <summary>
/// Where the elements of a matrix product's operands are, from PTX ISA, "Matrix Fragments for mma.m16n8k…": registers hold four times as many consecutive
/// columns of A (rows of B) as
/// fit one register, spread over the four lanes of a group.
/// </summary>
/// <param name="K">Columns of A.</param>
/// <param name="PerRegister">Elements of a register: 1 of tf32, 2 of f16, 4 of s8.</param>
internal sealed record MatrixLayout(int K, int PerRegister)
{
    /// <summary>Registers of A.</summary>
    public int RegistersOfA => 2 * RegistersOfB;

    /// <summary>Registers of B.</summary>
    public int RegistersOfB => K / (4 * PerRegister);

    /// <summary>Input words of a lane: A, B, and four of C.</summary>
    public int Words => RegistersOfA + RegistersOfB + 4;

    /// <summary>Lane, word and place within the word of A[row, k].</summary>
    public (int Lane, int Word, int Part) A(int row, int k) =>
        ((4 * (row % 8)) + (k % (4 * PerRegister) / PerRegister), (row / 8) + (2 * (k / (4 * PerRegister))), k % PerRegister);

    /// <summary>Lane, word and place within the word of B[k, column].</summary>
    public (int Lane, int Word, int Part) B(int k, int column) =>
        ((4 * column) + (k % (4 * PerRegister) / PerRegister), RegistersOfA + (k / (4 * PerRegister)), k % PerRegister);

    /// <summary>Lane and word of C[row, column]; D is the same without the words before C.</summary>
    public (int Lane, int Word) C(int row, int column) => ((4 * (row % 8)) + (column / 2), RegistersOfA + RegistersOfB + (2 * (row / 8)) + (column % 2));

    /// <summary>Row and column of a lane's result word.</summary>
    public static (int Row, int Column) D(int lane, int word) => ((lane / 4) + (8 * (word / 2)), (2 * (lane % 4)) + (word % 2));
}
