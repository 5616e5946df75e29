using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="Adtr"/>; in brackets the keys of the model card.</summary>
public sealed record AdtrConfig
{
    /// <summary>Backbone, sizes and transformer, which UniAD has too. Published: layers 1 … 5, 256×256, stride 16 (8 in the paper's appendix).</summary>
    public required FeatureReconstructionConfig Network { get; init; }

    /// <summary>["pos_embed_type"]: "learned" (a table per row and one per column, half a token wide each) or "table" (one row per token).</summary>
    public string PositionEmbedding { get; init; } = "learned";

    internal static AdtrConfig Read(ConfigReader r) => new()
    {
        Network = FeatureReconstructionConfig.Read(r, side: 256, layers: 5),
        PositionEmbedding = r.Choice("pos_embed_type", "learned", "learned", "table"),
    };

    internal JsonObject Write()
    {
        JsonObject config = [];
        Network.Write(config);
        config["image_score_avgpool"] = Network.ScorePool;
        config["pos_embed_type"] = PositionEmbedding;
        return config;
    }
}

/// <summary>
/// ADTR (You et al., ICONIP 2022, arXiv 2209.01816), also as ADTR+, whose network is the same: a transformer whose decoder starts from a table of learned
/// queries rebuilds the features. No code of the authors is available; keys, neck and score are those of zhiyuanyou/UniAD, by the same first author.
/// </summary>
public sealed class Adtr : FeatureReconstruction
{
    /// <summary>Key of the learned queries.</summary>
    public const string QueryKey = "reconstruction.query_embed.weight";

    /// <summary>Key of the positions where one table holds them all.</summary>
    public const string PositionKey = "reconstruction.pos_embed.weight";

    private readonly AdtrConfig _config;

    /// <summary>Creates the model.</summary>
    public Adtr(AdtrConfig config)
        : base((config ?? throw new ArgumentNullException(nameof(config))).Network)
    {
        _config = config;
        Shape table = new(config.Network.Tokens, config.Network.Width);
        Tensors =
        [
            .. CommonTensors(projectionRank: 4, encoderNorm: false),
            .. config.PositionEmbedding == "learned" ? PositionTensors() : [new(PositionKey, table)],
            new(QueryKey, table),
        ];
    }

    /// <inheritdoc/>
    public override string Name => "ADTR";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    /// <inheritdoc/>
    public override void Build(GraphBuilder g, int batch)
    {
        ArgumentNullException.ThrowIfNull(g);
        Node features = AlignedFeatures(g, batch);
        Node tokens = InputProjection(g, features);
        Node position = g.Tap("pos", _config.PositionEmbedding == "learned" ? LearnedPosition(g) : g.Parameter(PositionKey));
        Node memory = Encoder(g, tokens, position);
        Node rebuilt = RebuiltFeatures(g, Decoder(g, memory, position));
        g.Output("image_score", LargestPooled(g, AnomalyMap(g, features, rebuilt)));
    }

    /// <summary>Card section 3.3: the queries are the first input, self-attention among them, then cross-attention to the encoder's output.</summary>
    private Node Decoder(GraphBuilder g, Node memory, Node position)
    {
        Node y = QueryTable(g, QueryKey), keys = g.Add(memory, position);
        for (int j = 0; j < _config.Network.DecoderLayers; j++)
        {
            string key = DecoderKey(j), tap = $"decoder.{j}";
            Node q = g.Add(y, position);
            y = g.Tap(tap + ".norm1", Norm(g, g.Add(y, MultiHeadAttention(g, key + ".self_attn", q, q, y)), key + ".norm1"));
            y = g.Tap(tap + ".norm2", Norm(g, g.Add(y, MultiHeadAttention(g, key + ".multihead_attn", g.Add(y, position), keys, memory)), key + ".norm2"));
            y = g.Tap(tap, Norm(g, g.Add(y, FeedForward(g, y, key)), key + ".norm3"));
        }

        return y;
    }
}
