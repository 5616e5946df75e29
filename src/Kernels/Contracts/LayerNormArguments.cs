namespace KernelAD.Kernels;

/// <summary>
/// Arguments of LayerNorm: s = x + residual, y = (s − mean) / √(var + ε) · weight + bias over the columns of each row, biased variance. x, residual,
/// weight, bias and sum are float32. Addresses are device addresses, 0 where the operand is absent; strides are in elements.
/// <para><c>layer_norm_row</c> keeps a row in registers: Columns at most <see cref="RowWidth"/>; Width, Columns and all strides multiples of 4, all
/// addresses aligned to four elements. <c>layer_norm_loop</c>: any. Both: blocks of <see cref="Threads"/>, grid ⌈Rows / <see cref="RowsPerBlock"/>⌉,
/// no shared memory.</para>
/// </summary>
internal struct LayerNormArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block: one a warp.</summary>
    public const int RowsPerBlock = Threads / 32;

    /// <summary>Widest row that fits the registers.</summary>
    public const int RowWidth = 1024;

    /// <summary>x.</summary>
    public long X;

    /// <summary>residual; or 0.</summary>
    public long Residual;

    /// <summary>Receives s; or 0. May be x or the residual.</summary>
    public long Sum;

    /// <summary>weight.</summary>
    public long Weight;

    /// <summary>bias.</summary>
    public long Bias;

    /// <summary>y.</summary>
    public long Y;

    /// <summary>Receives y as float32 too, for a reader other than a matrix product; or 0. Not x.</summary>
    public long Plain;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns that are normalised.</summary>
    public int Width;

    /// <summary>Columns of y that are written, those from Width on as zeros. At least Width.</summary>
    public int Columns;

    /// <summary>Distance of rows of x.</summary>
    public int XStride;

    /// <summary>Distance of rows of the residual.</summary>
    public int ResidualStride;

    /// <summary>Distance of rows of the sum.</summary>
    public int SumStride;

    /// <summary>Distance of rows of y.</summary>
    public int YStride;

    /// <summary>Distance of rows of the plain result.</summary>
    public int PlainStride;

    /// <summary>ε.</summary>
    public float Epsilon;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
