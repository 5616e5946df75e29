namespace KernelAD.Kernels;

/// <summary>
/// Arguments of the convolution kernels: a Linear whose row m is the window of result pixel m over float, tf32 or half maps (N, H, W, C), and whose K is tap · C + channel. The windows
/// exist nowhere: value k lies at a distance from the window's first pixel that a table gives, and what lies beyond the border is zero. Its X is where the first
/// window begins, be it beyond the border: the first map less <see cref="Top"/> rows and <see cref="Left"/> columns. Maps together are below 4 GB, windows at most
/// <see cref="MaxKernel"/> rows high and wide.
/// </summary>
internal struct ConvolutionArguments
{
    /// <summary>Largest extent of a window: rows and columns share the 32 bits of <see cref="TapFlags"/>.</summary>
    public const int MaxKernel = 16;

    /// <summary>Tiles along K that the table has to be longer than the product.</summary>
    public const int TableTiles = 4;

    /// <summary>The product: M = pixels of all results, K = values of a window. XStride is not used.</summary>
    public LinearArguments Linear;

    /// <summary>
    /// The table, for each value (fp32) or each 16 bytes of values (tensor cores): int32 bytes from the window's first value, and <see cref="TapFlags"/>; then zeros.
    /// </summary>
    public long Taps;

    /// <summary>Columns of the result.</summary>
    public Divisor Columns;

    /// <summary>Pixels of one result.</summary>
    public Divisor Pixels;

    /// <summary>Bytes of a map.</summary>
    public int PictureBytes;

    /// <summary>Bytes from a window to the one below it.</summary>
    public int WindowRowBytes;

    /// <summary>Bytes from a window to the one beside it.</summary>
    public int WindowColumnBytes;

    /// <summary>Distance of windows in pixels.</summary>
    public int Stride;

    /// <summary>Rows of zeros above a map.</summary>
    public int Top;

    /// <summary>Columns of zeros to the left of a map.</summary>
    public int Left;

    /// <summary>Rows of a map.</summary>
    public int Height;

    /// <summary>Columns of a map.</summary>
    public int Width;

    /// <summary>The bits of a tap; a window has a bit set for each of its rows and columns that lies within the map.</summary>
    public static int TapFlags(int row, int column) => (1 << row) | (1 << (MaxKernel + column));
}
