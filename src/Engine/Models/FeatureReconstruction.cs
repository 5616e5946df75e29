using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>What <see cref="Adtr"/> and <see cref="UniAd"/> are configured by alike; in brackets the keys of the model cards.</summary>
public sealed record FeatureReconstructionConfig
{
    /// <summary>The frozen backbone and its tapped blocks; see there for its keys.</summary>
    public required EfficientNetConfig Backbone { get; init; }

    /// <summary>Picture height in pixels ["image": [h, w]].</summary>
    public required int ImageHeight { get; init; }

    /// <summary>Picture width in pixels ["image": [h, w]].</summary>
    public required int ImageWidth { get; init; }

    /// <summary>Pixels of the picture per token along each side ["outstride"].</summary>
    public required int Stride { get; init; }

    /// <summary>Token width ["hidden_dim"], published 256.</summary>
    public required int Width { get; init; }

    /// <summary>Attention heads ["nhead"], published 8. Not in the shapes of a checkpoint.</summary>
    public required int Heads { get; init; }

    /// <summary>Layers of the encoder ["num_encoder_layers"], published 4.</summary>
    public required int EncoderLayers { get; init; }

    /// <summary>Layers of the decoder ["num_decoder_layers"], published 4.</summary>
    public required int DecoderLayers { get; init; }

    /// <summary>Hidden width of the feed-forward layers ["dim_feedforward"], published 1024.</summary>
    public required int FeedForward { get; init; }

    /// <summary>Their activation ["activation"]: "relu" (published) or "gelu" (the exact form).</summary>
    public string Activation { get; init; } = "relu";

    /// <summary>Side of the mean pooling before the score's maximum ["image_score_avgpool": k or [k, k]], published 16.</summary>
    public int ScorePool { get; init; } = 16;

    /// <summary>Rows of the token grid ["feature_size": [h, w]].</summary>
    public int GridHeight => ImageHeight / Stride;

    /// <summary>Columns of the token grid ["feature_size": [h, w]].</summary>
    public int GridWidth => ImageWidth / Stride;

    /// <summary>Number of tokens.</summary>
    public int Tokens => GridHeight * GridWidth;

    /// <summary>Reads the common keys.</summary>
    /// <param name="r">The configuration.</param>
    /// <param name="side">Side of the published model's picture.</param>
    /// <param name="layers">Number of backbone layers that the published model taps.</param>
    internal static FeatureReconstructionConfig Read(ConfigReader r, int side, int layers)
    {
        (int height, int width) = Pair(r, "image", (side, side), max: 16384);
        FeatureReconstructionConfig config = new()
        {
            Backbone = EfficientNetConfig.Read(r, layers),
            ImageHeight = height,
            ImageWidth = width,
            Stride = r.Int("outstride", fallback: 16, max: 256),
            Width = r.Int("hidden_dim", fallback: 256, max: 16384),
            Heads = r.Int("nhead", fallback: 8, max: 256),
            EncoderLayers = r.Int("num_encoder_layers", fallback: 4, max: 256),
            DecoderLayers = r.Int("num_decoder_layers", fallback: 4, max: 256),
            FeedForward = r.Int("dim_feedforward", fallback: 1024),
            Activation = r.Choice("activation", "relu", "relu", "gelu"),
            ScorePool = ReadPool(r),
        };

        // How many pictures a golden case has says nothing of the model.
        r.Ignore("batch");
        config.Check(r);
        return config;
    }

    internal void Write(JsonObject config)
    {
        Backbone.Write(config);
        config["inplanes"] = Backbone.Channels;
        config["image"] = new JsonArray(ImageHeight, ImageWidth);
        config["outstride"] = Stride;
        config["feature_size"] = new JsonArray(GridHeight, GridWidth);
        config["hidden_dim"] = Width;
        config["nhead"] = Heads;
        config["num_encoder_layers"] = EncoderLayers;
        config["num_decoder_layers"] = DecoderLayers;
        config["dim_feedforward"] = FeedForward;
        config["activation"] = Activation;
    }

    /// <summary>Two extents of at least 0.</summary>
    internal static (int Height, int Width) Pair(ConfigReader r, string key, (int Height, int Width)? fallback, int max, int min = 1)
    {
        IReadOnlyList<int> pair = r.Ints(key, fallback is (int h, int w) ? [h, w] : null);
        return pair.Count == 2 && pair.All(e => e >= min && e <= max)
            ? (pair[0], pair[1])
            : throw r.Error(key, $"is [{string.Join(", ", pair)}], expected [height, width], each {min} … {max}");
    }

    private static int ReadPool(ConfigReader r)
    {
        const string Key = "image_score_avgpool";
        if (!r.IsList(Key))
        {
            return r.Int(Key, fallback: 16);
        }

        (int height, int width) = Pair(r, Key, null, max: 16384);
        return height == width ? height : throw r.Error(Key, $"is [{height}, {width}], expected a square");
    }

    private void Check(ConfigReader r)
    {
        if (ImageHeight % Stride != 0 || ImageWidth % Stride != 0)
        {
            throw r.Error("image", $"is [{ImageHeight}, {ImageWidth}], but both sides must be multiples of \"outstride\" = {Stride}");
        }

        (int height, int width) = Pair(r, "feature_size", (GridHeight, GridWidth), max: 16384);
        if (height != GridHeight || width != GridWidth)
        {
            throw r.Error(
                "feature_size", $"is [{height}, {width}], but a picture of {ImageHeight}×{ImageWidth} at \"outstride\" = {Stride} has {GridHeight}×{GridWidth} features");
        }

        IReadOnlyList<(int Height, int Width)> sizes = new EfficientNet(Backbone, "").SizesFor(ImageHeight, ImageWidth);
        foreach (int tap in Backbone.Taps)
        {
            // The neck enlarges or shrinks by the ratio of the strides; only then do the layers lie on each other.
            int stride = Backbone.StrideOf(tap);
            if (tap >= sizes.Count || sizes[tap].Height * stride / Stride != GridHeight || sizes[tap].Width * stride / Stride != GridWidth)
            {
                string found = tap < sizes.Count ? $"{sizes[tap].Height}×{sizes[tap].Width}" : "no";
                throw r.Error(
                    "image",
                    $"is [{ImageHeight}, {ImageWidth}]: block {tap} of the backbone, of stride {stride}, has {found} features there, "
                    + $"which do not become {GridHeight}×{GridWidth}; sides must be multiples of the largest stride");
            }
        }

        int channels = r.Int("inplanes", Backbone.Channels);
        if (channels != Backbone.Channels)
        {
            throw r.Error("inplanes", $"is {channels}, but the tapped blocks {string.Join(", ", Backbone.Taps)} have {Backbone.Channels} channels");
        }

        if (Width % Heads != 0 || Width % 2 != 0)
        {
            throw r.Error("nhead", $"is {Heads}, which must divide \"hidden_dim\" = {Width}, an even number");
        }

        if (ScorePool > Math.Min(ImageHeight, ImageWidth))
        {
            throw r.Error("image_score_avgpool", $"is {ScorePool}, larger than the picture of {ImageHeight}×{ImageWidth}");
        }
    }
}

/// <summary>
/// What ADTR and UniAD share: frozen multi-scale EfficientNet features, aligned on one grid (the neck "MFCN" of zhiyuanyou/UniAD), rebuilt by a transformer as
/// in DETR; the distance of features and rebuilt features is the anomaly map. Their decoders differ.
/// </summary>
public abstract class FeatureReconstruction : Model
{
    private const string Root = "reconstruction.";
    private const string BackboneRoot = "backbone.";
    private const double Epsilon = 1e-5;
    private readonly FeatureReconstructionConfig _config;

    private protected FeatureReconstruction(FeatureReconstructionConfig config)
    {
        _config = config;
    }

    /// <inheritdoc/>
    public override PicturePreprocessing Preprocessing => new(
        _config.ImageHeight,
        _config.ImageWidth,
        ResizeShortSide: null,
        Interpolation.Bilinear,
        _config.ImageHeight,
        _config.ImageWidth,
        Mean: [0.485f, 0.456f, 0.406f],
        Std: [0.229f, 0.224f, 0.225f]);

    /// <inheritdoc/>
    public override int ImageHeight => _config.ImageHeight;

    /// <inheritdoc/>
    public override int ImageWidth => _config.ImageWidth;

    /// <summary>Beginning of the keys of an encoder layer.</summary>
    private protected static string EncoderKey(int layer) => $"{Root}transformer.encoder.layers.{layer}";

    /// <summary>Beginning of the keys of a decoder layer.</summary>
    private protected static string DecoderKey(int layer) => $"{Root}transformer.decoder.layers.{layer}";

    /// <summary>The picture's features as tokens (N, T, C): every tapped layer resized to the token grid, corner to corner, and laid side by side.</summary>
    private protected Node AlignedFeatures(GraphBuilder g, int batch)
    {
        Node image = g.Input("input", new Shape(batch, 3, _config.ImageHeight, _config.ImageWidth));
        IReadOnlyList<Node> layers = new EfficientNet(_config.Backbone, BackboneRoot).Build(g, image);
        int h = _config.GridHeight, w = _config.GridWidth;
        Node[] aligned = [.. layers.Select(x => x.Shape[1] == h && x.Shape[2] == w ? x : g.ResizeChannelsLast(x, h, w, alignCorners: true))];
        Node features = aligned.Length == 1 ? aligned[0] : g.Concat(3, aligned);
        EfficientNet.TapChannelsFirst(g, "feature_align", features);
        return g.Reshape(features, batch, h * w, _config.Backbone.Channels);
    }

    /// <summary>Tokens of the transformer's width.</summary>
    private protected static Node InputProjection(GraphBuilder g, Node features) => g.Tap("input_proj", g.Linear(features, Root + "input_proj"));

    /// <summary>Positions (T, d) from a table per column and one per row: the column's half comes first.</summary>
    private protected Node LearnedPosition(GraphBuilder g)
    {
        int h = _config.GridHeight, w = _config.GridWidth, half = _config.Width / 2;
        Node columns = g.Reshape(g.Parameter(Root + "pos_embed.col_embed.weight"), 1, w, half);
        Node rows = g.Reshape(g.Parameter(Root + "pos_embed.row_embed.weight"), h, 1, half);
        return g.Reshape(g.Concat(2, g.Broadcast(columns, h, w, half), g.Broadcast(rows, h, w, half)), h * w, _config.Width);
    }

    /// <summary>A table of learned queries as (1, T, d): the same for every picture, so that what follows from it alone is computed once.</summary>
    private protected Node QueryTable(GraphBuilder g, string key) => g.Reshape(g.Parameter(key), 1, _config.Tokens, _config.Width);

    /// <summary>The encoder: self-attention with positions on queries and keys, never on values.</summary>
    private protected Node Encoder(GraphBuilder g, Node x, Node position, NeighborMask? mask = null, bool normFirst = false)
    {
        for (int j = 0; j < _config.EncoderLayers; j++)
        {
            string key = EncoderKey(j), tap = $"encoder.{j}";
            if (normFirst)
            {
                Node y = g.Tap(tap + ".norm1", Norm(g, x, key + ".norm1"));
                Node q = g.Add(y, position);
                x = g.Add(x, g.Tap(tap + ".attn", MultiHeadAttention(g, key + ".self_attn", q, q, y, mask)));
                x = g.Tap(tap, g.Add(x, FeedForward(g, Norm(g, x, key + ".norm2"), key)));
            }
            else
            {
                Node q = g.Add(x, position);
                Node attended = g.Tap(tap + ".attn", MultiHeadAttention(g, key + ".self_attn", q, q, x, mask));
                x = g.Tap(tap + ".norm1", Norm(g, g.Add(x, attended), key + ".norm1"));
                x = g.Tap(tap, Norm(g, g.Add(x, FeedForward(g, x, key)), key + ".norm2"));
            }
        }

        return normFirst ? Norm(g, x, Root + "transformer.encoder.norm") : x;
    }

    /// <summary>
    /// torch.nn.MultiheadAttention: one matrix holds the projections of queries, keys and values, in this order. Constant queries (1, T, d) serve every
    /// picture.
    /// </summary>
    private protected Node MultiHeadAttention(GraphBuilder g, string key, Node q, Node k, Node v, NeighborMask? mask = null)
    {
        int d = _config.Width;
        Node queries, keys;
        if (q == k)
        {
            Node both = Projection(0, 2, q);
            (queries, keys) = (g.Slice(both, 2, 0, d), g.Slice(both, 2, d, d));
        }
        else
        {
            (queries, keys) = (Projection(0, 1, q), Projection(1, 1, k));
        }

        Node values = Projection(2, 1, v);
        if (queries.Shape[0] != keys.Shape[0])
        {
            queries = g.Broadcast(queries, keys.Shape[0], queries.Shape[1], d);
        }

        return g.Linear(g.Attention(queries, keys, values, _config.Heads, 1 / Math.Sqrt((double)d / _config.Heads), mask), key + ".out_proj");

        Node Projection(int first, int count, Node x) => g.Linear(
            x, g.Slice(g.Parameter(key + ".in_proj_weight"), 0, first * d, count * d), g.Slice(g.Parameter(key + ".in_proj_bias"), 0, first * d, count * d));
    }

    /// <summary>The two linear layers of a transformer layer.</summary>
    private protected Node FeedForward(GraphBuilder g, Node x, string key)
    {
        Node hidden = g.Linear(x, key + ".linear1");
        return g.Linear(_config.Activation == "gelu" ? g.Gelu(hidden) : g.Relu(hidden), key + ".linear2");
    }

    /// <summary>LayerNorm.</summary>
    private protected static Node Norm(GraphBuilder g, Node x, string key) => g.LayerNorm(x, key, Epsilon);

    /// <summary>The decoder's last norm, and the features that come out.</summary>
    private protected Node RebuiltFeatures(GraphBuilder g, Node tokens)
    {
        Node normed = g.Tap("decoder_norm", Norm(g, tokens, Root + "transformer.decoder.norm"));
        Node rebuilt = g.Linear(normed, Root + "output_proj");
        int n = rebuilt.Shape[0];
        EfficientNet.TapChannelsFirst(g, "feature_rec", g.Reshape(rebuilt, n, _config.GridHeight, _config.GridWidth, rebuilt.Shape[2]));
        return rebuilt;
    }

    /// <summary>The map (N, 1, H, W): the tokens' Euclidean distances, not divided by the number of channels, enlarged corner to corner.</summary>
    private protected Node AnomalyMap(GraphBuilder g, Node features, Node rebuilt)
    {
        Node distance = g.Reshape(g.EuclideanDistance(rebuilt, features), features.Shape[0], 1, _config.GridHeight, _config.GridWidth);
        return g.Output("anomaly_map", g.Resize(g.Tap("score_small", distance), _config.ImageHeight, _config.ImageWidth, alignCorners: true));
    }

    /// <summary>The largest mean over squares of the map.</summary>
    private protected Node LargestPooled(GraphBuilder g, Node map) => g.MaxPerImage(g.AveragePool(map, _config.ScorePool, stride: 1));

    /// <summary>Tensors of the backbone, of the transformer without queries and positions, and of the projections.</summary>
    /// <param name="projectionRank">Dimensions of the projections' weights: 2, or 4 if they are 1×1 convolutions.</param>
    /// <param name="encoderNorm">Whether the encoder ends in a norm.</param>
    private protected IEnumerable<TensorSpec> CommonTensors(int projectionRank, bool encoderNorm)
    {
        int d = _config.Width, channels = _config.Backbone.Channels;
        int[] kernel = [.. Enumerable.Repeat(1, projectionRank - 2)];
        IEnumerable<TensorSpec> tensors =
        [
            .. new EfficientNet(_config.Backbone, BackboneRoot).Tensors(),
            new(Root + "input_proj.weight", new Shape([d, channels, .. kernel])),
            new(Root + "input_proj.bias", new Shape(d)),
            .. Enumerable.Range(0, _config.EncoderLayers).SelectMany(j => Layer(EncoderKey(j), ["self_attn"], norms: 2)),
            .. encoderNorm ? LayerTensors.LayerNorm(Root + "transformer.encoder.norm", d) : [],
            .. Enumerable.Range(0, _config.DecoderLayers).SelectMany(j => Layer(DecoderKey(j), ["self_attn", "multihead_attn"], norms: 3)),
            .. LayerTensors.LayerNorm(Root + "transformer.decoder.norm", d),
            new(Root + "output_proj.weight", new Shape([channels, d, .. kernel])),
            new(Root + "output_proj.bias", new Shape(channels)),
        ];
        return tensors;

        IEnumerable<TensorSpec> Layer(string key, string[] attentions, int norms) =>
        [
            .. attentions.SelectMany(a => (IEnumerable<TensorSpec>)
            [
                new($"{key}.{a}.in_proj_weight", new Shape(3 * d, d)),
                new($"{key}.{a}.in_proj_bias", new Shape(3 * d)),
                .. LayerTensors.Linear($"{key}.{a}.out_proj", d, d),
            ]),
            .. LayerTensors.Linear(key + ".linear1", _config.FeedForward, d),
            .. LayerTensors.Linear(key + ".linear2", d, _config.FeedForward),
            .. Enumerable.Range(1, norms).SelectMany(n => LayerTensors.LayerNorm($"{key}.norm{n}", d)),
        ];
    }

    /// <summary>Tensors of the learned positions.</summary>
    private protected IEnumerable<TensorSpec> PositionTensors() =>
    [
        new(Root + "pos_embed.row_embed.weight", new Shape(_config.GridHeight, _config.Width / 2)),
        new(Root + "pos_embed.col_embed.weight", new Shape(_config.GridWidth, _config.Width / 2)),
    ];
}
