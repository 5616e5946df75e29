namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>squeeze</c> and <c>excite</c>, one after the other: y = x · g of maps (N, pixels, C), with a factor for each channel of a map, g = sigmoid(W₂·s + b₂), that follows from the
/// means over its pixels, s = swish(W₁·mean(x) + b₁). Sums are in fp32, always in the same order.
/// <para>Both have a block for each <see cref="Columns"/> channels of each part of a map's pixels, grid N · Parts · ColumnTiles, of <see cref="Threads"/> with <see cref="SharedBytes"/> of shared
/// memory. <c>squeeze</c> writes what the block's pixels and channels add to W₁·mean(x), <c>excite</c> adds that up over the map and multiplies the block's values.</para>
/// </summary>
internal struct SqueezeExciteArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 512;

    /// <summary>Warps of a block.</summary>
    public const int BlockWarps = Threads / 32;

    /// <summary>Channels of a block.</summary>
    public const int Columns = 32;

    /// <summary>Pixels that a block takes at once: a thread has four channels.</summary>
    public const int PixelsAtOnce = Threads / (Columns / 4);

    /// <summary>Most squeezed values: a thread has one.</summary>
    public const int MaxSqueezed = Threads;

    /// <summary>Shared memory of a block: a number for each thread, the squeezed values, and a number for each channel.</summary>
    public const int SharedBytes = (Threads + MaxSqueezed + Columns) * sizeof(float);

    /// <summary>x, dense.</summary>
    public long X;

    /// <summary>y, dense.</summary>
    public long Y;

    /// <summary>W₁ [Squeezed, PaddedChannels], float32, zero beyond Channels.</summary>
    public long SqueezeWeight;

    /// <summary>b₁ [Squeezed], float32.</summary>
    public long SqueezeBias;

    /// <summary>W₂ transposed [Squeezed, PaddedChannels], float32.</summary>
    public long ExciteWeight;

    /// <summary>b₂ [PaddedChannels], float32.</summary>
    public long ExciteBias;

    /// <summary>The sums of blocks [N, Parts · ColumnTiles, Squeezed], float32.</summary>
    public long Sums;

    /// <summary>Tiles of <see cref="Columns"/> that cover the channels.</summary>
    public Divisor ColumnTiles;

    /// <summary>Blocks of a map: parts · ColumnTiles.</summary>
    public Divisor MapBlocks;

    /// <summary>Length of s, at most <see cref="MaxSqueezed"/>.</summary>
    public Divisor Squeezed;

    /// <summary>Threads that share the addition of a squeezed value's sums; together at most <see cref="Threads"/>.</summary>
    public Divisor SumSlices;

    /// <summary>Pixels of a map.</summary>
    public int Pixels;

    /// <summary>Pixels of a part; the last part has what remains, at least one.</summary>
    public int PartPixels;

    /// <summary>C.</summary>
    public int Channels;

    /// <summary>C, rounded up to whole tiles.</summary>
    public int PaddedChannels;

    /// <summary>1 / pixels.</summary>
    public float Scale;

    /// <summary>1 if C and the addresses of x and y are multiples of four elements, else 0.</summary>
    public int Vectors;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
