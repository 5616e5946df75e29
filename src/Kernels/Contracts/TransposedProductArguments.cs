namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>transposed_convolution_fp16_…</c> and <c>_tf32_…</c>: a transposed convolution as a convolution over x whose windows each give a square block of results. The product's
/// row m is a block, its column n is result (row, element) of it, n = row · <see cref="RowColumns"/> + element, where an element is a channel of a pixel; the weight is zero where a result
/// does not meet a pixel of the window. Blocks go beyond y on all sides; y is dense.
/// <para>Grid as the Linear kernels' without splits; no scale, no residual.</para>
/// </summary>
internal struct TransposedProductArguments
{
    /// <summary>
    /// The convolution. Its result's pixels are blocks: M = blocks of all pictures, N = rows of a block · <see cref="RowColumns"/>. Vectors is 1 if <see cref="RowElements"/>,
    /// <see cref="YRowElements"/> and the address of y are multiples of four elements. YStride is not used.
    /// </summary>
    public ConvolutionArguments Convolution;

    /// <summary>Columns of the product for a row of a block: <see cref="RowElements"/>, rounded up to a multiple of 4.</summary>
    public Divisor RowColumns;

    /// <summary>Elements of a row of a block: its pixels · channels of y.</summary>
    public int RowElements;

    /// <summary>Rows of a block.</summary>
    public int BlockRows;

    /// <summary>Rows of the first blocks above y.</summary>
    public int RowsAbove;

    /// <summary>Elements of the first blocks to the left of y, a multiple of 4: four that are stored at once are all there, or all not.</summary>
    public int ElementsBefore;

    /// <summary>Rows of y.</summary>
    public int YRows;

    /// <summary>Elements of a row of y: columns · channels.</summary>
    public int YRowElements;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;
}
