namespace KernelAD.Kernels;

/// <summary>
/// Arguments of the kernels that slide a window over each channel of maps (N, H, W, C): <c>depthwise</c>, y = f(bias + Σ x · w) + residual or f of all, and <c>max_pool</c>. Dense but for
/// the distance of pixels; sums in fp32 whatever the types.
/// <para>Blocks of <see cref="Threads"/>, grid ⌈Units / Threads⌉, no shared memory. A unit is <see cref="Columns"/> results side by side of one or four channels.</para>
/// </summary>
internal struct WindowArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Results side by side that a thread computes.</summary>
    public const int Columns = 4;

    /// <summary>x.</summary>
    public long X;

    /// <summary>w [KernelHeight, KernelWidth, C], float32; 0 if there is none.</summary>
    public long Weight;

    /// <summary>bias [C], float32; or 0.</summary>
    public long Bias;

    /// <summary>What is added, float32; or 0. Not for max_pool.</summary>
    public long Residual;

    /// <summary>y, not x.</summary>
    public long Y;

    /// <summary>Units along the channels: C, or C/4 with vectors.</summary>
    public Divisor ChannelUnits;

    /// <summary>Units along a row of y.</summary>
    public Divisor ColumnUnits;

    /// <summary>Rows of y.</summary>
    public Divisor YHeight;

    /// <summary>N · YHeight · ColumnUnits · ChannelUnits, below 2^31.</summary>
    public int Units;

    /// <summary>Rows of x.</summary>
    public int Height;

    /// <summary>Columns of x.</summary>
    public int Width;

    /// <summary>Columns of y.</summary>
    public int YWidth;

    /// <summary>Distance of pixels of x in elements.</summary>
    public int XStride;

    /// <summary>Distance of pixels of y in elements.</summary>
    public int YStride;

    /// <summary>Distance of pixels of the residual in elements.</summary>
    public int ResidualStride;

    /// <summary>Rows of the window.</summary>
    public int KernelHeight;

    /// <summary>Columns of the window.</summary>
    public int KernelWidth;

    /// <summary>Distance of windows.</summary>
    public int Stride;

    /// <summary>Rows beyond the border above x.</summary>
    public int Top;

    /// <summary>Columns beyond the border to the left of x.</summary>
    public int Left;

    /// <summary>C.</summary>
    public int Channels;

    /// <summary>1: C, the distances of pixels and all addresses are multiples of four elements, and a unit has four channels. 0: it has one.</summary>
    public int Vectors;

    /// <summary>f (depthwise).</summary>
    public EpilogueFunction Function;

    /// <summary>1 if f is applied to the sum with the residual, else 0.</summary>
    public int ActivateSum;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;
}
