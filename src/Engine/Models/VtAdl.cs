using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="VtAdl"/>; in brackets the keys of the model card.</summary>
public sealed record VtAdlConfig
{
    /// <summary>Side of the square picture in pixels ["image_size"], published 512.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Side of a patch in pixels ["patch_size"], published 64.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Token width ["dim"], published 512.</summary>
    public required int Width { get; init; }

    /// <summary>Encoder blocks ["depth"], published 6.</summary>
    public required int Depth { get; init; }

    /// <summary>Attention heads ["heads"], published 8. Not in a checkpoint.</summary>
    public required int Heads { get; init; }

    /// <summary>Hidden width of the encoder's MLP ["mlp_dim"], published 1024.</summary>
    public required int HiddenWidth { get; init; }

    /// <summary>Capsules that a token is cut into ["caps_per_token"], published 64.</summary>
    public required int CapsulesPerToken { get; init; }

    /// <summary>Numbers in such a capsule ["in_dim_caps"], published 8.</summary>
    public required int CapsuleWidth { get; init; }

    /// <summary>Channels that the decoder starts from ["latent_c"], published 8.</summary>
    public required int LatentChannels { get; init; }

    /// <summary>Side of the square that it starts from ["latent_h" and "latent_w"], published 8.</summary>
    public required int LatentSize { get; init; }

    /// <summary>Gaussians of the mixture ["gaussians"]: 10 in the published code, 150 in the paper.</summary>
    public required int Gaussians { get; init; }

    /// <summary>
    /// ["nll"]: "weighted_sum", the published code's mean of the Gaussians' log-likelihoods under their weights, or "log_sum_exp", the likelihood of the
    /// mixture.
    /// </summary>
    public string Likelihood { get; init; } = "weighted_sum";

    /// <summary>["ssim_sign"]: "plus", as the published code adds the similarity to the score although a higher one is better, or "minus".</summary>
    public string SimilaritySign { get; init; } = "plus";

    /// <summary>Side to which pictures are brought before the centre is cut out ["resize"], published 550 for 512; other sizes in proportion.</summary>
    public required int Resize { get; init; }

    internal static VtAdlConfig Read(ConfigReader r)
    {
        int size = r.Int("image_size", max: 16384);
        VtAdlConfig config = new()
        {
            ImageSize = size,
            PatchSize = r.Int("patch_size", max: 1024),
            Width = r.Int("dim", max: 16384),
            Depth = r.Int("depth", max: 256),
            Heads = r.Int("heads", fallback: 8, max: 256),
            HiddenWidth = r.Int("mlp_dim"),
            CapsulesPerToken = r.Int("caps_per_token"),
            CapsuleWidth = r.Int("in_dim_caps"),
            LatentChannels = r.Int("latent_c", max: 4096),
            LatentSize = r.Int("latent_h", max: 1024),
            Gaussians = r.Int("gaussians", max: 4096),
            Likelihood = r.Choice("nll", "weighted_sum", "weighted_sum", "log_sum_exp"),
            SimilaritySign = r.Choice("ssim_sign", "plus", "plus", "minus"),
            Resize = r.Int("resize", fallback: (int)Math.Round(size * 550 / 512.0), max: 16384),
        };
        if (size % config.PatchSize != 0)
        {
            throw r.Error("patch_size", $"is {config.PatchSize}, which does not divide the picture side {size}");
        }

        if (config.Width % config.Heads != 0)
        {
            throw r.Error("heads", $"is {config.Heads}, which does not divide dim = {config.Width}");
        }

        if ((long)config.CapsulesPerToken * config.CapsuleWidth != config.Width)
        {
            throw r.Error("caps_per_token", $"· \"in_dim_caps\" is {config.CapsulesPerToken} · {config.CapsuleWidth}, expected dim = {config.Width}");
        }

        if (r.Int("latent_w", fallback: config.LatentSize) != config.LatentSize)
        {
            throw r.Error("latent_w", $"must be latent_h = {config.LatentSize}: pictures are square");
        }

        if (VtAdl.DecodedSize(config.LatentSize) != size)
        {
            throw r.Error(
                "latent_h", $"is {config.LatentSize}, which the decoder makes a picture of {VtAdl.DecodedSize(config.LatentSize)} pixels, expected image_size = {size}");
        }

        if (config.Resize < size)
        {
            throw r.Error("resize", $"is {config.Resize}, smaller than the part that is cut out, image_size = {size}");
        }

        const long MaxMeans = 1 << 30;
        long means = (long)size / config.PatchSize * (size / config.PatchSize) * config.Width * config.Gaussians;
        return means <= MaxMeans
            ? config
            : throw r.Error("gaussians", $"is {config.Gaussians}, which makes {means:N0} means for the patches of one picture, more than {MaxMeans:N0}");
    }

    internal JsonObject Write() => new()
    {
        ["image_size"] = ImageSize,
        ["patch_size"] = PatchSize,
        ["dim"] = Width,
        ["depth"] = Depth,
        ["heads"] = Heads,
        ["mlp_dim"] = HiddenWidth,
        ["caps_per_token"] = CapsulesPerToken,
        ["in_dim_caps"] = CapsuleWidth,
        ["latent_c"] = LatentChannels,
        ["latent_h"] = LatentSize,
        ["latent_w"] = LatentSize,
        ["gaussians"] = Gaussians,
        ["nll"] = Likelihood,
        ["ssim_sign"] = SimilaritySign,
        ["resize"] = Resize,
    };
}

/// <summary>
/// VT-ADL (Mishra et al., arXiv 2104.10036; keys of pankajmishra000/VT-ADL): a small transformer encodes large patches; one capsule and a stack of transposed
/// convolutions rebuild the picture, and a mixture density network says how likely every patch's features are. Its negative log-likelihood is the anomaly map.
/// </summary>
public sealed class VtAdl : Model
{
    private const double LayerNormEpsilon = 1e-5;
    private const double BatchNormEpsilon = 1e-5;

    // The map is smoothed by scipy's gaussian_filter with sigma 4, cut off after 4 sigma; SSIM looks at 11×11 pixels of values in [0, 1].
    private const double MapSigma = 4;
    private const int MapRadius = 16;
    private const double WindowSigma = 1.5;
    private const int WindowRadius = 5;
    private const double C1 = 0.01 * 0.01;
    private const double C2 = 0.03 * 0.03;

    /// <summary>The transposed convolutions by their place in the decoder's list; behind each but the last stand batch normalisation and ReLU.</summary>
    private static readonly (int Place, int Channels, int Kernel, int Stride, int Padding)[] Decoder =
        [(0, 16, 3, 2, 1), (3, 32, 9, 3, 1), (6, 32, 7, 5, 1), (9, 16, 9, 2, 0), (12, 8, 6, 1, 0), (15, 3, 11, 1, 0)];

    private readonly VtAdlConfig _config;
    private readonly int _grid;

    /// <summary>Creates the model.</summary>
    public VtAdl(VtAdlConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        _config = config;
        _grid = config.ImageSize / config.PatchSize;
        Tensors = ListTensors();
    }

    /// <inheritdoc/>
    public override string Name => "VT-ADL";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    public override PicturePreprocessing Preprocessing => new(
        _config.Resize,
        _config.Resize,
        ResizeShortSide: null,
        Interpolation.Bilinear,
        _config.ImageSize,
        _config.ImageSize,
        Mean: [0, 0, 0],
        Std: [1, 1, 1]);

    /// <inheritdoc/>
    public override int ImageHeight => _config.ImageSize;

    /// <inheritdoc/>
    public override int ImageWidth => _config.ImageSize;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    /// <inheritdoc/>
    public override void Build(GraphBuilder g, int batch)
    {
        ArgumentNullException.ThrowIfNull(g);
        int size = _config.ImageSize, d = _config.Width, patches = _grid * _grid;
        Node image = g.Input("input", new Shape(batch, 3, size, size));
        Node encoded = Encode(g, image, batch);

        // Likelihood of the patches: the anomaly map.
        Node nll = Likelihood(g, encoded, batch);
        Node enlarged = g.Resize(g.Reshape(nll, batch, 1, _grid, _grid), size, size, alignCorners: true);
        g.Tap("map_upsampled", enlarged);
        Node map = g.Output("anomaly_map", g.Filter(enlarged, SeparableFilter.Gaussian(MapSigma, MapRadius), Border.Reflect));
        g.Tap("map_max", g.MaxPerImage(map));

        // Likeness of picture and rebuilt picture, which only the score looks at.
        Node recon = Rebuild(g, encoded, batch);
        Node error = g.Tap("mse", MeanPerImage(g, g.Square(g.Subtract(recon, image)), batch));
        Node similarity = g.StructuralSimilarity(image, recon, SeparableFilter.Gaussian(WindowSigma, WindowRadius), C1, C2);
        similarity = g.Tap("ssim", MeanPerImage(g, similarity, batch));
        Node likeness = _config.SimilaritySign == "plus" ? g.Add(error, similarity) : g.Subtract(error, similarity);
        g.Output("image_score", g.Add(likeness, g.MaxPerImage(nll)));
    }

    /// <summary>Side of the picture that the decoder makes of a square of the given side.</summary>
    internal static int DecodedSize(int latentSize) =>
        Decoder.Aggregate(latentSize, (side, layer) => ((side - 1) * layer.Stride) - (2 * layer.Padding) + layer.Kernel);

    /// <summary>Card sections 3.1 and 3.2: the patches' features (N, L, D), without the class token and with no norm at the end.</summary>
    private Node Encode(GraphBuilder g, Node image, int batch)
    {
        int d = _config.Width;
        Node x = g.Tap("patch_embed", g.PatchEmbedding(image, "vt.patch_to_embedding", _config.PatchSize, PatchOrder.RowColumnChannel));
        x = g.Concat(1, g.Broadcast(g.Parameter("vt.cls_token"), batch, 1, d), x);
        x = g.Tap("tokens_in", g.Add(x, g.Parameter("vt.pos_embedding")));
        for (int block = 0; block < _config.Depth; block++)
        {
            string layer = $"vt.transformer.layers.{block}", tap = $"block{block}";
            Node y = g.Tap(tap + ".ln1", g.LayerNorm(x, layer + ".0.fn.norm", LayerNormEpsilon));
            Node qkv = g.Tap(tap + ".qkv", g.Linear(y, g.Parameter(layer + ".0.fn.fn.to_qkv.weight"), bias: null));

            // The published code divides by the root of the token width, not of the head's.
            Node o = g.Attention(g.Slice(qkv, 2, 0, d), g.Slice(qkv, 2, d, d), g.Slice(qkv, 2, 2 * d, d), _config.Heads, 1 / Math.Sqrt(d));
            o = g.Tap(tap + ".attn_proj", g.Linear(o, layer + ".0.fn.fn.to_out.0"));
            x = g.Tap(tap + ".after_attn", g.Add(x, o));
            y = g.LayerNorm(x, layer + ".1.fn.norm", LayerNormEpsilon);
            y = g.Tap(tap + ".gelu", g.Gelu(g.Linear(y, layer + ".1.fn.fn.net.0")));
            x = g.Tap(tap + ".out", g.Add(x, g.Linear(y, layer + ".1.fn.fn.net.2")));
        }

        return g.Tap("encoded", g.Slice(x, axis: 1, start: 1, length: _grid * _grid));
    }

    /// <summary>Card section 3.6: how unlikely each patch's features are under the mixture predicted from them, (N, L).</summary>
    private Node Likelihood(GraphBuilder g, Node encoded, int batch)
    {
        // The code clamps to 2.2e-16 from below, which is a ReLU up to 2.2e-16.
        Node r = g.Relu(encoded);
        Node pi = g.Tap("mdn_pi", g.Softmax(g.Linear(r, g.Parameter("pi.weight"), bias: null)));
        Node mu = g.Tap("mdn_mu", g.Linear(r, g.Parameter("mu.weight"), bias: null));
        Node logVariance = g.Tap("mdn_logvar", g.Softplus(g.Linear(r, g.Parameter("sigma_sq.weight"), bias: null)));
        TapEachGaussian(g, encoded, mu, logVariance, batch);
        return g.Tap("nll", g.MixtureLikelihood(encoded, pi, mu, logVariance, _config.Likelihood == "log_sum_exp"));
    }

    /// <summary>The Gaussians one by one: each of a token's is a token of its own with a mixture of one.</summary>
    private void TapEachGaussian(GraphBuilder g, Node encoded, Node mu, Node logVariance, int batch)
    {
        int d = _config.Width, k = _config.Gaussians, patches = _grid * _grid;
        Node x = g.Reshape(g.Broadcast(g.Reshape(encoded, batch, patches, 1, d), batch, patches, k, d), batch, patches * k, d);
        Node one = g.Broadcast(g.Table("one", [1], 1, 1, 1), batch, patches * k, 1);
        Node each = g.MixtureLikelihood(x, one, PerGaussian(mu), PerGaussian(logVariance), logSumExp: false);
        g.Tap("nll_per_gaussian", g.Reshape(each, batch, patches, k));

        Node PerGaussian(Node values) => g.Reshape(g.Permute(g.Reshape(values, batch, patches, d, k), 0, 1, 3, 2), batch, patches * k, d);
    }

    /// <summary>Card sections 3.4 and 3.5: one capsule of all features, and the decoder that makes a picture of it.</summary>
    private Node Rebuild(GraphBuilder g, Node encoded, int batch)
    {
        // With a single output capsule the routing's softmax is 1, and what is left of the layer is one linear map; W is (input capsule, output, entry).
        int inputs = _grid * _grid * _config.Width, latent = Latent;
        Node weight = g.Reshape(g.Permute(g.Parameter("Digcap.W"), 0, 2, 1, 3), latent, inputs);
        Node capsule = g.Tap("caps_presquash", g.Linear(g.Reshape(encoded, batch, inputs), weight, bias: null));
        capsule = g.Tap("caps_out", g.Reshape(g.Squash(capsule), batch, 1, latent));

        Node x = g.Permute(g.Reshape(capsule, batch, _config.LatentChannels, _config.LatentSize, _config.LatentSize), 0, 2, 3, 1);
        foreach ((int place, _, _, int stride, int padding) in Decoder)
        {
            x = g.TransposedConvolution(x, $"decoder.decoder2.{place}", stride, padding);
            g.Tap($"dec{place}", ChannelsFirst(x));
            if (place != Decoder[^1].Place)
            {
                x = g.BatchNorm(x, $"decoder.decoder2.{place + 1}", BatchNormEpsilon);
                g.Tap($"dec{place + 1}", ChannelsFirst(x));
                x = g.Relu(x);
            }
        }

        return g.Tap("recon", ChannelsFirst(g.Tanh(x)));

        Node ChannelsFirst(Node values) => g.Permute(values, 0, 3, 1, 2);
    }

    private int Latent => _config.LatentChannels * _config.LatentSize * _config.LatentSize;

    private static Node MeanPerImage(GraphBuilder g, Node x, int batch) =>
        g.Mean(g.Reshape(x, batch, (int)(x.Shape.Count / batch)), axis: 1, keepDimension: false);

    private List<TensorSpec> ListTensors()
    {
        int d = _config.Width, patches = _grid * _grid;
        List<TensorSpec> tensors =
        [
            new("vt.pos_embedding", new Shape(1, 1 + patches, d)),
            new("vt.cls_token", new Shape(1, 1, d)),
            .. LayerTensors.Linear("vt.patch_to_embedding", d, 3 * _config.PatchSize * _config.PatchSize),
        ];
        for (int block = 0; block < _config.Depth; block++)
        {
            string layer = $"vt.transformer.layers.{block}";
            tensors.AddRange(
            [
                .. LayerTensors.LayerNorm(layer + ".0.fn.norm", d),
                new(layer + ".0.fn.fn.to_qkv.weight", new Shape(3 * d, d)),
                .. LayerTensors.Linear(layer + ".0.fn.fn.to_out.0", d, d),
                .. LayerTensors.LayerNorm(layer + ".1.fn.norm", d),
                .. LayerTensors.Linear(layer + ".1.fn.fn.net.0", _config.HiddenWidth, d),
                .. LayerTensors.Linear(layer + ".1.fn.fn.net.2", d, _config.HiddenWidth),
            ]);
        }

        int inputs = _config.LatentChannels;
        foreach ((int place, int channels, int kernel, _, _) in Decoder)
        {
            tensors.Add(new($"decoder.decoder2.{place}.weight", new Shape(inputs, channels, kernel, kernel)));
            tensors.Add(new($"decoder.decoder2.{place}.bias", new Shape(channels)));
            tensors.AddRange(place == Decoder[^1].Place ? [] : LayerTensors.BatchNorm($"decoder.decoder2.{place + 1}", channels));
            inputs = channels;
        }

        return
        [
            .. tensors,
            new("Digcap.W", new Shape(1, patches * _config.CapsulesPerToken, Latent, _config.CapsuleWidth)),
            new("pi.weight", new Shape(_config.Gaussians, d)),
            new("mu.weight", new Shape(d * _config.Gaussians, d)),
            new("sigma_sq.weight", new Shape(d * _config.Gaussians, d)),
        ];
    }
}
