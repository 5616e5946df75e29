using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="Utrad"/>; in brackets the keys of the model card.</summary>
public sealed record UtradConfig
{
    /// <summary>Channels of the backbone's first layer ["backbone_base_width"], published 64.</summary>
    public required int BackboneWidth { get; init; }

    /// <summary>Side of a window in tokens, from the finest level to the coarsest ["patch_size"], published 4, 4, 4; their product is the side of the feature map, 64.</summary>
    public required IReadOnlyList<int> WindowSizes { get; init; }

    /// <summary>Token width ["d_model"], published 512.</summary>
    public required int Width { get; init; }

    /// <summary>Attention heads ["nhead"], published 8. Not in a checkpoint.</summary>
    public required int Heads { get; init; }

    /// <summary>Encoder layers of each level ["num_encoder_layers"], published 4, 4, 4.</summary>
    public required IReadOnlyList<int> EncoderLayers { get; init; }

    /// <summary>Decoder layers of each level ["num_decoder_layers"], published 4, 4, 4.</summary>
    public required IReadOnlyList<int> DecoderLayers { get; init; }

    /// <summary>Hidden width of the feed-forward networks ["dim_feedforward"], published 2048.</summary>
    public required int HiddenWidth { get; init; }

    /// <summary>Activation of the feed-forward networks ["activation"]: "gelu" (published) or "relu".</summary>
    public string Activation { get; init; } = "gelu";

    /// <summary>Channels of the features: the three layers of the backbone together ["input_dim"], published 448.</summary>
    public int FeatureWidth => BackboneWidth * ((1 << ResNet18.Layers) - 1);

    internal static UtradConfig Read(ConfigReader r)
    {
        UtradConfig config = new()
        {
            BackboneWidth = r.Int("backbone_base_width", max: 4096),
            WindowSizes = r.Ints("patch_size"),
            Width = r.Int("d_model", max: 16384),
            Heads = r.Int("nhead", fallback: 8, max: 256),
            EncoderLayers = r.Ints("num_encoder_layers"),
            DecoderLayers = r.Ints("num_decoder_layers"),
            HiddenWidth = r.Int("dim_feedforward"),
            Activation = r.Choice("activation", "gelu", "gelu", "relu"),
        };
        r.Choice("backbone", "resnet18", "resnet18");
        // Both follow from the picture; the others say how a golden case was made.
        r.Ignore("feature_map", "output_map", "backbone_layers", "batch");
        IReadOnlyList<int> image = [Utrad.Size, Utrad.Size];
        if (!r.Ints("image", image).SequenceEqual(image))
        {
            throw r.Error("image", $"must be [{string.Join(", ", image)}]: the score pools a feature map of {Utrad.Grid}×{Utrad.Grid}");
        }

        int features = r.Int("input_dim", fallback: config.FeatureWidth);
        if (features != config.FeatureWidth)
        {
            throw r.Error("input_dim", $"is {features}, but the three layers of a backbone of width {config.BackboneWidth} have {config.FeatureWidth} channels");
        }

        if (config.WindowSizes.Count == 0 || config.WindowSizes.Any(s => s is < 1 or > Utrad.Grid) || config.WindowSizes.Aggregate(1L, Product) != Utrad.Grid)
        {
            throw r.Error("patch_size", $"is [{string.Join(", ", config.WindowSizes)}], expected sides whose product is {Utrad.Grid}, the side of the feature map");
        }

        CheckLayers("num_encoder_layers", config.EncoderLayers);
        CheckLayers("num_decoder_layers", config.DecoderLayers);
        if (config.Width % config.Heads != 0)
        {
            throw r.Error("nhead", $"is {config.Heads}, which does not divide d_model = {config.Width}");
        }

        return config.Width % 8 == 0
            ? config
            : throw r.Error("d_model", $"is {config.Width}, expected a multiple of 8: the scale head halves it three times");

        // Bounded at every step, since a long list of large sides would overflow.
        static long Product(long product, int side) => Math.Min(product * side, int.MaxValue);

        void CheckLayers(string key, IReadOnlyList<int> layers)
        {
            if (layers.Count != config.WindowSizes.Count || layers.Any(n => n is < 1 or > 64))
            {
                throw r.Error(key, $"is [{string.Join(", ", layers)}], expected 1 … 64 layers for each of the {config.WindowSizes.Count} levels");
            }
        }
    }

    internal JsonObject Write() => new()
    {
        ["backbone"] = "resnet18",
        ["backbone_base_width"] = BackboneWidth,
        ["input_dim"] = FeatureWidth,
        ["image"] = Array([Utrad.Size, Utrad.Size]),
        ["patch_size"] = Array(WindowSizes),
        ["d_model"] = Width,
        ["nhead"] = Heads,
        ["num_encoder_layers"] = Array(EncoderLayers),
        ["num_decoder_layers"] = Array(DecoderLayers),
        ["dim_feedforward"] = HiddenWidth,
        ["activation"] = Activation,
    };

    private static JsonArray Array(IReadOnlyList<int> values) => [.. values.Select(v => (JsonNode)v)];
}

/// <summary>
/// UTRAD (Chen et al., Neural Networks 147, 2022; keys of gordon-chenmo/UTRAD): a U-shaped transformer rebuilds the features of a frozen ResNet-18. Going down, the
/// tokens of a window are summed up in one token of the next, coarser level; going up, they are rebuilt from it and from a narrow skip connection. A second head predicts how large the
/// error of a normal picture is; the anomaly map is the error over this prediction.
/// </summary>
public sealed class Utrad : Model
{
    /// <summary>Side of the feature map. The published score pools it over squares of up to this side.</summary>
    internal const int Grid = 64;

    /// <summary>Side of the square picture in pixels.</summary>
    internal const int Size = Grid * ResNet18.Reduction;

    private const double Epsilon = 1e-5;
    private const double LeakySlope = 0.2;
    private static readonly int[] PoolSizes = [1, 4, 16, 64];

    private readonly UtradConfig _config;
    private readonly ResNet18 _backbone;

    /// <summary>Creates the model.</summary>
    public Utrad(UtradConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        _config = config;
        _backbone = new ResNet18("backbone.", config.BackboneWidth);
        Tensors = ListTensors();
    }

    /// <inheritdoc/>
    public override string Name => "UTRAD";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    /// <remarks>
    /// The published code brings the shorter side to 256, which a picture that is not square does not survive; such a one is brought to 256×256 as in training. Square
    /// pictures come out the same.
    /// </remarks>
    public override PicturePreprocessing Preprocessing => new(
        Size,
        Size,
        ResizeShortSide: null,
        Interpolation.Bicubic,
        Size,
        Size,
        Mean: [0.485f, 0.456f, 0.406f],
        Std: [0.229f, 0.224f, 0.225f]);

    /// <inheritdoc/>
    public override int ImageHeight => Size;

    /// <inheritdoc/>
    public override int ImageWidth => Size;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    /// <inheritdoc/>
    public override void Build(GraphBuilder g, int batch)
    {
        ArgumentNullException.ThrowIfNull(g);
        int d = _config.Width, levels = _config.WindowSizes.Count;
        Node picture = g.Input("input", new Shape(batch, 3, Size, Size));

        // Card section 3.2: the three layers' features, the coarser ones repeated.
        IReadOnlyList<Node> layers = _backbone.Build(g, picture);
        Node features = g.Concat(3, [.. layers.Select((x, i) => Repeat(g, x, 1 << i))]);
        TapChannelsFirst(g, "features", features);

        // Card section 3.3: one token a place, then down to a single one and up again.
        Node grid = g.Convolution(features, "pre_conv", stride: 1, default);
        TapChannelsFirst(g, "pre_conv", grid);
        grid = g.Add(grid, g.Reshape(g.Permute(g.Parameter("global_position_embedding.weight"), 1, 0), 1, Grid, Grid, d));
        TapChannelsFirst(g, "pos_added", grid);
        Node[] skips = new Node[levels];
        for (int level = 0; level < levels; level++)
        {
            (grid, skips[level]) = Encode(g, grid, level, batch);
        }

        for (int level = levels - 1; level >= 0; level--)
        {
            grid = Decode(g, grid, skips[level], level, batch);
        }

        TapChannelsFirst(g, "decoded", grid);
        Node recon = g.Convolution(grid, "final_layer1", stride: 1, default);
        TapChannelsFirst(g, "recon", recon);
        Score(g, features, recon, ScaleHead(g, grid), batch);
    }

    /// <summary>Side of a level's grid in windows: the product of the coarser levels' sides.</summary>
    private int WindowsPerSide(int level) => _config.WindowSizes.Skip(level + 1).Aggregate(1, (p, s) => p * s);

    /// <summary>Nearest neighbours: every place becomes factor × factor places.</summary>
    private static Node Repeat(GraphBuilder g, Node x, int factor)
    {
        (int n, int h, int w, int c) = (x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]);
        return g.Reshape(g.Broadcast(g.Reshape(x, n, h, 1, w, 1, c), n, h, factor, w, factor, c), n, h * factor, w * factor, c);
    }

    /// <summary>One level down: the grid (N, P·S, P·S, d) in windows of S×S tokens. Returns the windows' summaries (N, P, P, d) and the skip connection (N·P², S², d).</summary>
    private (Node Summaries, Node Skip) Encode(GraphBuilder g, Node grid, int level, int batch)
    {
        int d = _config.Width, s = _config.WindowSizes[level], p = WindowsPerSide(level), windows = batch * p * p;
        Node x = g.Reshape(g.Permute(g.Reshape(grid, batch, p, s, p, s, d), 0, 1, 3, 2, 4, 5), windows, s * s, d);
        x = g.Add(x, g.Parameter($"position_embedding.{level}.weight"));
        x = g.Concat(1, g.Broadcast(g.Parameter("zeros"), windows, 1, d), x);
        for (int layer = 0; layer < _config.EncoderLayers[level]; layer++)
        {
            string prefix = $"encoder.{level}.layers.{layer}";
            x = g.LayerNorm(g.Add(x, Attend(g, x, x, prefix + ".self_attn")), prefix + ".norm1", Epsilon);
            x = g.LayerNorm(g.Add(x, FeedForward(g, x, prefix)), prefix + ".norm2", Epsilon);
            TapWindows(g, prefix, x, batch);
        }

        x = g.LayerNorm(x, $"encoder.{level}.norm", Epsilon);
        TapWindows(g, $"encoder.{level}", x, batch);

        string neck = $"bottle_neck.{level}";
        Node skip = g.Linear(g.Slice(x, axis: 1, start: 1, length: s * s), neck + ".0");
        skip = g.Gelu(g.LayerNorm(skip, neck + ".1", Epsilon));
        skip = g.LayerNorm(g.Linear(skip, neck + ".3"), neck + ".4", Epsilon);
        TapWindows(g, neck, skip, batch);
        return (g.Reshape(g.Slice(x, axis: 1, start: 0, length: 1), batch, p, p, d), skip);
    }

    /// <summary>One level up: each window's tokens from its summary and its skip connection, back in a grid.</summary>
    private Node Decode(GraphBuilder g, Node summaries, Node skip, int level, int batch)
    {
        int d = _config.Width, s = _config.WindowSizes[level], p = WindowsPerSide(level), windows = batch * p * p;
        Node memory = g.Concat(1, g.Reshape(summaries, windows, 1, d), skip);

        // The queries are the same for every window: up to layer 0's cross-attention there is one window only, and all of that depends on parameters alone.
        Node x = g.Reshape(g.Parameter($"query_embedding.{level}.weight"), 1, s * s, d);
        for (int layer = 0; layer < _config.DecoderLayers[level]; layer++)
        {
            string prefix = $"decoder.{level}.layers.{layer}";
            x = g.LayerNorm(g.Add(x, Attend(g, x, x, prefix + ".self_attn")), prefix + ".norm1", Epsilon);
            x = g.LayerNorm(g.Add(x, Attend(g, x, memory, prefix + ".multihead_attn")), prefix + ".norm2", Epsilon);
            x = g.LayerNorm(g.Add(x, FeedForward(g, x, prefix)), prefix + ".norm3", Epsilon);
            TapWindows(g, prefix, x, batch);
        }

        x = g.LayerNorm(x, $"decoder.{level}.norm", Epsilon);
        TapWindows(g, $"decoder.{level}", x, batch);
        return g.Reshape(g.Permute(g.Reshape(x, batch, p, p, s, s, d), 0, 1, 3, 2, 4, 5), batch, p * s, p * s, d);
    }

    /// <summary>PyTorch's MultiheadAttention within windows; queries of one window stand for those of all.</summary>
    private Node Attend(GraphBuilder g, Node x, Node memory, string prefix)
    {
        int d = _config.Width, windows = memory.Shape[0], tokens = x.Shape[1];
        Node weight = g.Parameter(prefix + ".in_proj_weight"), bias = g.Parameter(prefix + ".in_proj_bias");
        Node q, k, v;
        if (x == memory)
        {
            Node qkv = g.Linear(x, weight, bias);
            (q, k, v) = (g.Slice(qkv, 2, 0, d), g.Slice(qkv, 2, d, d), g.Slice(qkv, 2, 2 * d, d));
        }
        else
        {
            q = g.Linear(x, g.Slice(weight, 0, 0, d), g.Slice(bias, 0, 0, d));
            q = x.Shape[0] == windows ? q : g.Broadcast(q, windows, tokens, d);
            Node kv = g.Linear(memory, g.Slice(weight, 0, d, 2 * d), g.Slice(bias, 0, d, 2 * d));
            (k, v) = (g.Slice(kv, 2, 0, d), g.Slice(kv, 2, d, d));
        }

        return g.Linear(g.Attention(q, k, v, _config.Heads, 1 / Math.Sqrt((double)d / _config.Heads)), prefix + ".out_proj");
    }

    private Node FeedForward(GraphBuilder g, Node x, string prefix)
    {
        Node hidden = g.Linear(x, prefix + ".linear1");
        return g.Linear(_config.Activation == "gelu" ? g.Gelu(hidden) : g.Relu(hidden), prefix + ".linear2");
    }

    /// <summary>The error that is expected of a normal picture, signed, (N, 64, 64, 1).</summary>
    private Node ScaleHead(GraphBuilder g, Node x)
    {
        for (int stage = 0; stage < ScaleHeadWidths.Length - 1; stage++)
        {
            x = g.BatchNorm(g.Convolution(x, $"final_layer2.{3 * stage}", stride: 1, default), $"final_layer2.{(3 * stage) + 1}", Epsilon);
            x = g.Add(g.Affine(x, LeakySlope, 0), g.Affine(g.Relu(x), 1 - LeakySlope, 0));
        }

        x = g.Convolution(x, $"final_layer2.{3 * (ScaleHeadWidths.Length - 1)}", stride: 1, default);
        TapChannelsFirst(g, "std", x);
        return x;
    }

    private int[] ScaleHeadWidths => [_config.Width, _config.Width / 2, _config.Width / 4, _config.Width / 8, 1];

    /// <summary>Card section 4: the error over the expected one, averaged over four sizes of squares; no epsilon, as published.</summary>
    private void Score(GraphBuilder g, Node features, Node recon, Node scale, int batch)
    {
        int places = Grid * Grid;
        Node error = g.EuclideanDistance(g.Reshape(recon, batch, places, _config.FeatureWidth), g.Reshape(features, batch, places, _config.FeatureWidth));
        Node distance = g.Reshape(g.Divide(error, g.Abs(g.Reshape(scale, batch, places))), batch, 1, Grid, Grid);
        g.Tap("dist", distance);
        Node? sum = null;
        for (int i = 0; i < PoolSizes.Length; i++)
        {
            int side = PoolSizes[i];
            Node pooled = side == 1 ? distance : g.Resize(g.AveragePool(distance, side, side), Grid, Grid, alignCorners: false);
            g.Tap($"scale{i}", pooled);
            sum = sum is null ? pooled : g.Add(sum, pooled);
        }

        Node score = g.Tap("score64", g.Affine(sum!, 1.0 / PoolSizes.Length, 0));
        Node map = g.Output("anomaly_map", g.Resize(score, Size, Size, alignCorners: false));
        g.Output("image_score", g.MaxPerImage(map));
    }

    private static void TapChannelsFirst(GraphBuilder g, string name, Node x) => g.Tap(name, g.Permute(x, 0, 3, 1, 2));

    /// <summary>Windows (N·P², L, d) in the published code's order, tokens before windows, the picture in front: (N, L, P², d).</summary>
    private static void TapWindows(GraphBuilder g, string name, Node x, int batch) =>
        g.Tap(name, g.Permute(g.Reshape(x, batch, x.Shape[0] / batch, x.Shape[1], x.Shape[2]), 0, 2, 1, 3));

    private List<TensorSpec> ListTensors()
    {
        int d = _config.Width, levels = _config.WindowSizes.Count;
        List<TensorSpec> tensors =
        [
            .. _backbone.Tensors,
            new("zeros", new Shape(1, 1, d)),
            new("global_position_embedding.weight", new Shape(d, Grid * Grid)),
            new("pre_conv.weight", new Shape(d, _config.FeatureWidth, 1, 1)),
            new("final_layer1.weight", new Shape(_config.FeatureWidth, d, 1, 1)),
        ];
        for (int level = 0; level < levels; level++)
        {
            int tokens = _config.WindowSizes[level] * _config.WindowSizes[level];
            string neck = $"bottle_neck.{level}";
            tensors.AddRange(
            [
                new($"position_embedding.{level}.weight", new Shape(tokens, d)),
                new($"query_embedding.{level}.weight", new Shape(tokens, d)),
                .. Enumerable.Range(0, _config.EncoderLayers[level]).SelectMany(j => Layer($"encoder.{level}.layers.{j}", norms: 2)),
                .. LayerTensors.LayerNorm($"encoder.{level}.norm", d),
                .. Enumerable.Range(0, _config.DecoderLayers[level]).SelectMany(j => Layer($"decoder.{level}.layers.{j}", norms: 3)),
                .. LayerTensors.LayerNorm($"decoder.{level}.norm", d),
                .. LayerTensors.Linear(neck + ".0", d / 4, d),
                .. LayerTensors.LayerNorm(neck + ".1", d / 4),
                .. LayerTensors.Linear(neck + ".3", d, d / 4),
                .. LayerTensors.LayerNorm(neck + ".4", d),
            ]);
        }

        int[] widths = ScaleHeadWidths;
        for (int stage = 0; stage < widths.Length; stage++)
        {
            tensors.Add(new($"final_layer2.{3 * stage}.weight", new Shape(widths[stage], stage == 0 ? d : widths[stage - 1], 1, 1)));
            tensors.AddRange(stage == widths.Length - 1 ? [] : LayerTensors.BatchNorm($"final_layer2.{(3 * stage) + 1}", widths[stage]));
        }

        return tensors;
    }

    /// <summary>A layer of encoder (two norms) or decoder (three, and cross-attention).</summary>
    private IEnumerable<TensorSpec> Layer(string prefix, int norms)
    {
        int d = _config.Width;
        return
        [
            .. Attention(prefix + ".self_attn"),
            .. norms == 3 ? Attention(prefix + ".multihead_attn") : [],
            .. LayerTensors.Linear(prefix + ".linear1", _config.HiddenWidth, d),
            .. LayerTensors.Linear(prefix + ".linear2", d, _config.HiddenWidth),
            .. Enumerable.Range(1, norms).SelectMany(n => LayerTensors.LayerNorm($"{prefix}.norm{n}", d)),
        ];

        IEnumerable<TensorSpec> Attention(string key) =>
        [
            new(key + ".in_proj_weight", new Shape(3 * d, d)),
            new(key + ".in_proj_bias", new Shape(3 * d)),
            .. LayerTensors.Linear(key + ".out_proj", d, d),
        ];
    }
}
