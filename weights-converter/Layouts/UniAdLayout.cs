using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// UniAD as zhiyuanyou/UniAD saves it, and as ADer does: a plain dictionary with <c>net_backbone.</c> (timm's names) and <c>net_ad.</c>, without "arch".
/// </summary>
internal sealed class UniAdLayout : FeatureReconstructionLayout
{
    private const string AderBackbone = "net_backbone.";
    private const string AderRoot = "net_ad.";

    public override string Model => "UniAD";

    protected override int Layers => 4;

    protected override int ProjectionRank => 2;

    protected override string QueryTable => Root + "transformer.decoder.layers.0.learned_embed.weight";

    protected override JsonNode ScorePool => new JsonArray(16, 16);

    protected override StateDict Named(StateDict tensors, List<string> warnings)
    {
        if (!tensors.HasPrefix(AderRoot))
        {
            return tensors;
        }

        warnings.Add(
            "this is ADer's UniAD, whose layout is known from its source only: it was never compared with a file that ADer wrote. Check the scores of a few pictures");
        return tensors.Renamed(key =>
            key.StartsWith(AderRoot, StringComparison.Ordinal) ? Root + key[AderRoot.Length..]
            : key.StartsWith(AderBackbone, StringComparison.Ordinal) ? Backbone + key[AderBackbone.Length..]
            : key);
    }

    protected override void FindOwn(StateDict tensors, Arch arch, ConfigurationFinder c)
    {
        c.Infer("normalize_before", tensors.HasPrefix(Root + "transformer.encoder.norm."), "whether there is an encoder.norm");
        c.Infer("pos_embed_type", tensors.HasPrefix(Root + "pos_embed.") ? "learned" : "sine", "whether there is a pos_embed");
        FindMask(arch, timm: !arch.Has("reconstruction") && c.FoundText("padding") == "dynamic", c);
        c.Assume("image_score", "max", "of the pooled map, as for MVTec AD; part of the evaluation, not of the checkpoint. CIFAR-10 takes the mean");
        c.Assume("interpolation", "bilinear", "as for MVTec AD; part of the evaluation, not of the checkpoint. CIFAR-10 takes lanczos");
    }

    private static void FindMask(Arch arch, bool timm, ConfigurationFinder c)
    {
        const string Key = "neighbor_mask";
        if (c.ToldNull(Key))
        {
            c.Complete(Key, false, "told: none");
            return;
        }

        // The code masks nothing if its configuration has no such entry. ADer's window is a 32nd of the picture's side.
        JsonNode? named = arch.Has("reconstruction") ? arch["reconstruction", Key] ?? false : null;
        int window = timm ? (c.FoundInts("image")?[0] ?? 256) / 32 : 7;
        JsonObject published = new() { ["neighbor_size"] = new JsonArray(window, window), ["mask"] = new JsonArray(true, true, true) };
        string whose = timm ? "ADer's" : "published";
        c.Suggest(Key, named, "arch, reconstruction, neighbor_mask", published, $"{whose} value; the tensors do not show which neighbours are hidden");
    }
}
