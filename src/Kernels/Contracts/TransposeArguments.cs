namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>transpose</c>: y[n, c, r] = x[n, r, c] through tiles of <see cref="Side"/> squared in shared memory, so that both sides are
/// accessed along their rows.
/// <para>Blocks of <see cref="Threads"/>, grid (⌈Columns / Side⌉, ⌈YColumns / Side⌉, N), <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct TransposeArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Side of a tile.</summary>
    public const int Side = 32;

    /// <summary>Shared memory of a block: a tile whose rows are one float longer.</summary>
    public const int SharedBytes = Side * (Side + 1) * sizeof(float);

    /// <summary>x.</summary>
    public long X;

    /// <summary>y, not x.</summary>
    public long Y;

    /// <summary>Distance in elements of the matrices of x.</summary>
    public long XBatchStride;

    /// <summary>Distance in elements of the matrices of y.</summary>
    public long YBatchStride;

    /// <summary>Rows of x.</summary>
    public int Rows;

    /// <summary>Columns of x, rows of y.</summary>
    public int Columns;

    /// <summary>Columns of y that are written, those from Rows on as zeros. At least Rows.</summary>
    public int YColumns;

    /// <summary>Distance of rows of x.</summary>
    public int XStride;

    /// <summary>Distance of rows of y.</summary>
    public int YStride;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
