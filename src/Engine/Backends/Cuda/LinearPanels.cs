using System.Runtime.InteropServices;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// How the Linear kernels want a weight W (N, K): panels of 64 columns of the result, N padded to a multiple of 128 and K to whole tiles with zeros. A
/// tile of a
/// panel is 4096 contiguous bytes: [16 of K][64 columns] floats for the exact kernels, [64 columns][64 bytes along K] for the tensor cores'.
/// </summary>
internal static class LinearPanels
{
    /// <summary>Columns of a panel.</summary>
    public const int Columns = 64;

    private const int ColumnGranularity = 128;
    private const int TileBytes = 4096;

    /// <summary>Columns with padding: every kernel's tile has whole panels.</summary>
    public static int PaddedColumns(int n) => checked(n + ColumnGranularity - 1) / ColumnGranularity * ColumnGranularity;

    /// <summary>Elements of a tile along K.</summary>
    public static int TileLength(StorageType type) => TileBytes / Columns / type.Bytes();

    /// <summary>Tiles along K.</summary>
    public static int Tiles(int k, StorageType type) => (k + TileLength(type) - 1) / TileLength(type);

    /// <summary>Bytes of a panel.</summary>
    public static int PanelBytes(int k, StorageType type) => checked(Tiles(k, type) * TileBytes);

    /// <summary>Packs one panel.</summary>
    /// <param name="rows">Rows of W, K floats each; at most 64, none in a panel of padding.</param>
    /// <param name="k">K.</param>
    /// <param name="type">The operands' type.</param>
    /// <param name="panel">Receives the panel.</param>
    /// <returns>Whether every value exists in the type: float16 ends at 65504.</returns>
    public static bool Pack(ReadOnlySpan<float> rows, int k, StorageType type, Span<byte> panel)
    {
        panel.Clear();
        int count = rows.Length / k, tile = TileLength(type);
        bool representable = true;
        for (int column = 0; column < count; column++)
        {
            ReadOnlySpan<float> row = rows.Slice(column * k, k);
            for (int start = 0; start < k; start += tile)
            {
                ReadOnlySpan<float> values = row.Slice(start, Math.Min(tile, k - start));
                Span<byte> target = panel.Slice(start / tile * TileBytes, TileBytes);
                if (type == StorageType.Half)
                {
                    Span<Half> halves = MemoryMarshal.Cast<byte, Half>(target)[(column * tile)..];
                    for (int i = 0; i < values.Length; i++)
                    {
                        halves[i] = (Half)values[i];
                        representable &= Half.IsFinite(halves[i]);
                    }
                }
                else
                {
                    Span<float> floats = MemoryMarshal.Cast<byte, float>(target);
                    for (int i = 0; i < values.Length; i++)
                    {
                        int at = type == StorageType.Float ? (i * Columns) + column : (column * tile) + i;
                        floats[at] = type == StorageType.Float ? values[i] : RoundToTf32(values[i]);
                    }
                }
            }
        }

        return representable;
    }

    /// <summary>The nearest tf32 number (10 bits of mantissa), halves away from zero, as cvt.rna.tf32.f32 rounds; for finite numbers.</summary>
    public static float RoundToTf32(float value) => BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(value) + 0x1000) & ~0x1FFFu);
}
