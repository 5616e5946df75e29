namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>transposed_convolution_4</c> and <c>_8</c>, for so many channels of y a thread: y[n, i·s − p + u, j·s − p + v, o] += x[n, i, j, c] · w[u, v, c, o], then bias
/// and f; maps (N, H, W, C), sums in fp32 whatever the types.
/// <para>Blocks of <see cref="Threads"/>, grid (<see cref="ColumnTiles"/> · ⌈YChannels / 4 or 8⌉, ⌈⌈YHeight / s⌉ / <see cref="TileRows"/>⌉, N · s²),
/// <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct TransposedConvolutionArguments
{
    /// <summary>Threads of a block: a warp a row.</summary>
    public const int Threads = 32 * TileRows;

    /// <summary>Rows of a block's results.</summary>
    public const int TileRows = 4;

    /// <summary>Columns of a block's results.</summary>
    public const int TileColumns = 128;

    /// <summary>Channels of x that are in shared memory at a time.</summary>
    public const int Chunk = 8;

    /// <summary>x.</summary>
    public long X;

    /// <summary>w [Kernel, Kernel, Channels, WeightColumns], float32, zero beyond YChannels.</summary>
    public long Weight;

    /// <summary>bias, float32, as long as w is wide; or 0.</summary>
    public long Bias;

    /// <summary>y.</summary>
    public long Y;

    /// <summary>Tiles along a row of the results of one phase.</summary>
    public Divisor ColumnTiles;

    /// <summary>s.</summary>
    public Divisor Stride;

    /// <summary>s².</summary>
    public Divisor Phases;

    /// <summary>p.</summary>
    public int Padding;

    /// <summary>Rows, and columns, of the kernel.</summary>
    public int Kernel;

    /// <summary>Rows of x.</summary>
    public int Height;

    /// <summary>Columns of x.</summary>
    public int Width;

    /// <summary>Channels of x.</summary>
    public int Channels;

    /// <summary>Distance of pixels of x in elements.</summary>
    public int XStride;

    /// <summary>Rows of y.</summary>
    public int YHeight;

    /// <summary>Columns of y.</summary>
    public int YWidth;

    /// <summary>Channels of y.</summary>
    public int YChannels;

    /// <summary>Distance of pixels of y in elements.</summary>
    public int YStride;

    /// <summary>YChannels, rounded up to a multiple of 8.</summary>
    public int WeightColumns;

    /// <summary>1 if YChannels, YStride and the address of y are multiples of four elements, else 0.</summary>
    public int Vectors;

    /// <summary>1 if Channels is a multiple of eight, and XStride and the address of x of four elements, else 0.</summary>
    public int PixelVectors;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;

    /// <summary>f.</summary>
    public EpilogueFunction Function;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;

    /// <summary>Taps of a kernel that meet one result, in one dimension, at most.</summary>
    public static int Taps(int kernel, int stride) => (kernel + stride - 1) / stride;

    /// <summary>
    /// Distance of channels in shared memory in floats: 4 more than a multiple of 32, so that eight channels of four neighbouring pixels are written to 32 different banks.
    /// </summary>
    public static int PlanePitch(int taps) => (((TileRows * (TileColumns + taps - 1)) + 27) / 32 * 32) + 4;

    /// <summary>Shared memory of a block: the pixels under one row of taps, and the taps, of some channels.</summary>
    public static int SharedBytes(int kernel, int stride, int outputs) =>
        Chunk * (PlanePitch(Taps(kernel, stride)) + (Taps(kernel, stride) * outputs)) * sizeof(float);
}
