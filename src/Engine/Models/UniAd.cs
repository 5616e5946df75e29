using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="UniAd"/>; in brackets the keys of the model card.</summary>
public sealed record UniAdConfig
{
    /// <summary>Backbone, sizes and transformer, which ADTR has too. Published: layers 1 … 4, 224×224, stride 16.</summary>
    public required FeatureReconstructionConfig Network { get; init; }

    /// <summary>
    /// The window of keys that a query does not see, (rows, columns) around itself ["neighbor_mask": {"neighbor_size": [h, w]}], published (7, 7), ADer (8, 8).
    /// Half of it, rounded down, is blocked on each side: 6 and 7 are the same.
    /// </summary>
    public (int Height, int Width) NeighborSize { get; init; }

    /// <summary>Whether the encoder's attention is masked ["neighbor_mask": {"mask": [·, _, _]}]; "neighbor_mask": false, or none, masks nothing.</summary>
    public bool MaskEncoder { get; init; }

    /// <summary>Whether the decoder's first attention, whose keys are the encoder's output, is masked ["neighbor_mask": {"mask": [_, ·, _]}].</summary>
    public bool MaskDecoderMemory { get; init; }

    /// <summary>
    /// Whether the decoder's second attention, whose keys are the output of the layer before, is masked ["neighbor_mask": {"mask": [_, _, ·]}].
    /// </summary>
    public bool MaskDecoderPrevious { get; init; }

    /// <summary>Whether norms come before attention and feed-forward ["normalize_before"], published false.</summary>
    public bool NormalizeBefore { get; init; }

    /// <summary>["pos_embed_type"]: "learned" (published) or "sine".</summary>
    public string PositionEmbedding { get; init; } = "learned";

    /// <summary>["image_score"]: "max" (of the pooled map: MVTec AD) or "mean" (of the map: CIFAR-10).</summary>
    public string ImageScore { get; init; } = "max";

    /// <summary>["interpolation"]: how pictures are resized, "bilinear" or, in the configuration for CIFAR-10, "lanczos".</summary>
    public string Interpolation { get; init; } = "bilinear";

    internal static UniAdConfig Read(ConfigReader r)
    {
        UniAdConfig config = new()
        {
            Network = FeatureReconstructionConfig.Read(r, side: 224, layers: 4),
            NormalizeBefore = r.Flag("normalize_before", fallback: false),
            PositionEmbedding = r.Choice("pos_embed_type", "learned", "learned", "sine"),
            ImageScore = r.Choice("image_score", "max", "max", "mean"),
            Interpolation = r.Choice("interpolation", "bilinear", "bilinear", "lanczos"),
        };
        if (config.PositionEmbedding == "sine" && config.Network.Width % 4 != 0)
        {
            throw r.Error("hidden_dim", $"is {config.Network.Width}, but sine positions need a multiple of 4");
        }

        if (r.Section("neighbor_mask") is not { } section)
        {
            return config;
        }

        IReadOnlyList<bool> masked = section.Flags("mask", 3);
        config = config with
        {
            NeighborSize = FeatureReconstructionConfig.Pair(section, "neighbor_size", fallback: null, max: 16384, min: 0),
            MaskEncoder = masked[0],
            MaskDecoderMemory = masked[1],
            MaskDecoderPrevious = masked[2],
        };
        section.RejectUnreadKeys();
        return config.Mask.LeavesKeys || !masked.Contains(true)
            ? config
            : throw section.Error(
                "neighbor_size",
                $"is [{config.NeighborSize.Height}, {config.NeighborSize.Width}], which leaves the token in the middle of "
                + $"{config.Network.GridHeight}×{config.Network.GridWidth} nothing to see: its attention would be 0/0");
    }

    internal JsonObject Write()
    {
        JsonObject config = [];
        Network.Write(config);
        config["image_score_avgpool"] = new JsonArray(Network.ScorePool, Network.ScorePool);
        config["normalize_before"] = NormalizeBefore;
        config["pos_embed_type"] = PositionEmbedding;
        config["neighbor_mask"] = MaskEncoder || MaskDecoderMemory || MaskDecoderPrevious
            ? new JsonObject
            {
                ["neighbor_size"] = new JsonArray(NeighborSize.Height, NeighborSize.Width),
                ["mask"] = new JsonArray(MaskEncoder, MaskDecoderMemory, MaskDecoderPrevious),
            }
            : false;
        config["image_score"] = ImageScore;
        config["interpolation"] = Interpolation;
        return config;
    }

    /// <summary>The mask on the token grid, whether or not any attention uses it.</summary>
    internal NeighborMask Mask => new(Network.GridHeight, Network.GridWidth, NeighborSize.Height / 2, NeighborSize.Width / 2);
}

/// <summary>
/// UniAD (You et al., NeurIPS 2022, arXiv 2206.03687; zhiyuanyou/UniAD): one model for all categories. Three things keep it from copying its input: attention
/// that does not see a token's neighbourhood, a table of queries in every decoder layer, and noise on the features in training.
/// </summary>
public sealed class UniAd : FeatureReconstruction
{
    private readonly UniAdConfig _config;

    /// <summary>Creates the model.</summary>
    public UniAd(UniAdConfig config)
        : base((config ?? throw new ArgumentNullException(nameof(config))).Network)
    {
        _config = config;
        Tensors =
        [
            .. CommonTensors(projectionRank: 2, encoderNorm: config.NormalizeBefore),
            .. config.PositionEmbedding == "learned" ? PositionTensors() : [],
            .. Enumerable.Range(0, config.Network.DecoderLayers).Select(j => new TensorSpec(QueryKey(j), new Shape(config.Network.Tokens, config.Network.Width))),
        ];
    }

    /// <inheritdoc/>
    public override string Name => "UniAD";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    public override PicturePreprocessing Preprocessing => base.Preprocessing with
    {
        Filter = _config.Interpolation == "lanczos" ? Interpolation.Lanczos : Interpolation.Bilinear,
    };

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    /// <inheritdoc/>
    public override void Build(GraphBuilder g, int batch)
    {
        ArgumentNullException.ThrowIfNull(g);
        Node features = AlignedFeatures(g, batch);
        Node tokens = InputProjection(g, features);
        Node position = g.Tap("pos", _config.PositionEmbedding == "learned" ? LearnedPosition(g) : SinePosition(g));
        Node memory = Encoder(g, tokens, position, MaskIf(_config.MaskEncoder), _config.NormalizeBefore);
        Node rebuilt = RebuiltFeatures(g, Decoder(g, memory, position));
        Node map = AnomalyMap(g, features, rebuilt);
        Node mean = g.Tap("image_score_mean", g.Mean(g.Reshape(map, batch, ImageHeight * ImageWidth), axis: 1, keepDimension: false));
        g.Output("image_score", _config.ImageScore == "mean" ? mean : LargestPooled(g, map));
    }

    private static string QueryKey(int layer) => DecoderKey(layer) + ".learned_embed.weight";

    /// <summary>
    /// Card section 3.3: every layer begins with a table of queries of its own; the encoder's output and the output of the layer before (for the first the
    /// encoder's output again) reach it as keys and values only.
    /// </summary>
    private Node Decoder(GraphBuilder g, Node memory, Node position)
    {
        Node output = memory, memoryKeys = g.Add(memory, position);
        for (int j = 0; j < _config.Network.DecoderLayers; j++)
        {
            string key = DecoderKey(j), tap = $"decoder.{j}";
            Node query = QueryTable(g, QueryKey(j)), previousKeys = j == 0 ? memoryKeys : g.Add(output, position);
            if (_config.NormalizeBefore)
            {
                Node y = g.Tap(tap + ".norm1", Norm(g, query, key + ".norm1"));
                y = g.Add(query, AttendMemory(y));
                Node z = g.Tap(tap + ".norm2", Norm(g, y, key + ".norm2"));
                y = g.Add(y, AttendPrevious(z));
                output = g.Tap(tap, g.Add(y, FeedForward(g, Norm(g, y, key + ".norm3"), key)));
            }
            else
            {
                Node y = g.Tap(tap + ".norm1", Norm(g, g.Add(query, AttendMemory(query)), key + ".norm1"));
                y = g.Tap(tap + ".norm2", Norm(g, g.Add(y, AttendPrevious(y)), key + ".norm2"));
                output = g.Tap(tap, Norm(g, g.Add(y, FeedForward(g, y, key)), key + ".norm3"));
            }

            Node AttendMemory(Node y) => g.Tap(
                tap + ".attn1", MultiHeadAttention(g, key + ".self_attn", g.Add(y, position), memoryKeys, memory, MaskIf(_config.MaskDecoderMemory)));

            Node AttendPrevious(Node y) => g.Tap(
                tap + ".attn2", MultiHeadAttention(g, key + ".multihead_attn", g.Add(y, position), previousKeys, output, MaskIf(_config.MaskDecoderPrevious)));
        }

        return output;
    }

    private NeighborMask? MaskIf(bool masked) => masked ? _config.Mask : null;

    /// <summary>
    /// Positions (T, d) without parameters, the row's half first: sines and cosines of (y + 1)/(h + 1e-6)·2π / 10000^(2⌊i/2⌋/F), F = d/2, alternating over i;
    /// then the same of the column.
    /// </summary>
    private Node SinePosition(GraphBuilder g)
    {
        int h = _config.Network.GridHeight, w = _config.Network.GridWidth, d = _config.Network.Width, half = d / 2;
        float[] values = new float[h * w * d];
        for (int i = 0; i < values.Length; i++)
        {
            int token = i / d, entry = i % half;
            (int place, int extent) = i % d < half ? (token / w, h) : (token % w, w);
            double angle = (place + 1) / (extent + 1e-6) * 2 * Math.PI / Math.Pow(10000, 2.0 * (entry / 2) / half);
            values[i] = (float)(entry % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
        }

        return g.Table("sine positions", values, h * w, d);
    }
}
