namespace KernelAD.Kernels;

/// <summary>
/// Arguments of the functions of rows of any width: <c>softmax</c>, y[r, c] = e^(x[r, c] − m) / Σ_c e^(x[r, c] − m) with m the row's maximum, and <c>squash</c>,
/// y[r] = |x[r]|² / (1 + |x[r]|²) · x[r] / |x[r]|, NaN where x[r] = 0.
/// <para>Blocks of <see cref="Threads"/>, grid ⌈Rows / <see cref="RowsPerBlock"/>⌉, no shared memory.</para>
/// </summary>
internal struct RowArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block: one a warp.</summary>
    public const int RowsPerBlock = Threads / 32;

    /// <summary>x.</summary>
    public long X;

    /// <summary>y. May be x if the types are the same.</summary>
    public long Y;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns.</summary>
    public int Width;

    /// <summary>Distance of rows of x in elements.</summary>
    public int XStride;

    /// <summary>Distance of rows of y in elements.</summary>
    public int YStride;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
