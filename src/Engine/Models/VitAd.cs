using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>Configuration of <see cref="VitAd"/>; in brackets the keys of the model card.</summary>
public sealed record VitAdConfig
{
    /// <summary>Side of the square picture in pixels ["image": [h, w]], published 256.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Side of a patch in pixels ["patch"], published 16.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Token width ["embed_dim"], published 384.</summary>
    public required int Width { get; init; }

    /// <summary>Attention heads of teacher and student ["heads"], published 6. Not in a checkpoint.</summary>
    public required int Heads { get; init; }

    /// <summary>Hidden width of the MLP over the token width ["mlp_ratio"], published 4.</summary>
    public int MlpRatio { get; init; } = 4;

    /// <summary>Blocks of the teacher ["teacher_depth"], published 12.</summary>
    public required int TeacherDepth { get; init; }

    /// <summary>Blocks of the student ["student_depth"], published 9.</summary>
    public required int StudentDepth { get; init; }

    /// <summary>Teacher blocks, counted from 1, whose outputs are compared ["teachers"], published 3, 6, 9.</summary>
    public required IReadOnlyList<int> TeacherTaps { get; init; }

    /// <summary>Student blocks, counted from 1, whose outputs are compared, in reverse order ["students"], published 3, 6, 9.</summary>
    public required IReadOnlyList<int> StudentTaps { get; init; }

    /// <summary>Teacher blocks, counted from 1, that feed the fusion layer ["neck"], published 12.</summary>
    public required IReadOnlyList<int> Neck { get; init; }

    /// <summary>Tokens before the patches in the teacher ["prefix_tokens"]: 1, the cls token.</summary>
    public int PrefixTokens { get; init; } = 1;

    /// <summary>Epsilon of every LayerNorm ["layernorm_eps"], published 1e-6.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Standard deviation of the map's Gaussian in pixels ["gaussian_sigma"], published 4.</summary>
    public double GaussianSigma { get; init; } = 4;

    /// <summary>The Gaussian's radius in standard deviations ["gaussian_truncate"], published 4.</summary>
    public double GaussianTruncate { get; init; } = 4;

    /// <summary>Side of the mean pooling before the score's maximum ["image_score_avgpool"], published 16.</summary>
    public int ScorePool { get; init; } = 16;

    internal static VitAdConfig Read(ConfigReader r)
    {
        IReadOnlyList<int> image = r.Ints("image");
        if (image.Count != 2 || image[0] != image[1] || image[0] < 1 || image[0] > 16384)
        {
            throw r.Error("image", "must be [size, size]: the token grid has to be square");
        }

        int teacherDepth = r.Int("teacher_depth", max: 256), studentDepth = r.Int("student_depth", max: 256);
        bool published = teacherDepth == 12 && studentDepth == 9;
        VitAdConfig config = new()
        {
            ImageSize = image[0],
            PatchSize = r.Int("patch", max: 256),
            Width = r.Int("embed_dim", max: 16384),
            Heads = r.Int("heads", max: 256),
            MlpRatio = r.Int("mlp_ratio", fallback: 4, max: 64),
            TeacherDepth = teacherDepth,
            StudentDepth = studentDepth,
            TeacherTaps = r.Ints("teachers", published ? [3, 6, 9] : null),
            StudentTaps = r.Ints("students", published ? [3, 6, 9] : null),
            Neck = r.Ints("neck", published ? [12] : null),
            PrefixTokens = r.Int("prefix_tokens", fallback: 1, max: 1),
            LayerNormEpsilon = r.Number("layernorm_eps", fallback: 1e-6, min: 1e-30, max: 1),
            GaussianSigma = r.Number("gaussian_sigma", fallback: 4, min: 0.01, max: 1024),
            GaussianTruncate = r.Number("gaussian_truncate", fallback: 4, min: 0.01, max: 16),
            ScorePool = r.Int("image_score_avgpool", fallback: 16),
        };
        // "pairs" follows from the taps; the others say how a checkpoint or a golden case was made.
        r.Ignore("pairs", "batch", "teacher", "teacher_file_grid");
        if (config.ImageSize % config.PatchSize != 0)
        {
            throw r.Error("patch", $"is {config.PatchSize}, which does not divide the picture side {config.ImageSize}");
        }

        if (config.Width % config.Heads != 0)
        {
            throw r.Error("heads", $"is {config.Heads}, which does not divide embed_dim = {config.Width}");
        }

        CheckTaps(r, "teachers", config.TeacherTaps, teacherDepth);
        CheckTaps(r, "students", config.StudentTaps, studentDepth);
        CheckTaps(r, "neck", config.Neck, teacherDepth);
        if (config.TeacherTaps.Count != config.StudentTaps.Count)
        {
            throw r.Error("students", $"has {config.StudentTaps.Count} entries, \"teachers\" {config.TeacherTaps.Count}; they are compared in pairs");
        }

        if (config.ScorePool > config.ImageSize)
        {
            throw r.Error("image_score_avgpool", $"is {config.ScorePool}, larger than the picture side {config.ImageSize}");
        }

        return config;
    }

    internal JsonObject Write() => new()
    {
        ["image"] = new JsonArray(ImageSize, ImageSize),
        ["patch"] = PatchSize,
        ["embed_dim"] = Width,
        ["heads"] = Heads,
        ["mlp_ratio"] = MlpRatio,
        ["teacher_depth"] = TeacherDepth,
        ["teachers"] = new JsonArray([.. TeacherTaps.Select(t => (JsonNode)t)]),
        ["neck"] = new JsonArray([.. Neck.Select(t => (JsonNode)t)]),
        ["student_depth"] = StudentDepth,
        ["students"] = new JsonArray([.. StudentTaps.Select(t => (JsonNode)t)]),
        ["prefix_tokens"] = PrefixTokens,
        ["layernorm_eps"] = LayerNormEpsilon,
        ["gaussian_sigma"] = GaussianSigma,
        ["gaussian_truncate"] = GaussianTruncate,
        ["image_score_avgpool"] = ScorePool,
    };

    private static void CheckTaps(ConfigReader r, string key, IReadOnlyList<int> taps, int depth)
    {
        if (taps.Count == 0 || taps.Any(t => t < 1 || t > depth) || taps.Zip(taps.Skip(1)).Any(p => p.First >= p.Second))
        {
            throw r.Error(key, $"is [{string.Join(", ", taps)}], expected block numbers in rising order within 1 … {depth}");
        }
    }
}

/// <summary>
/// ViTAD (Zhang et al., arXiv 2312.07495; zhangzjn/ADer): a frozen ViT teacher, one linear fusion layer, and a ViT student that rebuilds the
/// teacher's intermediate tokens in reverse order. The anomaly map is the smoothed mean of the tokens' cosine distances.
/// </summary>
public sealed class VitAd : Model
{
    private readonly VitAdConfig _config;
    private readonly int _grid;

    /// <summary>Creates the model.</summary>
    public VitAd(VitAdConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        _config = config;
        _grid = config.ImageSize / config.PatchSize;
        Tensors = [.. ListTensors()];
    }

    /// <inheritdoc/>
    public override string Name => "ViTAD";

    /// <inheritdoc/>
    public override JsonObject Config => _config.Write();

    /// <inheritdoc/>
    public override PicturePreprocessing Preprocessing => new(
        _config.ImageSize,
        _config.ImageSize,
        ResizeShortSide: null,
        Interpolation.Bilinear,
        _config.ImageSize,
        _config.ImageSize,
        Mean: [0.485f, 0.456f, 0.406f],
        Std: [0.229f, 0.224f, 0.225f]);

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
        int size = _config.ImageSize, d = _config.Width, patches = _grid * _grid, pairs = _config.TeacherTaps.Count;
        Node input = g.Input("input", new Shape(batch, 3, size, size));

        // Teacher: patches, the cls token in front, positions; the raw residual stream is tapped, the cls token left out.
        Node t = g.Tap("t.patch_embed", g.PatchEmbedding(input, "net_t.patch_embed.proj", _config.PatchSize, PatchOrder.ChannelRowColumn));
        t = g.Concat(1, g.Broadcast(g.Parameter("net_t.cls_token"), batch, 1, d), t);
        t = g.Tap("t.pos", g.Add(t, g.Parameter("net_t.pos_embed")));
        List<Node> teacher = [], neck = [];
        for (int block = 1; block <= LastTeacherBlock; block++)
        {
            t = Block(g, t, $"net_t.blocks.{block - 1}", $"t.block{block}");
            AddIf(_config.TeacherTaps.Contains(block), teacher, block, t);
            AddIf(_config.Neck.Contains(block), neck, block, t);
        }

        // Fusion, then the student; its features are taken in reverse order.
        Node s = g.Tap("f.fc", g.Linear(neck.Count == 1 ? neck[0] : g.Concat(2, [.. neck]), "net_fusion.fc"));
        s = g.Tap("s.pos", g.Add(s, g.Parameter("net_s.pos_embed")));
        List<Node> student = [];
        for (int block = 1; block <= LastStudentBlock; block++)
        {
            s = Block(g, s, $"net_s.blocks.{block - 1}", $"s.block{block}");
            if (_config.StudentTaps.Contains(block))
            {
                student.Insert(0, s);
            }
        }

        // Map: cosine distance per token, enlarged corner to corner, summed; ADer divides by (number of maps) · (sum of their weights) = pairs².
        Node? sum = null;
        for (int i = 0; i < pairs; i++)
        {
            g.Tap($"feat_t{i}", Feature(teacher[i]));
            g.Tap($"feat_s{i}", Feature(student[i]));
            Node cosine = g.Tap($"cos{i}", g.Reshape(g.CosineDistance(teacher[i], student[i]), batch, 1, _grid, _grid));
            Node up = g.Tap($"up{i}", g.Resize(cosine, size, size, alignCorners: true));
            sum = sum is null ? up : g.Add(sum, up);
        }

        Node raw = g.Tap("map_raw", g.Affine(sum!, 1.0 / (pairs * pairs), 0));
        int radius = (int)((_config.GaussianTruncate * _config.GaussianSigma) + 0.5);
        Node map = g.Output("anomaly_map", g.Filter(raw, SeparableFilter.Gaussian(_config.GaussianSigma, radius), Border.Reflect));
        g.Output("image_score", g.MaxPerImage(g.AveragePool(map, _config.ScorePool, stride: 1)));

        void AddIf(bool wanted, List<Node> list, int block, Node x)
        {
            if (wanted)
            {
                list.Add(g.Slice(x, axis: 1, start: _config.PrefixTokens, length: patches));
            }
        }

        Node Feature(Node tokens) => g.Reshape(g.Permute(tokens, 0, 2, 1), batch, d, _grid, _grid);
    }

    private int LastTeacherBlock => Math.Max(_config.Neck[^1], _config.TeacherTaps[^1]);

    private int LastStudentBlock => _config.StudentTaps[^1];

    /// <summary>A pre-norm transformer block, card section 3.1.</summary>
    private Node Block(GraphBuilder g, Node x, string prefix, string tap)
    {
        int d = _config.Width;
        Node y = g.Tap(tap + ".norm1", g.LayerNorm(x, prefix + ".norm1", _config.LayerNormEpsilon));
        Node qkv = g.Tap(tap + ".qkv", g.Linear(y, prefix + ".attn.qkv"));
        Node o = g.Attention(
            g.Slice(qkv, 2, 0, d), g.Slice(qkv, 2, d, d), g.Slice(qkv, 2, 2 * d, d), _config.Heads, 1 / Math.Sqrt((double)d / _config.Heads));
        x = g.Add(x, g.Tap(tap + ".attn", g.Linear(o, prefix + ".attn.proj")));
        y = g.Tap(tap + ".norm2", g.LayerNorm(x, prefix + ".norm2", _config.LayerNormEpsilon));
        Node hidden = g.Tap(tap + ".fc1", g.Linear(y, prefix + ".mlp.fc1"));
        hidden = g.Tap(tap + ".gelu", g.Gelu(hidden));
        return g.Tap(tap, g.Add(x, g.Tap(tap + ".mlp", g.Linear(hidden, prefix + ".mlp.fc2"))));
    }

    private IEnumerable<TensorSpec> ListTensors()
    {
        int d = _config.Width, p = _config.PatchSize, patches = _grid * _grid;
        yield return new("net_t.cls_token", new Shape(1, 1, d));
        yield return new("net_t.pos_embed", new Shape(1, _config.PrefixTokens + patches, d));
        yield return new("net_t.patch_embed.proj.weight", new Shape(d, 3, p, p));
        yield return new("net_t.patch_embed.proj.bias", new Shape(d));
        yield return new("net_fusion.fc.weight", new Shape(d, d * _config.Neck.Count));
        yield return new("net_fusion.fc.bias", new Shape(d));
        yield return new("net_s.pos_embed", new Shape(1, patches, d));
        IEnumerable<string> blocks = Enumerable.Range(0, LastTeacherBlock).Select(b => $"net_t.blocks.{b}")
            .Concat(Enumerable.Range(0, LastStudentBlock).Select(b => $"net_s.blocks.{b}"));
        foreach (string block in blocks)
        {
            yield return new(block + ".norm1.weight", new Shape(d));
            yield return new(block + ".norm1.bias", new Shape(d));
            yield return new(block + ".attn.qkv.weight", new Shape(3 * d, d));
            yield return new(block + ".attn.qkv.bias", new Shape(3 * d));
            yield return new(block + ".attn.proj.weight", new Shape(d, d));
            yield return new(block + ".attn.proj.bias", new Shape(d));
            yield return new(block + ".norm2.weight", new Shape(d));
            yield return new(block + ".norm2.bias", new Shape(d));
            yield return new(block + ".mlp.fc1.weight", new Shape(_config.MlpRatio * d, d));
            yield return new(block + ".mlp.fc1.bias", new Shape(_config.MlpRatio * d));
            yield return new(block + ".mlp.fc2.weight", new Shape(d, _config.MlpRatio * d));
            yield return new(block + ".mlp.fc2.bias", new Shape(d));
        }
    }
}
