namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>patches</c>: y[m, k] = value k of patch m of float pictures (N, C, H, W), in any order of a patch's values; zeros from K to the row's end.
/// <para>Blocks of <see cref="Threads"/>, grid ⌈Rows · RowUnits / Threads⌉, no shared memory. A unit is four neighbouring values.</para>
/// </summary>
internal struct PatchArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>The first picture; together they are below 4 GB.</summary>
    public long X;

    /// <summary>int32 table: bytes from a patch's first pixel in channel 0 to its value k.</summary>
    public long Distances;

    /// <summary>y, aligned to four elements.</summary>
    public long Y;

    /// <summary>Units of a row: YStride / 4.</summary>
    public Divisor RowUnits;

    /// <summary>Patches side by side.</summary>
    public Divisor PatchColumns;

    /// <summary>Patches of a picture.</summary>
    public Divisor PatchesPerPicture;

    /// <summary>Rows: patches of all pictures. Rows · RowUnits is below 2^31.</summary>
    public int Rows;

    /// <summary>Values of a patch.</summary>
    public int K;

    /// <summary>Distance of rows in elements, a multiple of four.</summary>
    public int YStride;

    /// <summary>Bytes of a picture.</summary>
    public int PictureBytes;

    /// <summary>Bytes from a patch to the one below it: patch height · W · 4.</summary>
    public int PatchRowBytes;

    /// <summary>Bytes from a patch to the one beside it: patch width · 4.</summary>
    public int PatchColumnBytes;

    /// <summary>Type of y.</summary>
    public StorageType Type;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;
}
