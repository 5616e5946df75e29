namespace KernelAD.WeightsConverter.Layouts;

/// <summary>What a checkpoint's keys say it is.</summary>
/// <param name="What">In words, with an article.</param>
/// <param name="Model">The model that this build converts it to, null if it does not.</param>
internal sealed record CheckpointKind(string What, string? Model = null)
{
    /// <summary>A plain vision transformer: no model of its own, but a teacher of ViTAD.</summary>
    public static readonly CheckpointKind VisionTransformer = new("a plain vision transformer (the teacher of a ViTAD?)");

    /// <summary>An EfficientNet: no model of its own, but the backbone of ADTR and UniAD.</summary>
    public static readonly CheckpointKind EfficientNet = new("an EfficientNet backbone (of an ADTR or a UniAD?)");

    /// <summary>The second file of a VT-ADL.</summary>
    public static readonly CheckpointKind VtAdlMixture = new("the mixture network of a VT-ADL (whose autoencoder is a file of its own)");

    /// <summary>torchvision's ResNet: no model of its own, but the backbone of a UTRAD.</summary>
    public static readonly CheckpointKind ResNet = new("a ResNet (the backbone of a UTRAD?)");

    private static readonly CheckpointKind InTra = new("an InTra checkpoint (jhy12/inpainting-transformer)", "InTra");
    private static readonly CheckpointKind VitAd = new("a ViTAD checkpoint", "ViTAD");
    private static readonly CheckpointKind InTraUzl = new("an InTra checkpoint of uzl/inpainting-transformer, a variant with ordinary attention and channel-first patches");
    private static readonly CheckpointKind UniAd = new("a UniAD checkpoint (a table of queries in every decoder layer)", "UniAD");
    private static readonly CheckpointKind UniAdOfAder = new("a UniAD checkpoint of ADer", "UniAD");
    private static readonly CheckpointKind Adtr = new("an ADTR checkpoint (one table of queries)", "ADTR");
    private static readonly CheckpointKind Utrad = new("a UTRAD checkpoint", "UTRAD");
    private static readonly CheckpointKind VtAdl = new("the autoencoder of a VT-ADL", "VT-ADL");
    private static readonly CheckpointKind MocoV3 = new("a MoCo v3 checkpoint");

    private static readonly string[] EfficientNetStems = ["_conv_stem.weight", "conv_stem.weight", "backbone._conv_stem.weight", "backbone.conv_stem.weight"];

    /// <summary>Recognises a state dictionary; null if it is none of the known ones.</summary>
    public static CheckpointKind? Of(StateDict d) =>
        d.HasPrefix("net_s.") || d.HasPrefix("net_fusion.") ? VitAd
        : d.HasPrefix("net_ad.") ? UniAdOfAder
        : d.Has("lin_proj.weight") || d.Has("pos_embedding_glb") || d.Has("encoder.layers.0.self_attn.MLP_q.0.weight") ? InTra
        : d.Has("model.affine_projection.weight") || d.Has("model.linear_projection.weight") || d.Has("affine_projection.weight") || d.Has("linear_projection.weight") ? InTraUzl
        : d.Has("reconstruction.query_embed.weight") || d.Tensors.Keys.Any(AdtrLayout.IsQueryAlias) ? Adtr
        : d.HasPrefix("reconstruction.") ? UniAd
        : d.Has("global_position_embedding.weight") || d.Has("query_embedding.0.weight") ? Utrad
        : d.Has("Digcap.W") || d.Has("vt.pos_embedding") ? VtAdl
        : d.Has("sigma_sq.weight") || d.Has("pi.weight") ? VtAdlMixture
        : d.Has("layer1.0.conv1.weight") || d.Has("layer1.0.conv2.weight") ? ResNet
        : EfficientNetStems.Any(d.Has) ? EfficientNet
        : d.HasPrefix("base_encoder.") || d.HasPrefix("module.base_encoder.") || d.HasPrefix("momentum_encoder.") ? MocoV3
        : d.Has("patch_embed.proj.weight") || d.Has("backbone.patch_embed.proj.weight") ? VisionTransformer
        : null;
}
