namespace KernelAD.Kernels;

/// <summary>How many numbers become one.</summary>
internal enum ReduceOperation
{
    /// <summary>Their sum; the mean with a scale of 1/count.</summary>
    Sum,

    /// <summary>The largest; NaN if one of them is NaN.</summary>
    Max,
}

/// <summary>
/// Arguments of the reductions: y[o, i] = scale · ⊕ x[o, :, i] over the middle one of three extents. Always in the same order.
/// <para>The middle extent is cut into Parts of PartLength elements, each reduced on its own to y[o, part, i]: one part for the result itself, several and a
/// second launch over extents of length Parts where results are few and long (then the scale belongs to the second).</para>
/// <para><c>reduce_rows</c>, Inner = 1: x is rows of Length contiguous elements. A part is reduced by a block (TeamWarps = <see cref="BlockWarps"/>: grid Outer·Parts)
/// or by a warp (TeamWarps = 1: grid ⌈Outer·Parts / <see cref="BlockWarps"/>⌉).</para>
/// <para><c>reduce_columns</c>: a block a part of <see cref="Columns"/> results, grid Outer·Parts·ColumnTiles.</para>
/// Both: blocks of <see cref="Threads"/>, <see cref="SharedBytes"/> of shared memory for reduce_rows, <see cref="ColumnSharedBytes"/> for reduce_columns.
/// </summary>
internal struct ReduceArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Warps of a block.</summary>
    public const int BlockWarps = Threads / 32;

    /// <summary>Shared memory of a block of reduce_rows.</summary>
    public const int SharedBytes = BlockWarps * sizeof(float);

    /// <summary>Results of a block of reduce_columns.</summary>
    public const int Columns = 32;

    /// <summary>Shared memory of a block of reduce_columns.</summary>
    public const int ColumnSharedBytes = BlockWarps * Columns * sizeof(float);

    /// <summary>x.</summary>
    public long X;

    /// <summary>y, dense.</summary>
    public long Y;

    /// <summary>Distance in elements along the outer extent of x.</summary>
    public long OuterStride;

    /// <summary>Extent before the reduced one.</summary>
    public int Outer;

    /// <summary>The reduced extent, at least 1.</summary>
    public int Length;

    /// <summary>Tiles of <see cref="Columns"/> that cover Inner (reduce_columns). Outer·Parts·ColumnTiles is below 2^31.</summary>
    public Divisor ColumnTiles;

    /// <summary>Extent after the reduced one, contiguous.</summary>
    public int Inner;

    /// <summary>Distance in elements along the reduced extent of x (reduce_columns).</summary>
    public int LengthStride;

    /// <summary>Parts of the reduced extent.</summary>
    public Divisor Parts;

    /// <summary>Elements of a part; the last part has what remains, at least one.</summary>
    public int PartLength;

    /// <summary>Warps that reduce a part: 1 or <see cref="BlockWarps"/> (reduce_rows).</summary>
    public int TeamWarps;

    /// <summary>⊕.</summary>
    public ReduceOperation Operation;

    /// <summary>scale.</summary>
    public float Scale;

    /// <summary>Type of x.</summary>
    public StorageType XType;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
