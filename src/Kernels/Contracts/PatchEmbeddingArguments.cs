namespace KernelAD.Kernels;

/// <summary>
/// Arguments of the patch embedding kernels: a Linear whose row m is patch m of float pictures (N, C, H, W). Its X is the first picture; XStride is not used.
/// Pictures together are below 4 GB.
/// </summary>
internal struct PatchEmbeddingArguments
{
    /// <summary>The projection: M = patches of all pictures, K = values of a patch.</summary>
    public LinearArguments Linear;

    /// <summary>int32 table: bytes from a patch's first pixel in channel 0 to its value k; zeros from K to the next multiple of 32.</summary>
    public long Distances;

    /// <summary>Bytes of a picture.</summary>
    public int PictureBytes;

    /// <summary>Bytes from a patch to the one below it: patch height · W · 4.</summary>
    public int PatchRowBytes;

    /// <summary>Bytes from a patch to the one beside it: patch width · 4.</summary>
    public int PatchColumnBytes;

    /// <summary>Patches side by side.</summary>
    public int PatchColumns;

    /// <summary>Patches of a picture.</summary>
    public int PatchesPerPicture;
}
