namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>gather</c>: y[i, b, :] = x[n, indices[a·B + b], :] for the items i = n·A + a from FirstItem on. Rows are moved as bits, in units
/// of 16 bytes or of one element.
/// <para>Blocks of <see cref="Threads"/>, grid ⌈Rows / <see cref="RowsPerBlock"/>⌉, no shared memory.</para>
/// </summary>
internal struct GatherArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Rows of a block: one a warp.</summary>
    public const int RowsPerBlock = Threads / 32;

    /// <summary>x [N, TableRows, Width].</summary>
    public long X;

    /// <summary>The A·B row numbers, int32.</summary>
    public long Indices;

    /// <summary>y; its first row is that of the first item.</summary>
    public long Y;

    /// <summary>A·B.</summary>
    public Divisor IndexCount;

    /// <summary>FirstItem·B: the first row that is gathered.</summary>
    public int FirstRow;

    /// <summary>Rows to gather: items times B. FirstRow + Rows is below 2^31.</summary>
    public int Rows;

    /// <summary>Rows of the table of one picture.</summary>
    public int TableRows;

    /// <summary>Bytes of a unit: 16 where addresses, width and strides allow it, else the element's 2 or 4.</summary>
    public int UnitBytes;

    /// <summary>Units of a row.</summary>
    public int Width;

    /// <summary>Distance of rows of x in units.</summary>
    public int XStride;

    /// <summary>Distance of rows of y in units.</summary>
    public int YStride;
}
