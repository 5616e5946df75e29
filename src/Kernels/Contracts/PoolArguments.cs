namespace KernelAD.Kernels;

/// <summary>How a window becomes one number.</summary>
internal enum PoolOperation
{
    /// <summary>Sum by the window's full size: the padding counts as zeros.</summary>
    Average,

    /// <summary>Sum by the number of pixels within the picture.</summary>
    AverageInside,

    /// <summary>The largest pixel within the picture; NaN if one of them is NaN.</summary>
    Max,
}

/// <summary>
/// Arguments of <c>pool</c>: pools planes with square windows, (H + 2·Padding − Kernel) / Stride + 1 rows and columns likewise, down the columns
/// first, then along the rows; float32, dense.
/// <para>Blocks of <see cref="Threads"/>, grid (⌈YWidth / 2^TileShift⌉, ⌈YHeight / <see cref="TileRows"/>⌉, planes of one launch, up to 65535),
/// <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct PoolArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block's results.</summary>
    public const int TileRows = 8;

    /// <summary>x [planes, Height, Width].</summary>
    public long X;

    /// <summary>y [planes, YHeight, YWidth], not x.</summary>
    public long Y;

    /// <summary>Rows of a plane of x.</summary>
    public int Height;

    /// <summary>Columns of a plane of x.</summary>
    public int Width;

    /// <summary>Rows of a plane of y.</summary>
    public int YHeight;

    /// <summary>Columns of a plane of y.</summary>
    public int YWidth;

    /// <summary>Side of the window.</summary>
    public int Kernel;

    /// <summary>Distance of windows.</summary>
    public int Stride;

    /// <summary>Width of the margin around a plane of x, at most half of the window.</summary>
    public int Padding;

    /// <summary>Columns of a block's results: 2^TileShift, see <see cref="TileShiftFor"/>.</summary>
    public int TileShift;

    /// <summary>The operation.</summary>
    public PoolOperation Operation;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;

    /// <summary>
    /// The largest tile, up to 64 columns, whose <see cref="SharedBytes"/> are within 48 KB; a window of more than 1536 pixels a side has none that
    /// is.
    /// </summary>
    public static int TileShiftFor(int kernel, int stride)
    {
        int shift = 6;
        while (shift > 0 && SharedBytes(kernel, stride, shift) > 48 * 1024)
        {
            shift--;
        }

        return shift;
    }

    /// <summary>Shared memory of a block: the columns under its windows after the first pass.</summary>
    public static int SharedBytes(int kernel, int stride, int tileShift) => TileRows * ((((1 << tileShift) - 1) * stride) + kernel) * sizeof(float);
}
