using System.Runtime.Intrinsics;

namespace KernelAD.Backends.Cpu;

/// <summary>How the products of layers and convolutions are cut so that what is read again and again stays in the second-level cache.</summary>
internal static class ProductBlocking
{
    /// <summary>
    /// Columns (K) that are multiplied at a time, about; what is longer goes in sections. A section more is a round more through the product: at 1024³ sections of
    /// 512 columns reach 82 % of the FMA peak, one of 1024 89 %. Longer ones let rounding grow: with 2048, VT-ADL's capsules leave the tolerance of the golden data.
    /// Sections depend on K alone, so that the order of additions is the same for every matrix.
    /// </summary>
    public const int SectionColumns = 1024;

    /// <summary>Multiply-adds of a part, about: long enough for handing it out to cost nothing, short enough for an even load.</summary>
    public const long PartWork = 12_000_000;

    /// <summary>Parts of a step at least, where its shape allows.</summary>
    public const int FewestParts = 12;

    /// <summary>
    /// Bytes of the left operand's rows that are multiplied with one panel after another. With AVX2 they stay in a second-level cache of half a megabyte. With AVX-512 a
    /// panel has twice the columns and takes sixteen tiles to fetch the next one (<see cref="GemmKernels.PrefetchedPerBlock"/>); rows that leave the cache meanwhile
    /// are fetched ahead too.
    /// </summary>
    public static int RowBytes => Vector512.IsHardwareAccelerated ? 1024 * 1024 : 256 * 1024;
}
