namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>structural_similarity</c>: with E a separable filter that sees zeros beyond the border, μ = E[x], σ² = E[x²] − μ² and σ_ab = E[ab] − μ_a·μ_b,
/// (2·μ_a·μ_b + c₁)·(2·σ_ab + c₂) / ((μ_a² + μ_b² + c₁)·(σ_a² + σ_b² + c₂)), plane by plane; float32, dense.
/// <para>Blocks of <see cref="Threads"/>, grid (⌈Width / <see cref="TileColumns"/>⌉, ⌈Height / <see cref="TileRows"/>⌉, planes of one launch, up to 65535),
/// <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct StructuralSimilarityArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block's results.</summary>
    public const int TileRows = 8;

    /// <summary>Columns of a block's results.</summary>
    public const int TileColumns = 32;

    /// <summary>Moments: of a, of b, of their squares and of their product.</summary>
    public const int Moments = 5;

    /// <summary>a [planes, Height, Width].</summary>
    public long A;

    /// <summary>b, likewise.</summary>
    public long B;

    /// <summary>y, likewise; neither a nor b.</summary>
    public long Y;

    /// <summary>The filter's taps.</summary>
    public long Taps;

    /// <summary>TileColumns + 2·Radius: columns of a block with its margins.</summary>
    public Divisor Columns;

    /// <summary>Taps on each side of the middle.</summary>
    public int Radius;

    /// <summary>Rows of a plane.</summary>
    public int Height;

    /// <summary>Columns of a plane.</summary>
    public int Width;

    /// <summary>c₁.</summary>
    public float C1;

    /// <summary>c₂.</summary>
    public float C2;

    /// <summary>Shared memory of a block: the taps, and the moments after the first pass.</summary>
    public static int SharedBytes(int radius) => ((2 * radius) + 1 + (Moments * TileRows * (TileColumns + (2 * radius)))) * sizeof(float);
}
