namespace KernelAD.Kernels.Tests;

/// <summary>Weights as the Linear kernels want them, element by element from the description in <c>Linear</c>.</summary>
internal static class WeightPanels
{
    private const int PanelColumns = 64;

    /// <summary>[N/64][K/16][16][64] floats, or [N/64][K/tile][64][tile] operands of 64 bytes a tile; zero beyond N (to a multiple of 128) and K.</summary>
    public static float[] Pack(float[] w, int n, int k, StorageType type, bool exact)
    {
        int tile = exact ? 16 : 64 / DeviceArray.ElementBytes(type), tiles = (k + tile - 1) / tile, columns = (n + 127) / 128 * 128;
        float[] packed = new float[columns * tiles * tile];
        for (int column = 0; column < n; column++)
        {
            for (int i = 0; i < k; i++)
            {
                int panel = column / PanelColumns, inPanel = column % PanelColumns, inTile = i % tile;
                int tileStart = ((panel * tiles) + (i / tile)) * tile * PanelColumns;
                packed[tileStart + (exact ? (inTile * PanelColumns) + inPanel : (inPanel * tile) + inTile)] = w[(column * k) + i];
            }
        }

        return packed;
    }

    /// <summary>One value a column, padded with zeros to whole panels.</summary>
    public static float[] Pad(float[] values) => [.. values, .. new float[((values.Length + 127) / 128 * 128) - values.Length]];
}
