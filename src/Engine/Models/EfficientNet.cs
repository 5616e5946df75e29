using System.Globalization;
using System.Text.Json.Nodes;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>One inverted residual block (MBConv) of an <see cref="EfficientNet"/>; in brackets the keys of an element of "blocks".</summary>
/// <param name="Kernel">Side of the depthwise kernel ["kernel"].</param>
/// <param name="Stride">Its stride ["stride"].</param>
/// <param name="FirstOfStage">Whether a stage begins here ["first_of_stage"]: such a block never adds its input, not even where the shapes would allow
/// it.</param>
/// <param name="Expansion">Factor by which the block widens its input ["expand"]; 1: it does not.</param>
/// <param name="Inputs">Channels that come in ["cin"].</param>
/// <param name="Outputs">Channels that go out ["cout"].</param>
public sealed record InvertedResidual(int Kernel, int Stride, bool FirstOfStage, int Expansion, int Inputs, int Outputs)
{
    /// <summary>Channels between the block's two pointwise convolutions.</summary>
    public int Expanded => Inputs * Expansion;

    /// <summary>Channels that the widths are squeezed to: a quarter of the block's input, not of the expanded width.</summary>
    public int Squeezed => Math.Max(1, Inputs / 4);
}

/// <summary>Configuration of an <see cref="EfficientNet"/> as a feature extractor; in brackets the keys of the model cards.</summary>
public sealed record EfficientNetConfig
{
    private const string NamePrefix = "efficientnet_b";
    private const int MaxBlocks = 256;

    /// <summary>
    /// Its name ["backbone"]. When the last part after a dot is one of <see cref="PublishedNames"/>, blocks and nominal side follow from it, and "blocks" and
    /// "nominal_image_size" only have to agree if they are given; any other name needs both.
    /// </summary>
    public required string Name { get; init; }

    /// <summary>The blocks up to the last one that is tapped ["blocks"]. The stem has as many channels as the first takes.</summary>
    public required IReadOnlyList<InvertedResidual> Blocks { get; init; }

    /// <summary>Side in pixels of the square picture that static paddings are computed for ["nominal_image_size"], 380 for B4.</summary>
    public required int NominalSide { get; init; }

    /// <summary>Numbers of the blocks, counted from 0, whose outputs are the features ["outblocks"], published 1, 5, 9, 21 and for five layers 31.</summary>
    public required IReadOnlyList<int> Taps { get; init; }

    /// <summary>
    /// ["padding"]: "static" (lukemelas/EfficientNet-PyTorch: every convolution is padded as "same" asks for with a picture of the nominal side, whatever the
    /// real one) or "dynamic" (timm's tf_efficientnet: as the real picture asks for).
    /// </summary>
    public string Padding { get; init; } = "static";

    /// <summary>Channels of all features together.</summary>
    public int Channels => Taps.Sum(t => Blocks[t].Outputs);

    /// <summary>Input pixels per output pixel along each side, for a block.</summary>
    public int StrideOf(int block) => 2 * Blocks.Take(block + 1).Aggregate(1, (stride, b) => stride * b.Stride);

    /// <summary>Names of the published networks.</summary>
    public static IReadOnlyList<string> PublishedNames { get; } = [.. Enumerable.Range(0, EfficientNet.Scaling.Count).Select(n => $"{NamePrefix}{n}")];

    /// <summary>The published network of a name, null if there is none.</summary>
    public static (int NominalSide, IReadOnlyList<InvertedResidual> Blocks)? Published(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        ReadOnlySpan<char> last = name.AsSpan(name.LastIndexOf('.') + 1);
        return last.StartsWith(NamePrefix, StringComparison.Ordinal)
            && int.TryParse(last[NamePrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number < EfficientNet.Scaling.Count
                ? (EfficientNet.Scaling[number].Side, EfficientNet.BlocksOf(number))
                : null;
    }

    /// <summary>The last block of each resolution: what the cards call layer 1 … 5 of a backbone.</summary>
    public static IReadOnlyList<int> Layers(IReadOnlyList<InvertedResidual> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        return [.. Enumerable.Range(0, blocks.Count).Where(b => b + 1 == blocks.Count || blocks[b + 1].Stride > 1)];
    }

    internal static EfficientNetConfig Read(ConfigReader r, int layers)
    {
        string name = r.Text("backbone", "efficientnet_b4");
        (int NominalSide, IReadOnlyList<InvertedResidual> Blocks)? published = Published(name);
        IReadOnlyList<InvertedResidual> blocks = ReadBlocks(r, name, published?.Blocks);
        int side = r.Int("nominal_image_size", published?.NominalSide, min: 1, max: 16384);
        if (published is not null && side != published.Value.NominalSide)
        {
            throw r.Error("nominal_image_size", $"is {side}, but {name} has {published.Value.NominalSide}");
        }

        IReadOnlyList<int> taps = r.Ints("outblocks", published is null ? null : [.. Layers(blocks).Take(layers)]);
        if (taps.Count == 0 || taps.Any(t => t < 0 || t >= blocks.Count) || taps.Zip(taps.Skip(1)).Any(p => p.First >= p.Second))
        {
            throw r.Error("outblocks", $"is [{string.Join(", ", taps)}], expected block numbers in rising order within 0 … {blocks.Count - 1}");
        }

        EfficientNetConfig config = new()
        {
            Name = name,
            Blocks = [.. blocks.Take(taps[^1] + 1)],
            NominalSide = side,
            Taps = taps,
            Padding = r.Choice("padding", "static", "static", "dynamic"),
        };
        int[] strides = [.. taps.Select(config.StrideOf)], widths = [.. taps.Select(t => blocks[t].Outputs)];
        CheckDerived(r, "block_strides", strides);
        CheckDerived(r, "inplanes_per_layer", widths);
        return config;
    }

    internal void Write(JsonObject config)
    {
        config["backbone"] = Name;
        if (Published(Name) is null)
        {
            config["blocks"] = new JsonArray([.. Blocks.Select(b => (JsonNode)new JsonObject
            {
                ["kernel"] = b.Kernel,
                ["stride"] = b.Stride,
                ["first_of_stage"] = b.FirstOfStage,
                ["expand"] = b.Expansion,
                ["cin"] = b.Inputs,
                ["cout"] = b.Outputs,
            })]);
            config["nominal_image_size"] = NominalSide;
        }

        config["outblocks"] = new JsonArray([.. Taps.Select(t => (JsonNode)t)]);
        config["padding"] = Padding;
    }

    /// <summary>The list under "blocks", in which a published network's own values may be left out.</summary>
    private static IReadOnlyList<InvertedResidual> ReadBlocks(ConfigReader r, string name, IReadOnlyList<InvertedResidual>? published)
    {
        if (r.Sections("blocks") is not { } sections)
        {
            return published ?? throw r.Error(
                "blocks", $"is missing, and the backbone \"{name}\" is none of {string.Join(", ", PublishedNames)}, whose blocks are known");
        }

        if (sections.Count is < 1 or > MaxBlocks)
        {
            throw r.Error("blocks", $"has {sections.Count} elements, expected 1 … {MaxBlocks}");
        }

        List<InvertedResidual> blocks = [];
        foreach (ConfigReader section in sections)
        {
            InvertedResidual? known = published?.ElementAtOrDefault(blocks.Count);
            InvertedResidual block = new(
                section.Int("kernel", known?.Kernel, max: 63),
                section.Int("stride", known?.Stride, max: 8),
                section.Flag("first_of_stage", known?.FirstOfStage),
                section.Int("expand", known?.Expansion, max: 64),
                section.Int("cin", known?.Inputs, max: 16384),
                section.Int("cout", known?.Outputs, max: 16384));
            section.RejectUnreadKeys();
            if (published is not null && block != known)
            {
                throw r.Error("blocks", $"has {block} as block {blocks.Count}, but {name} has {known?.ToString() ?? "no such block"}");
            }

            if ((blocks.Count > 0 && block.Inputs != blocks[^1].Outputs) || (blocks.Count == 0 && !block.FirstOfStage))
            {
                throw r.Error("blocks", $"has {block} as block {blocks.Count}, which does not go on from the block before");
            }

            if (!block.FirstOfStage && (block.Stride != 1 || block.Inputs != block.Outputs))
            {
                throw r.Error(
                    "blocks", $"has {block} as block {blocks.Count}, whose input cannot be added to its output, as every block but the first of a stage does");
            }

            blocks.Add(block);
        }

        return blocks;
    }

    private static void CheckDerived(ConfigReader r, string key, int[] derived)
    {
        IReadOnlyList<int> given = r.Ints(key, derived);
        if (!given.SequenceEqual(derived))
        {
            throw r.Error(key, $"is [{string.Join(", ", given)}], but the tapped blocks have [{string.Join(", ", derived)}]");
        }
    }
}

/// <summary>
/// EfficientNet (Tan and Le, arXiv 1905.11946) with the keys and the padding of lukemelas/EfficientNet-PyTorch, without its head and only as deep as the last
/// block that is tapped. Features are block outputs: linear, after the projection and the residual.
/// </summary>
/// <param name="config">Its configuration.</param>
/// <param name="prefix">What its keys begin with, "backbone." for instance.</param>
internal sealed class EfficientNet(EfficientNetConfig config, string prefix)
{
    private const double Epsilon = 1e-3;
    private const int StemKernel = 3;
    private const int StemStride = 2;

    /// <summary>Factors of width and depth, and the picture's side, of B0 … B7.</summary>
    public static IReadOnlyList<(double Width, double Depth, int Side)> Scaling { get; } =
    [
        (1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300), (1.4, 1.8, 380), (1.6, 2.2, 456), (1.8, 2.6, 528), (2.0, 3.1, 600),
    ];

    /// <summary>Stages of B0: how often the block is repeated, its kernel, the first one's stride, expansion and output channels.</summary>
    private static readonly (int Repeats, int Kernel, int Stride, int Expansion, int Outputs)[] Stages =
    [
        (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
    ];

    private const int StemChannels = 32;

    /// <summary>The blocks of B0 … B7.</summary>
    public static IReadOnlyList<InvertedResidual> BlocksOf(int number)
    {
        (double width, double depth, _) = Scaling[number];
        List<InvertedResidual> blocks = [];
        int channels = Scaled(StemChannels);
        foreach ((int repeats, int kernel, int stride, int expansion, int outputs) in Stages)
        {
            for (int i = 0; i < Math.Ceiling(depth * repeats); i++)
            {
                blocks.Add(new(kernel, i == 0 ? stride : 1, i == 0, expansion, channels, Scaled(outputs)));
                channels = Scaled(outputs);
            }
        }

        return blocks;

        // To the nearest multiple of 8, but not below nine tenths.
        int Scaled(int channels)
        {
            double exact = channels * width;
            int rounded = Math.Max(8, (int)(exact + 4) / 8 * 8);
            return rounded < 0.9 * exact ? rounded + 8 : rounded;
        }
    }

    /// <summary>Heights and widths of the blocks' outputs for a picture, as far as the kernels fit into what is left of it.</summary>
    public IReadOnlyList<(int Height, int Width)> SizesFor(int height, int width)
    {
        List<(int, int)> sizes = [];
        foreach ((Padding padding, int kernel, int stride) in DepthwiseLayers(height, width))
        {
            height += padding.Top + padding.Bottom - kernel;
            width += padding.Left + padding.Right - kernel;
            if (height < 0 || width < 0)
            {
                break;
            }

            (height, width) = ((height / stride) + 1, (width / stride) + 1);
            sizes.Add((height, width));
        }

        return [.. sizes.Skip(1)];
    }

    /// <summary>Its tensors.</summary>
    public IEnumerable<TensorSpec> Tensors()
    {
        int stem = config.Blocks[0].Inputs;
        IEnumerable<TensorSpec> tensors = [Kernel("_conv_stem", stem, 3, StemKernel), .. LayerTensors.BatchNorm(prefix + "_bn0", stem)];
        return tensors.Concat(config.Blocks.SelectMany((b, i) => (IEnumerable<TensorSpec>)
        [
            .. b.Expansion > 1
                ? [Kernel($"_blocks.{i}._expand_conv", b.Expanded, b.Inputs, 1), .. LayerTensors.BatchNorm($"{prefix}_blocks.{i}._bn0", b.Expanded)]
                : Array.Empty<TensorSpec>(),
            Kernel($"_blocks.{i}._depthwise_conv", b.Expanded, 1, b.Kernel),
            .. LayerTensors.BatchNorm($"{prefix}_blocks.{i}._bn1", b.Expanded),
            Kernel($"_blocks.{i}._se_reduce", b.Squeezed, b.Expanded, 1),
            new($"{prefix}_blocks.{i}._se_reduce.bias", new Shape(b.Squeezed)),
            Kernel($"_blocks.{i}._se_expand", b.Expanded, b.Squeezed, 1),
            new($"{prefix}_blocks.{i}._se_expand.bias", new Shape(b.Expanded)),
            Kernel($"_blocks.{i}._project_conv", b.Outputs, b.Expanded, 1),
            .. LayerTensors.BatchNorm($"{prefix}_blocks.{i}._bn2", b.Outputs),
        ]));

        TensorSpec Kernel(string name, int outputs, int inputs, int side) => new($"{prefix}{name}.weight", new Shape(outputs, inputs, side, side));
    }

    /// <summary>The features (N, H, W, C) of a picture (N, 3, H, W), one for each tapped block.</summary>
    public IReadOnlyList<Node> Build(GraphBuilder g, Node image)
    {
        Padding[] paddings = [.. DepthwiseLayers(image.Shape[2], image.Shape[3]).Select(l => l.Padding)];
        Node x = g.Convolution(g.Permute(image, 0, 2, 3, 1), prefix + "_conv_stem", StemStride, paddings[0]);
        x = g.Swish(g.BatchNorm(x, prefix + "_bn0", Epsilon));
        TapChannelsFirst(g, "stem", x);
        List<Node> features = [];
        for (int b = 0; b < config.Blocks.Count; b++)
        {
            x = Block(g, x, config.Blocks[b], $"{prefix}_blocks.{b}", paddings[b + 1]);
            TapChannelsFirst(g, $"block{b}", x);
            if (config.Taps.Contains(b))
            {
                features.Add(x);
            }
        }

        return features;
    }

    /// <summary>Names a value (N, H, W, C) in PyTorch's order of dimensions.</summary>
    public static void TapChannelsFirst(GraphBuilder g, string name, Node x) => g.Tap(name, g.Permute(x, 0, 3, 1, 2));

    private static Node Block(GraphBuilder g, Node input, InvertedResidual block, string key, Padding padding)
    {
        Node x = input;
        if (block.Expansion > 1)
        {
            x = g.Convolution(x, key + "._expand_conv", stride: 1, default);
            x = g.Swish(g.BatchNorm(x, key + "._bn0", Epsilon));
        }

        x = g.Convolution(x, key + "._depthwise_conv", block.Stride, padding, groups: block.Expanded);
        x = g.Swish(g.BatchNorm(x, key + "._bn1", Epsilon));
        x = SqueezeAndExcite(g, x, key);
        x = g.BatchNorm(g.Convolution(x, key + "._project_conv", stride: 1, default), key + "._bn2", Epsilon);
        return block.FirstOfStage ? x : g.Add(x, input);
    }

    /// <summary>Weighs the channels by what their means over the picture say.</summary>
    private static Node SqueezeAndExcite(GraphBuilder g, Node x, string key)
    {
        int n = x.Shape[0], c = x.Shape[3];
        Node weight = g.Mean(g.Reshape(x, n, x.Shape[1] * x.Shape[2], c), axis: 1, keepDimension: true);
        weight = g.Swish(g.Linear(weight, key + "._se_reduce"));
        weight = g.Sigmoid(g.Linear(weight, key + "._se_expand"));
        return g.Multiply(x, g.Reshape(weight, n, 1, 1, c));
    }

    /// <summary>Padding, kernel and stride of the layers that see more than one pixel: the stem's and each block's depthwise one.</summary>
    private IEnumerable<(Padding Padding, int Kernel, int Stride)> DepthwiseLayers(int height, int width)
    {
        if (config.Padding == "static")
        {
            height = width = config.NominalSide;
        }

        foreach ((int kernel, int stride) in config.Blocks.Select(b => (b.Kernel, b.Stride)).Prepend((StemKernel, StemStride)))
        {
            (int top, int bottom) = Same(ref height, kernel, stride);
            (int left, int right) = Same(ref width, kernel, stride);
            yield return (new Padding(top, left, bottom, right), kernel, stride);
        }
    }

    /// <summary>TensorFlow's "same" padding: what ⌈side / stride⌉ outputs take, the odd pixel at the end. The side becomes the output's.</summary>
    private static (int Before, int After) Same(ref int side, int kernel, int stride)
    {
        int output = (side + stride - 1) / stride;
        int total = Math.Max(((output - 1) * stride) + kernel - side, 0);
        side = output;
        return (total / 2, total - (total / 2));
    }
}
