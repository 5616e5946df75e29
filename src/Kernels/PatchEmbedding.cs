using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// Patch embedding: y[m] = f(W·vec(patch m) + b) · scale + residual; a Linear whose left operand is gathered from the pictures while it is copied to shared memory, in any order of a
/// patch's values. Grid, tiles and cost as <see cref="Linear"/>; the pictures are read once per column tile. Models: ViTAD, InTra, VT-ADL.
/// </summary>
internal static class PatchEmbedding
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        yield return Kernel("patch_embedding_fp32_64", Linear.ExactBytes64, 104, Exact<Exact64, AsyncCopy>, Exact<Exact64, DirectCopy>);
        yield return Kernel("patch_embedding_fp16_64", Linear.FastBytes64, 128, Fast<Fast64, HalfUnit, AsyncCopy>, Fast<Fast64, HalfUnitTuring, DirectCopy>);
        yield return Kernel("patch_embedding_tf32_64", Linear.FastBytes64, 128, Fast<Fast64, Tf32Unit, AsyncCopy>, null);

        static KernelDefinition Kernel(
            string name, int sharedBytes, int registers, Action<PatchEmbeddingArguments> ampere, Action<PatchEmbeddingArguments>? turing) =>
            KernelCatalog.Kernel(name, threads: 128, minBlocks: 4, sharedBytes, registers, ampere, turing);
    }

    /// <summary>fp32 in FFMA.</summary>
    public static void Exact<TTile, TCopy>(PatchEmbeddingArguments p)
        where TTile : struct, IExactTile
        where TCopy : struct, ICopy => Linear.ExactProduct<TTile, PatchRows8, TCopy>(p.Linear, new PatchRows8 { Patches = p });

    /// <summary>fp16 or tf32 on tensor cores.</summary>
    public static void Fast<TTile, TUnit, TCopy>(PatchEmbeddingArguments p)
        where TTile : struct, IFastTile
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy => Linear.FastProduct<TTile, PatchRows4, TUnit, TCopy>(p.Linear, new PatchRows4 { Patches = p });
}
