using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Weights;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// What checkpoints of ADTR and UniAD have in common: <c>backbone.</c> (an EfficientNet, its unused head included) and <c>reconstruction.</c>, each behind
/// <c>module.</c>, beside "arch", "epoch", "best_metric" and "optimizer". A checkpoint without backbone takes it from a second file.
/// </summary>
internal abstract class FeatureReconstructionLayout : Layout
{
    /// <summary>Beginning of the backbone's keys.</summary>
    protected const string Backbone = "backbone.";

    /// <summary>Beginning of the transformer's keys.</summary>
    protected const string Root = "reconstruction.";

    /// <summary>A position table per row and one per column.</summary>
    protected const string RowTable = Root + "pos_embed.row_embed.weight";

    /// <inheritdoc cref="RowTable"/>
    protected const string ColumnTable = Root + "pos_embed.col_embed.weight";

    private const string InputProjection = Root + "input_proj.weight";
    private const string Supported = "supported are EfficientNets with the keys of lukemelas/EfficientNet-PyTorch (_conv_stem, _blocks) or of timm (conv_stem)";

    /// <summary>Keys of backbones that are none of ours, and what those are.</summary>
    private static readonly (string Key, string What)[] OtherBackbones =
    [
        ("layer1.0.conv1.weight", "a ResNet"),
        ("features.0.0.weight", "torchvision's EfficientNet, which pads and normalises otherwise"),
        ("patch_embed.proj.weight", "a vision transformer"),
    ];

    /// <summary>Entries beside the weights that only go on with training.</summary>
    private static readonly string[] Training = ["optimizer", "scheduler", "scaler"];

    /// <summary>Number of backbone layers that the published model taps.</summary>
    protected abstract int Layers { get; }

    /// <summary>Dimensions of the projections' weights.</summary>
    protected abstract int ProjectionRank { get; }

    /// <summary>A query table, whose rows are the tokens.</summary>
    protected abstract string QueryTable { get; }

    /// <summary>The side of the squares that the score is pooled over, as the model's configuration writes it.</summary>
    protected abstract JsonNode ScorePool { get; }

    /// <inheritdoc/>
    public override Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration)
    {
        List<string> warnings = [];
        StateDict tensors = WithBackbone(Named(main.Tensors!, warnings), others, warnings);
        bool timm = TimmEfficientNet.Has(tensors, Backbone);
        tensors = timm ? TimmEfficientNet.Rename(tensors, Backbone) : tensors;
        RejectOtherBackbones(tensors);

        Arch arch = new(main.File);
        FindSizes(tensors, arch, configuration);
        FindBackbone(tensors, arch, timm, configuration);
        FindTransformer(tensors, arch, configuration);
        FindOwn(tensors, arch, configuration);
        Model model = configuration.Create(Model);
        List<TensorSource> sources = Match(model, tensors, key => IsUnused(key, model), out List<string> skipped);
        skipped.AddRange(Training.Where(entry => main.File.Root is PickleDict root && root[entry] is not null));
        return new Conversion(model, sources, configuration.Notes(model), skipped, warnings);
    }

    /// <summary>The tensors under the names, and of the ranks, that the model expects.</summary>
    protected abstract StateDict Named(StateDict tensors, List<string> warnings);

    /// <summary>The part of the configuration that only this model has.</summary>
    protected abstract void FindOwn(StateDict tensors, Arch arch, ConfigurationFinder c);

    private StateDict WithBackbone(StateDict tensors, IReadOnlyList<OpenCheckpoint> others, List<string> warnings)
    {
        if (others.Count > 1)
        {
            throw new CheckpointException($"{others[1].File.FilePath}: one file too many: {Model} has a checkpoint and at most a backbone.");
        }

        OpenCheckpoint? other = others.Count > 0 ? others[0] : null;
        if (tensors.HasPrefix(Backbone))
        {
            if (other is not null)
            {
                warnings.Add($"{other.File.FilePath} is not used: the checkpoint holds its own backbone");
            }

            return tensors;
        }

        if (other is null)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: the backbone ({Backbone}*) is missing. Give its file as the second one, "
                + "efficientnet-b4-6ed6700e.pth of lukemelas/EfficientNet-PyTorch for the published model.");
        }

        StateDict? backbone = other.Tensors?.Under(Backbone);
        return backbone is not null && (other.Kind == CheckpointKind.EfficientNet || OtherBackbones.Any(b => backbone.Has(b.Key)))
            ? tensors.With(Backbone, backbone)
            : throw new CheckpointException($"{other.File.FilePath}: expected the backbone of {Model}, an EfficientNet, found {other.Description}.");
    }

    private static void RejectOtherBackbones(StateDict tensors)
    {
        if (tensors.Has(Backbone + "_conv_stem.weight"))
        {
            return;
        }

        string? what = OtherBackbones.FirstOrDefault(b => tensors.Has(Backbone + b.Key)).What;
        throw new CheckpointException(
            $"{tensors.FilePath}: the backbone is {what ?? $"an unknown network without a tensor \"{Backbone}_conv_stem.weight\""}; {Supported}.");
    }

    /// <summary>Token grid, stride and picture.</summary>
    private void FindSizes(StateDict tensors, Arch arch, ConfigurationFinder c)
    {
        int tokens = tensors.Extents(QueryTable, 2)[0];
        if (tokens == 0)
        {
            throw new CheckpointException($"{tensors.FilePath}: tensor {tensors.Describe(QueryTable)}, expected one row per token");
        }

        (int Height, int Width) grid;
        if (tensors.Has(RowTable) || tensors.Has(ColumnTable))
        {
            grid = (tensors.Extents(RowTable, 2)[0], tensors.Extents(ColumnTable, 2)[0]);
            if ((long)grid.Height * grid.Width != tokens)
            {
                throw new CheckpointException(
                    $"{tensors.FilePath}: tensor {tensors.Describe(QueryTable)}, one row per token, but {tensors.Describe(RowTable)} and {tensors.Describe(ColumnTable)}, "
                    + $"which makes {grid.Height}·{grid.Width} = {(long)grid.Height * grid.Width} tokens");
            }

            c.Infer("feature_size", new JsonArray(grid.Height, grid.Width), "rows of row_embed and of col_embed");
        }
        else
        {
            grid = Pair(c.Told("feature_size")) ?? Pair(arch["reconstruction", "feature_size"])
                ?? (SquareRoot(tokens) is int side ? (side, side) : throw new CheckpointException(
                    $"{tensors.FilePath}: tensor {tensors.Describe(QueryTable)}: {tokens} rows are no square grid of tokens. Tell the grid: --set feature_size=[h,w]"));
            if ((long)grid.Height * grid.Width != tokens)
            {
                throw new CheckpointException(
                    $"{tensors.FilePath}: tensor {tensors.Describe(QueryTable)}, one row per token, "
                    + $"but \"feature_size\" = [{grid.Height}, {grid.Width}] makes {(long)grid.Height * grid.Width} tokens");
            }

            c.Suggest(
                "feature_size",
                arch["reconstruction", "feature_size"],
                "arch, reconstruction, feature_size",
                new JsonArray(grid.Height, grid.Width),
                $"{QueryTable} has {tokens} rows, taken for a square grid");
        }

        // A picture's size that was told shows the stride; a stride shows the picture's size.
        (int Height, int Width)? image = Pair(c.Told("image"));
        if (c.Told("outstride") is null && image is (int h, _) && h % grid.Height == 0)
        {
            c.Infer("outstride", h / grid.Height, $"the picture's {h} rows make {grid.Height} rows of tokens");
        }
        else
        {
            c.Suggest("outstride", arch.First("neck", "outstrides"), "arch, neck, outstrides", 16, "published value; the tensors do not show how large a token is");
        }

        if (c.Found("outstride") is int stride and > 0)
        {
            c.Infer("image", new JsonArray((long)grid.Height * stride, (long)grid.Width * stride), $"feature_size · outstride = {grid.Height}×{grid.Width} · {stride}");
        }
    }

    private void FindBackbone(StateDict tensors, Arch arch, bool timm, ConfigurationFinder c)
    {
        string? recognised = EfficientNetConfig.PublishedNames.FirstOrDefault(n => Fits(tensors, EfficientNetConfig.Published(n)!.Value.Blocks));
        string? named = arch.Type("backbone") ?? recognised;
        if (named is null)
        {
            c.Require("backbone", $"its tensors have the shapes of none of {string.Join(", ", EfficientNetConfig.PublishedNames)}", "NAME");
        }
        else
        {
            c.Suggest("backbone", named, arch.Type("backbone") is null ? "the shapes of the backbone's tensors" : "arch, backbone, type", named, "");
        }

        IReadOnlyList<InvertedResidual>? blocks = EfficientNetConfig.Published(c.FoundText("backbone") ?? "")?.Blocks;
        if (blocks is null)
        {
            c.Require(
                "blocks",
                $"\"{c.FoundText("backbone")}\" is no published backbone, and the strides of its blocks are in no tensor",
                "[{\"stride\":1,\"first_of_stage\":true},…]");
            c.Require("nominal_image_size", "it is the side of the picture that the backbone's paddings are made for", "380");
            CompleteBlocks(tensors, c);
        }

        int[] projection = tensors.Extents(InputProjection, ProjectionRank);
        c.Infer("inplanes", projection[1], $"{InputProjection} has {projection[1]} columns");
        if (blocks is null)
        {
            c.Suggest("outblocks", arch["backbone", "outblocks"], "arch, backbone, outblocks", null, "nothing shows which blocks of the backbone are tapped");
        }
        else
        {
            c.Suggest(
                "outblocks",
                arch["backbone", "outblocks"],
                "arch, backbone, outblocks",
                Taps(blocks, projection[1]),
                $"the layers whose channels add up to {projection[1]}, or else the published ones");
        }

        CheckChannels(tensors, projection[1], c);
        c.Assume(
            "padding",
            timm ? "dynamic" : "static",
            timm
                ? "timm's tf_efficientnet pads as the real picture asks for; read from the sources of ADer and timm, not compared with a file that they wrote"
                : "lukemelas/EfficientNet-PyTorch, whose keys these are");
    }

    /// <summary>The published layers, or as many others from the first, or the last alone, as have so many channels together.</summary>
    private JsonArray Taps(IReadOnlyList<InvertedResidual> blocks, int channels)
    {
        IReadOnlyList<int> layers = EfficientNetConfig.Layers(blocks);
        IEnumerable<int[]> candidates = [[.. layers.Take(Layers)], .. Enumerable.Range(1, layers.Count).Select(n => layers.Take(n).ToArray()), [layers[^1]]];
        int[] taps = candidates.FirstOrDefault(c => c.Sum(t => blocks[t].Outputs) == channels) ?? candidates.First();
        return new JsonArray([.. taps.Select(t => (JsonNode)t)]);
    }

    /// <summary>Whether the blocks in the file, as far as they go, have a published network's shapes.</summary>
    private static bool Fits(StateDict tensors, IReadOnlyList<InvertedResidual> blocks)
    {
        int count = Math.Min(tensors.CountBlocks(Backbone + "_blocks."), blocks.Count);
        return count > 0 && Enumerable.Range(0, count).All(b =>
            tensors.Tensors.GetValueOrDefault(Depthwise(b))?.Shape == new Tensors.Shape(blocks[b].Expanded, 1, blocks[b].Kernel, blocks[b].Kernel)
            && tensors.Tensors.GetValueOrDefault(Project(b))?.Shape == new Tensors.Shape(blocks[b].Outputs, blocks[b].Expanded, 1, 1));
    }

    /// <summary>Adds to the told list of blocks what the tensors show, and checks what they show too.</summary>
    private static void CompleteBlocks(StateDict tensors, ConfigurationFinder c)
    {
        JsonArray complete = [];
        foreach (JsonNode? element in c.Told("blocks") as JsonArray ?? [])
        {
            int b = complete.Count;
            if (element is not JsonObject told || !tensors.Has(Depthwise(b)))
            {
                break; // deeper than the file goes; if that is too early, the tapped block is missing
            }

            int[] depthwise = tensors.Extents(Depthwise(b), 4);
            string expand = $"{Backbone}_blocks.{b}._expand_conv.weight";
            int inputs = tensors.Has(expand) ? tensors.Extents(expand, 4)[1] : depthwise[0];
            JsonObject block = (JsonObject)told.DeepClone();
            foreach ((string key, int value, string tensor) in new[]
            {
                ("kernel", depthwise[2], Depthwise(b)),
                ("expand", depthwise[0] / Math.Max(inputs, 1), Depthwise(b)),
                ("cin", inputs, tensors.Has(expand) ? expand : Depthwise(b)),
                ("cout", tensors.Extents(Project(b), 4)[0], Project(b)),
            })
            {
                if (told[key] is JsonNode said && said.ToJsonString() != $"{value}")
                {
                    throw new CheckpointException(
                        $"{tensors.FilePath}: told \"blocks[{b}].{key}\" = {said.ToJsonString()}, but tensor {tensors.Describe(tensor)}, which makes it {value}");
                }

                block[key] = value;
            }

            complete.Add((JsonNode)block);
        }

        c.Complete("blocks", complete, "strides and stages told, kernels and channels from the tensors");
    }

    private static void CheckChannels(StateDict tensors, int channels, ConfigurationFinder c)
    {
        if (c.FoundInts("outblocks") is not { } taps)
        {
            return; // the model's own reader says what is wrong with them
        }

        int[] widths = [.. taps.Select(t => tensors.Extents(Project(t), 4)[0])];
        if (widths.Sum(w => (long)w) != channels)
        {
            string sum = string.Join(" + ", taps.Zip(widths, (t, w) => $"{w} ({tensors.Describe(Project(t))})"));
            throw new CheckpointException(
                $"{tensors.FilePath}: tensor {tensors.Describe(InputProjection)}, but the tapped blocks {string.Join(", ", taps)} have {sum} = {widths.Sum(w => (long)w)} channels. "
                + "Tell which blocks are tapped: --set outblocks=[…]");
        }
    }

    private void FindTransformer(StateDict tensors, Arch arch, ConfigurationFinder c)
    {
        int[] projection = tensors.Extents(InputProjection, ProjectionRank);
        c.Infer("hidden_dim", projection[0], $"{InputProjection} has {projection[0]} rows");
        int hidden = tensors.Extents(Root + "transformer.encoder.layers.0.linear1.weight", 2)[0];
        c.Infer("dim_feedforward", hidden, $"linear1.weight has {hidden} rows");
        foreach (string part in new[] { "encoder", "decoder" })
        {
            c.Infer($"num_{part}_layers", tensors.CountBlocks($"{Root}transformer.{part}.layers."), $"number of transformer.{part}.layers");
        }

        c.Suggest("nhead", arch["reconstruction", "nhead"], "arch, reconstruction, nhead", 8, "published value; the tensors do not show the number of heads");
        c.Suggest("activation", arch["reconstruction", "activation"], "arch, reconstruction, activation", "relu", "published value; the tensors do not show it");
        c.Assume("image_score_avgpool", ScorePool, "published value; part of the evaluation, not of the checkpoint");
    }

    /// <summary>The backbone's head, blocks after the last one that is tapped, and counters of training.</summary>
    private static bool IsUnused(string key, Model model)
    {
        const string Blocks = Backbone + "_blocks.";
        if (key.EndsWith(".num_batches_tracked", StringComparison.Ordinal)
            || ((string[])["_conv_head.", "_bn1.", "_fc."]).Any(k => key.StartsWith(Backbone + k, StringComparison.Ordinal)))
        {
            return true;
        }

        int end = key.StartsWith(Blocks, StringComparison.Ordinal) ? key.IndexOf('.', Blocks.Length) : -1;
        return end > 0 && !model.Tensors.Any(t => t.Name.AsSpan().StartsWith(key.AsSpan(0, end + 1), StringComparison.Ordinal));
    }

    /// <summary>Two positive integers; null if it is something else.</summary>
    private static (int Height, int Width)? Pair(JsonNode? node) =>
        node is JsonArray { Count: 2 } pair && pair[0] is JsonValue h && pair[1] is JsonValue w && h.TryGetValue(out int height) && w.TryGetValue(out int width)
            && height > 0 && width > 0
                ? (height, width)
                : null;

    private static string Depthwise(int block) => $"{Backbone}_blocks.{block}._depthwise_conv.weight";

    private static string Project(int block) => $"{Backbone}_blocks.{block}._project_conv.weight";
}
