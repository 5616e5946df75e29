using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="InTra"/>; in brackets the keys of the model card.</summary>
public sealed record InTraConfig
{
    /// <summary>Picture height in pixels, a multiple of <see cref="PatchSize"/> ["image_h"].</summary>
    public required int ImageHeight { get; init; }

    /// <summary>Picture width in pixels, a multiple of <see cref="PatchSize"/> ["image_w"].</summary>
    public required int ImageWidth { get; init; }

    /// <summary>Side of a patch in pixels ["K"], published 16.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Side of a window in patches ["L"], published 7.</summary>
    public required int WindowSize { get; init; }

    /// <summary>Token width ["d_model"], published 512.</summary>
    public required int Width { get; init; }

    /// <summary>Number of blocks ["N"], published 13.</summary>
    public required int Blocks { get; init; }

    /// <summary>Attention heads ["h"], published 8. Not in a checkpoint.</summary>
    public required int Heads { get; init; }

    /// <summary>Side of the position table's grid ["grid_max"]: the table has grid_max² rows.</summary>
    public required int GridMax { get; init; }

    /// <summary>["long_skip"]: "symmetric" (paper: block i adds the output of block n−1−i) or "jhy12" (that of block n−i).</summary>
    public string LongSkip { get; init; } = "symmetric";

    /// <summary>["window"]: "centered" (paper) or "jhy12" (one row and one column too early in the interior).</summary>
    public string Window { get; init; } = "centered";

    /// <summary>["position"]: "global" (rows of the whole picture's grid) or "local" (rows of the window).</summary>
    public string Position { get; init; } = "global";

    /// <summary>["map"]: "paper" (pooled and blurred GMS, minus the mean map, squared) or "jhy12" (three-scale GMS, 21×21 mean filter).</summary>
    public string Map { get; init; } = "paper";

    /// <summary>Taps of the paper map's Gaussian ["blur_kernel"], odd, default 7.</summary>
    public int BlurKernel { get; init; } = 7;

    /// <summary>Its standard deviation in pixels ["blur_sigma"], default 2.</summary>
    public double BlurSigma { get; init; } = 2;

    internal static InTraConfig Read(ConfigReader r)
    {
        InTraConfig config = new()
        {
            ImageHeight = r.Int("image_h", max: 16384),
            ImageWidth = r.Int("image_w", max: 16384),
            PatchSize = r.Int("K", max: 256),
            WindowSize = r.Int("L", max: 64),
            Width = r.Int("d_model", max: 16384),
            Blocks = r.Int("N", max: 256),
            Heads = r.Int("h", fallback: 8, max: 256),
            GridMax = r.Int("grid_max", max: 1024),
            LongSkip = r.Choice("long_skip", "symmetric", "symmetric", "jhy12"),
            Window = r.Choice("window", "centered", "centered", "jhy12"),
            Position = r.Choice("position", "global", "global", "local"),
            Map = r.Choice("map", "paper", "paper", "jhy12"),
            BlurKernel = r.Int("blur_kernel", fallback: 7, max: 255),
            BlurSigma = r.Number("blur_sigma", fallback: 2, min: 0.01, max: 255),
        };
        if (r.Int("C", fallback: 3) != 3)
        {
            throw r.Error("C", "must be 3: pictures have three channels");
        }

        int gridH = config.ImageHeight / config.PatchSize, gridW = config.ImageWidth / config.PatchSize;
        if (config.ImageHeight % config.PatchSize != 0 || config.ImageWidth % config.PatchSize != 0)
        {
            throw r.Error("K", $"is {config.PatchSize}, which does not divide the picture ({config.ImageHeight}×{config.ImageWidth})");
        }

        if (config.ImageHeight % 4 != 0 || config.ImageWidth % 4 != 0)
        {
            throw r.Error("image_h", $"and image_w must be multiples of 4 (the map is pooled twice), found {config.ImageHeight}×{config.ImageWidth}");
        }

        if (gridH < config.WindowSize || gridW < config.WindowSize)
        {
            throw r.Error("L", $"is {config.WindowSize}, but the picture has only {gridH}×{gridW} patches");
        }

        if (config.Position == "global" && (long)gridH * gridW > (long)config.GridMax * config.GridMax)
        {
            throw r.Error("grid_max", $"is {config.GridMax}: the position table has {config.GridMax * config.GridMax} rows, the picture {gridH * gridW} patches");
        }

        if (config.Width % (2 * config.Heads) != 0)
        {
            throw r.Error("h", $"is {config.Heads}: 2·h must divide d_model = {config.Width}");
        }

        // The windows' tokens are listed one by one: 16384² pixels in patches of 16 and windows of 7 × 7 take four fifths of this.
        const long MaxTokens = 1 << 26;
        if ((long)gridH * gridW * config.WindowSize * config.WindowSize > MaxTokens)
        {
            throw r.Error("L", $"is {config.WindowSize}, which makes {gridH}×{gridW} windows of {config.WindowSize}² tokens, more than {MaxTokens:N0}");
        }

        if (config.BlurKernel % 2 == 0)
        {
            throw r.Error("blur_kernel", $"is {config.BlurKernel}, but must be odd");
        }

        return config;
    }

    internal JsonObject Write() => new()
    {
        ["image_h"] = ImageHeight,
        ["image_w"] = ImageWidth,
        ["K"] = PatchSize,
        ["L"] = WindowSize,
        ["C"] = 3,
        ["N"] = Blocks,
        ["h"] = Heads,
        ["d_model"] = Width,
        ["grid_max"] = GridMax,
        ["long_skip"] = LongSkip,
        ["window"] = Window,
        ["position"] = Position,
        ["map"] = Map,
        ["blur_kernel"] = BlurKernel,
        ["blur_sigma"] = BlurSigma,
    };
}

/// <summary>
/// InTra, the Inpainting Transformer (Pirnay and Chai, arXiv 2104.13897; keys of jhy12/inpainting-transformer): every patch is covered once and
/// rebuilt from the window around it; gradient magnitude similarity of picture and rebuilt picture gives the anomaly map.
/// </summary>
public sealed class InTra : Model
{
    /// <summary>Key of the optional mean map of the normal pictures, (1, 1, H, W): part of the fitted model in the paper's variant.</summary>
    public const string MeanMapKey = "mean_map";

    private const double Epsilon = 1e-5;
    private readonly InTraConfig _config;
    private readonly int _gridHeight;
    private readonly int _gridWidth;

    /// <summary>Creates the model.</summary>
    public InTra(InTraConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        _config = config;
        _gridHeight = config.ImageHeight / config.PatchSize;
        _gridWidth = config.ImageWidth / config.PatchSize;
        Tensors = [.. ListTensors()];
    }

    /// <inheritdoc/>
    public override string Name => "InTra";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    public override PicturePreprocessing Preprocessing => new(
        _config.ImageHeight,
        _config.ImageWidth,
        ResizeShortSide: null,
        Interpolation.Bilinear,
        _config.ImageHeight,
        _config.ImageWidth,
        Mean: [0, 0, 0],
        Std: [1, 1, 1]);

    /// <inheritdoc/>
    public override int ImageHeight => _config.ImageHeight;

    /// <inheritdoc/>
    public override int ImageWidth => _config.ImageWidth;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Assumptions(Func<string, bool> present)
    {
        ArgumentNullException.ThrowIfNull(present);
        return _config.Map == "paper" && !present(MeanMapKey)
            ? [$"no \"{MeanMapKey}\" in the model file: zeros are taken for the mean map of the normal pictures, so maps and scores are higher than the fitted model's; convert with the mean map as second file"]
            : [];
    }

    /// <inheritdoc/>
    public override void Build(GraphBuilder g, int batch)
    {
        ArgumentNullException.ThrowIfNull(g);
        int k = _config.PatchSize, m = _gridHeight, n = _gridWidth, patches = m * n;
        Node image = g.Input("input", new Shape(batch, 3, _config.ImageHeight, _config.ImageWidth));
        g.Tap("patches", g.Reshape(
            g.Permute(g.Reshape(image, batch, 3, m, k, n, k), 0, 2, 4, 3, 5, 1), batch, patches, k * k * 3));

        // Card 3.1. Everything before block 0's attention depends on the token alone: it is computed once per patch, visible and covered, and gathered.
        Node projected = g.Tap("lin_proj", g.PatchEmbedding(image, "lin_proj", k, PatchOrder.RowColumnChannel));
        Func<Node, Node> windows;
        Node table;
        if (_config.Position == "global")
        {
            Node position = g.Slice(g.Parameter("pos_embedding_glb"), axis: 1, start: 0, length: patches);
            Node covered = g.Broadcast(g.Add(g.Parameter("x_inpaint"), position), batch, patches, _config.Width);
            table = g.Concat(1, g.Add(projected, position), covered);
            int[] tokens = WindowTokens(p => patches + p);
            windows = x => g.Gather(x, tokens, patches);
        }
        else
        {
            table = g.Concat(1, projected, g.Broadcast(g.Parameter("x_inpaint"), batch, 1, _config.Width));
            Node positions = g.Broadcast(g.Parameter("pos_embedding_loc"), batch, _config.WindowSize * _config.WindowSize, _config.Width);
            int[] tokens = WindowTokens(_ => patches), places = WindowPlaces();
            windows = x => g.Add(g.Gather(x, tokens, patches), g.Gather(positions, places, patches));
        }

        Node encoded;
        if (_config.Position == "global")
        {
            (Node norm, Node hidden, Node q, Node key, Node v) = Projections(g, table, block: 0);
            using IDisposable region = g.SlicedRegion();
            g.Tap("sel.block0.ln1", windows(norm));
            g.Tap("sel.block0.q_hidden_gelu", windows(hidden));
            encoded = Encode(g, windows(table), (windows(q), windows(key), windows(v)));
        }
        else
        {
            using IDisposable region = g.SlicedRegion();
            encoded = Encode(g, windows(table), firstProjections: null);
        }

        // Cards 3.3 and 3.4: the mean token becomes the covered patch; every pixel is rebuilt exactly once.
        Node rebuilt = g.Tap("patch_out", g.Reshape(g.Linear(encoded, "generator.proj"), batch, patches, k * k * 3));
        Node recon = g.Tap("recon", g.Reshape(
            g.Permute(g.Reshape(rebuilt, batch, m, n, k, k, 3), 0, 5, 1, 3, 2, 4), batch, 3, _config.ImageHeight, _config.ImageWidth));

        // Every pixel belongs to exactly one patch: putting the uncovered patches together again gives the picture itself.
        g.Tap("reassembled_input", image);
        Node map = _config.Map == "paper" ? PaperMap(g, image, recon) : ThreeScaleMap(g, image, recon, "msgms_map");
        g.Output("anomaly_map", map);
        g.Output("image_score", g.MaxPerImage(map));
    }

    /// <summary>First row and column of the window in which patch (row, column) is covered, card section 3.5.</summary>
    internal (int Row, int Column) WindowOrigin(int row, int column)
    {
        // jhy12 evaluates the 1-based formula with 0-based indices: one row and one column too early in the interior.
        int half = (_config.WindowSize / 2) + (_config.Window == "jhy12" ? 1 : 0);
        return (Math.Min(Math.Max(row - half, 0), _gridHeight - _config.WindowSize), Math.Min(Math.Max(column - half, 0), _gridWidth - _config.WindowSize));
    }

    /// <summary>Table rows of every window's tokens, window by window: the covered token first, then the visible ones row by row.</summary>
    private int[] WindowTokens(Func<int, int> coveredRow) =>
        [.. WindowCells().SelectMany(w => w.Cells.Select(c => c.Patch == w.Covered ? coveredRow(w.Covered) : c.Patch))];

    /// <summary>Places of the same tokens within their window, row by row: the rows of the local position table.</summary>
    private int[] WindowPlaces() => [.. WindowCells().SelectMany(w => w.Cells.Select(c => c.Place))];

    private IEnumerable<(int Covered, IEnumerable<(int Patch, int Place)> Cells)> WindowCells()
    {
        int side = _config.WindowSize;
        for (int covered = 0; covered < _gridHeight * _gridWidth; covered++)
        {
            int patch = covered;
            (int r, int s) = WindowOrigin(covered / _gridWidth, covered % _gridWidth);
            var cells = Enumerable.Range(0, side * side).Select(i => (Patch: ((r + (i / side)) * _gridWidth) + s + (i % side), Place: i));
            yield return (covered, cells.OrderBy(c => c.Patch == patch ? 0 : 1));
        }
    }

    /// <summary>The blocks on all windows, card section 3.2, and the mean over the normed tokens.</summary>
    private Node Encode(GraphBuilder g, Node x, (Node Q, Node K, Node V)? firstProjections)
    {
        int n = _config.Blocks, half = n / 2;
        List<Node> outputs = [];
        g.Tap("sel.tokens_in", x);
        for (int b = 0; b < n; b++)
        {
            int source = _config.LongSkip == "symmetric" ? n - 1 - b : n - b;
            if (_config.LongSkip == "symmetric" ? b >= n - half : b > half)
            {
                x = g.Add(x, outputs[source]);
            }

            (Node q, Node k, Node v) = b == 0 && firstProjections is not null ? firstProjections.Value : Attended(g, x, b);
            if (b == 0)
            {
                g.Tap("sel.block0.q", q);
                g.Tap("sel.block0.k", k);
                g.Tap("sel.block0.v", v);
            }

            string block = $"encoder.layers.{b}";
            // The scale is that of the reduced query width per head, D/2/heads.
            Node o = g.Attention(q, k, v, _config.Heads, 1 / Math.Sqrt(_config.Width / 2.0 / _config.Heads));
            o = g.Tap($"sel.block{b}.attn_proj", g.Linear(o, block + ".self_attn.linear"));
            x = g.Tap($"sel.block{b}.after_attn", g.Add(x, o));
            Node y = g.LayerNorm(x, block + ".sublayer.1.norm", Epsilon);
            y = g.Gelu(g.Linear(y, block + ".feed_forward.w_1"));
            x = g.Add(x, g.Tap($"sel.block{b}.ffn", g.Linear(y, block + ".feed_forward.w_2")));
            outputs.Add(g.Tap($"sel.block{b}.out", x));
        }

        Node norm = g.Tap("sel.final_norm", g.LayerNorm(x, "encoder.norm", Epsilon));
        return g.Tap("encoded_avg", g.Mean(norm, axis: 1, keepDimension: false));
    }

    private static (Node Q, Node K, Node V) Attended(GraphBuilder g, Node x, int block)
    {
        (_, _, Node q, Node k, Node v) = Projections(g, x, block);
        return (q, k, v);
    }

    /// <summary>LayerNorm and the three projections of a block; queries and keys go through an MLP that halves the width (MFSA).</summary>
    private static (Node Norm, Node Hidden, Node Q, Node K, Node V) Projections(GraphBuilder g, Node x, int block)
    {
        string prefix = $"encoder.layers.{block}";
        Node norm = g.LayerNorm(x, prefix + ".sublayer.0.norm", Epsilon);
        Node hidden = g.Gelu(g.Linear(norm, prefix + ".self_attn.MLP_q.0"));
        Node q = g.Linear(hidden, prefix + ".self_attn.MLP_q.2");
        Node k = g.Linear(g.Gelu(g.Linear(norm, prefix + ".self_attn.MLP_k.0")), prefix + ".self_attn.MLP_k.2");
        return (norm, hidden, q, k, g.Linear(norm, prefix + ".self_attn.linear_v"));
    }

    /// <summary>Card section 4: pooled and blurred 1 − GMS at scales 1/2 and 1/4, minus the mean map, squared.</summary>
    private Node PaperMap(GraphBuilder g, Node image, Node recon)
    {
        Node similarity = g.Tap("gms_avg", g.Mean(g.GradientMagnitudeSimilarity(image, recon), axis: 1, keepDimension: true));
        Node error = g.Affine(similarity, -1, 1);
        float[] blur = SeparableFilter.Gaussian(_config.BlurSigma, _config.BlurKernel / 2);
        Node half = g.Tap("m_1_2", g.Filter(g.AveragePool(error, 2, 2), blur, Border.Zero));
        Node quarter = g.Tap("m_1_4", g.Filter(g.AveragePool(error, 4, 4), blur, Border.Zero));
        Node diff = g.Tap("diff", g.Affine(g.Add(Enlarge(g, half), Enlarge(g, quarter)), 0.5, 0));
        ThreeScaleMap(g, image, recon, "msgms_map_jhy12_on_recon");
        return g.Square(g.Subtract(diff, g.Tap("mean_train_diff", g.Parameter(MeanMapKey))));
    }

    /// <summary>jhy12's map: 1 − mean GMS over three scales, mean over channels, 21×21 mean filter with zero padding.</summary>
    private Node ThreeScaleMap(GraphBuilder g, Node image, Node recon, string tap)
    {
        Node sum = g.GradientMagnitudeSimilarity(image, recon);
        Node a = image, b = recon;
        for (int scale = 1; scale <= 2; scale++)
        {
            a = g.AveragePool(a, 2, 2);
            b = g.AveragePool(b, 2, 2);
            sum = g.Add(sum, Enlarge(g, g.GradientMagnitudeSimilarity(a, b)));
        }

        Node map = g.Mean(g.Affine(sum, -1.0 / 3, 1), axis: 1, keepDimension: true);
        return g.Tap(tap, g.Filter(map, [.. Enumerable.Repeat(1f / 21, 21)], Border.Zero));
    }

    private Node Enlarge(GraphBuilder g, Node x) => g.Resize(x, _config.ImageHeight, _config.ImageWidth, alignCorners: false);

    private IEnumerable<TensorSpec> ListTensors()
    {
        int d = _config.Width, pixels = _config.PatchSize * _config.PatchSize * 3;
        yield return new("x_inpaint", new Shape(1, 1, d));
        yield return _config.Position == "global"
            ? new("pos_embedding_glb", new Shape(1, _config.GridMax * _config.GridMax, d))
            : new("pos_embedding_loc", new Shape(1, _config.WindowSize * _config.WindowSize, d));
        foreach (TensorSpec spec in Layer("lin_proj", d, pixels))
        {
            yield return spec;
        }

        for (int b = 0; b < _config.Blocks; b++)
        {
            string block = $"encoder.layers.{b}";
            IEnumerable<TensorSpec> specs =
            [
                .. Layer(block + ".self_attn.MLP_q.0", 2 * d, d),
                .. Layer(block + ".self_attn.MLP_q.2", d / 2, 2 * d),
                .. Layer(block + ".self_attn.MLP_k.0", 2 * d, d),
                .. Layer(block + ".self_attn.MLP_k.2", d / 2, 2 * d),
                .. Layer(block + ".self_attn.linear_v", d, d),
                .. Layer(block + ".self_attn.linear", d, d),
                .. Layer(block + ".feed_forward.w_1", 4 * d, d),
                .. Layer(block + ".feed_forward.w_2", d, 4 * d),
                .. Norm(block + ".sublayer.0.norm", d),
                .. Norm(block + ".sublayer.1.norm", d),
            ];
            foreach (TensorSpec spec in specs)
            {
                yield return spec;
            }
        }

        foreach (TensorSpec spec in Norm("encoder.norm", d).Concat(Layer("generator.proj", pixels, d)))
        {
            yield return spec;
        }

        if (_config.Map == "paper")
        {
            yield return new(MeanMapKey, new Shape(1, 1, _config.ImageHeight, _config.ImageWidth), Optional: true);
        }

        static IEnumerable<TensorSpec> Layer(string prefix, int outputs, int inputs) =>
            [new(prefix + ".weight", new Shape(outputs, inputs)), new(prefix + ".bias", new Shape(outputs))];

        static IEnumerable<TensorSpec> Norm(string prefix, int width) =>
            [new(prefix + ".weight", new Shape(width)), new(prefix + ".bias", new Shape(width))];
    }
}
