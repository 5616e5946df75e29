namespace KernelAD.Kernels;

/// <summary>What a filter sees beyond the border.</summary>
internal enum FilterBorder
{
    /// <summary>Zeros.</summary>
    Zero,

    /// <summary>The picture mirrored with its edge pixels repeated, as often as the filter reaches.</summary>
    Reflect,
}

/// <summary>
/// Arguments of <c>separable_filter</c>: correlates planes with the same 2·Radius + 1 taps down the columns, then along the rows; float32, dense.
/// <para>Blocks of <see cref="Threads"/>, grid (⌈Width / <see cref="TileColumns"/>⌉, ⌈Height / <see cref="TileRows"/>⌉, planes of one launch, up to 65535),
/// <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct FilterArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Columns of a block's results.</summary>
    public const int TileColumns = 64;

    /// <summary>Rows of a block's results.</summary>
    public const int TileRows = 8;

    /// <summary>x [planes, Height, Width].</summary>
    public long X;

    /// <summary>y, likewise; not x.</summary>
    public long Y;

    /// <summary>The taps, float32.</summary>
    public long Taps;

    /// <summary>Taps before and after the middle one.</summary>
    public int Radius;

    /// <summary>Rows of a plane.</summary>
    public int Height;

    /// <summary>Columns of a plane.</summary>
    public int Width;

    /// <summary>The border.</summary>
    public FilterBorder Border;

    /// <summary>Shared memory of a block: the tile with its margins after the first pass, and the taps. Within 48 KB up to a radius of 654.</summary>
    public static int SharedBytes(int radius) => ((TileRows * (TileColumns + (2 * radius))) + (2 * radius) + 1) * sizeof(float);
}
