using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Tensors;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// ADTR in the layout of zhiyuanyou/UniAD. No checkpoint of its authors is known, so that names are read generously: projections may be linear layers, the
/// queries may be called learned_embed, and one table may hold all positions.
/// </summary>
internal sealed class AdtrLayout : FeatureReconstructionLayout
{
    public override string Model => "ADTR";

    protected override int Layers => 5;

    protected override int ProjectionRank => 4;

    protected override string QueryTable => Adtr.QueryKey;

    protected override JsonNode ScorePool => 16;

    protected override StateDict Named(StateDict tensors, List<string> warnings)
    {
        Dictionary<string, string> aliases = new(StringComparer.Ordinal);
        AddAlias(Adtr.QueryKey, [.. tensors.Tensors.Keys.Where(IsQueryAlias)]);
        if (!tensors.Has(RowTable) && !tensors.Has(ColumnTable))
        {
            AddAlias(Adtr.PositionKey, [.. tensors.Tensors.Keys.Where(k => k.StartsWith(Root + "pos", StringComparison.Ordinal))]);
        }

        StateDict named = tensors.Renamed(k => aliases.GetValueOrDefault(k, k));
        foreach (string projection in new[] { Root + "input_proj.weight", Root + "output_proj.weight" })
        {
            if (named.Tensors.GetValueOrDefault(projection) is { Shape.Rank: 2 } linear)
            {
                named = named.With(new ReshapedTensor(projection, linear, new Shape(linear.Shape[0], linear.Shape[1], 1, 1)));
            }
        }

        return named;

        void AddAlias(string key, string[] others)
        {
            // Two candidates stay as they are: the one that is not meant is then reported as unexpected.
            if (others.Length == 1 && !tensors.Has(key))
            {
                aliases[others[0]] = key;
                warnings.Add($"\"{others[0]}\" is taken for \"{key}\"");
            }
        }
    }

    protected override void FindOwn(StateDict tensors, Arch arch, ConfigurationFinder c) =>
        c.Infer("pos_embed_type", tensors.Has(Adtr.PositionKey) ? "table" : "learned", "whether positions are one table or one per row and one per column");

    /// <summary>Whether a key is another name for the query table. Tables of queries in the decoder's layers are UniAD's.</summary>
    public static bool IsQueryAlias(string key) =>
        key.StartsWith(Root, StringComparison.Ordinal)
        && key.EndsWith("learned_embed.weight", StringComparison.Ordinal)
        && !key.Contains(".layers.", StringComparison.Ordinal);
}
