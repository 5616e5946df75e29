using System.Runtime.CompilerServices;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A neighbour mask as <see cref="AttentionStep"/> meets it: for every tile of query rows and block of keys, which keys are worth multiplying, and which logits
/// become −∞ then. Found once, since it takes more instructions than hiding.
/// </summary>
internal sealed unsafe class HiddenKeys
{
    // All bits of the lanes first … end − 1 for every first ≤ end, at index (first · (Lanes + 1) + end) · Lanes.
    private static readonly float[] Masks = LaneMasks();

    private readonly int _tiles;
    private readonly Tile[] _list;

    /// <param name="mask">The mask.</param>
    /// <param name="queries">Query tokens.</param>
    /// <param name="blocks">The blocks of keys, without gaps.</param>
    public HiddenKeys(NeighborMask mask, int queries, IReadOnlyList<Range> blocks)
    {
        _tiles = Split.Most(queries, SimdTier.TileRows);
        _list = new Tile[blocks.Count * _tiles];
        for (int i = 0; i < _list.Length; i++)
        {
            int first = i % _tiles * SimdTier.TileRows;
            _list[i] = Find(mask, first, Math.Min(SimdTier.TileRows, queries - first), blocks[i / _tiles]);
        }
    }

    // Keys that are multiplied or left out together.
    private static int BlockKeys => Math.Max(SimdTier.PanelColumns, RowTiles.BlockColumns);

    /// <summary>Ranges of the block's keys, counted from its first one, outside of which no query of the tile sees any. They begin where a panel does.</summary>
    public ReadOnlySpan<(int First, int End)> Visible(int block, int tile) => _list[(block * _tiles) + tile].Visible;

    /// <summary>Sets the logits of the keys that a query of the tile does not see to −∞, whether they are computed or not.</summary>
    /// <param name="block">The block of keys.</param>
    /// <param name="tile">The tile.</param>
    /// <param name="logits">The tile's logits for the block, in row tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Hide<TSimd, TVector>(int block, int tile, float* logits)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        // Whole vectors are rewritten: the softmax loads them next, which would have to wait for single floats stored into them.
        TVector hidden = TSimd.Broadcast(float.NegativeInfinity);
        float* masks = (float*)Unsafe.AsPointer(ref Masks[0]);
        foreach ((ushort offset, ushort lanes) in _list[(block * _tiles) + tile].Hidden)
            TSimd.Store(TSimd.Select(TSimd.Load(masks + (lanes * TSimd.Lanes)), hidden, TSimd.Load(logits + offset)), logits + offset);
    }

    private static float[] LaneMasks()
    {
        int lanes = SimdTier.Lanes;
        float[] masks = GC.AllocateArray<float>((lanes + 1) * (lanes + 1) * lanes, pinned: true);
        for (int first = 0; first <= lanes; first++)
        {
            for (int end = first; end <= lanes; end++)
                masks.AsSpan((LanesIndex(first, end) * lanes) + first, end - first).Fill(BitConverter.Int32BitsToSingle(-1));
        }

        return masks;
    }

    private static int LanesIndex(int first, int end) => (first * (SimdTier.Lanes + 1)) + end;

    private static Tile Find(NeighborMask mask, int firstQuery, int queries, Range block)
    {
        int firstKey = block.Start.Value, keys = block.End.Value - firstKey, lanes = SimdTier.Lanes;
        List<(ushort, ushort)> vectors = [];
        int[] hiding = new int[keys];
        for (int query = 0; query < queries; query++)
        {
            (int y, int x) = Math.DivRem(firstQuery + query, mask.Width);
            int left = Math.Max(x - mask.RadiusX, 0), right = Math.Min(x + mask.RadiusX, mask.Width - 1);
            for (int row = Math.Max(y - mask.RadiusY, 0); row <= Math.Min(y + mask.RadiusY, mask.Height - 1); row++)
            {
                int first = Math.Max((row * mask.Width) + left - firstKey, 0), end = Math.Min((row * mask.Width) + right + 1 - firstKey, keys);
                if (first >= end)
                    continue;

                foreach (ref int queriesBefore in hiding.AsSpan(first, end - first))
                    queriesBefore++;
                for (int key = first / lanes * lanes; key < end; key += lanes)
                {
                    long offset = RowTiles.Index(query, key, keys);
                    vectors.Add(((ushort)offset, (ushort)LanesIndex(Math.Max(first - key, 0), Math.Min(end - key, lanes))));
                }
            }
        }

        List<(int First, int End)> visible = [];
        for (int key = 0; key < keys; key += BlockKeys)
        {
            int end = Math.Min(key + BlockKeys, keys);
            if (hiding.AsSpan(key, end - key).IndexOfAnyExcept(queries) < 0)
                continue;
            if (visible.Count > 0 && visible[^1].End == key)
                visible[^1] = (visible[^1].First, end);
            else
                visible.Add((key, end));
        }

        return new Tile([.. visible], [.. vectors]);
    }

    /// <param name="Visible">Ranges of keys that some query sees.</param>
    /// <param name="Hidden">Vectors with hidden keys: where in the logits, and which lanes.</param>
    private readonly record struct Tile((int First, int End)[] Visible, (ushort Offset, ushort Lanes)[] Hidden);
}
