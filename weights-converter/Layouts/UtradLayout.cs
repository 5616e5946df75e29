using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Weights;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// UTRAD as gordon-chenmo/UTRAD saves it: entry "transformer" of a training state, beside the training's arguments. The frozen backbone is not in it: the second file is torchvision's
/// ResNet-18.
/// </summary>
internal sealed class UtradLayout : Layout
{
    private const string Backbone = "backbone.";
    private const string Positions = "global_position_embedding.weight";

    public override string Model => "UTRAD";

    public override Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration)
    {
        StateDict transformer = main.Tensors!, backbone = FindBackbone(main, others);
        FindBackboneConfiguration(transformer, backbone, configuration);
        FindConfiguration(transformer, (main.File.Root as PickleDict)?["args"] as PickleDict, configuration);
        Model model = configuration.Create(Model);
        List<TensorSource> sources = Match(model, transformer.With(Backbone, backbone), IsUnused, out List<string> skipped);
        return new Conversion(model, sources, configuration.Notes(model), skipped, []);
    }

    private static StateDict FindBackbone(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others) => others switch
    {
        [{ Kind: { } kind, Tensors: { } tensors }] when kind == CheckpointKind.ResNet => tensors,
        [{ } other] => throw new CheckpointException($"{other.File.FilePath}: expected UTRAD's backbone, torchvision's ResNet-18, found {other.Description}."),
        [] => throw new CheckpointException(
            $"{main.File.FilePath}: the backbone is missing: UTRAD's checkpoint does not hold it. Give torchvision's ResNet-18 as the second file: resnet18-5c106cde.pth (of the time of the "
            + "published code) or resnet18-f37072fd.pth."),
        _ => throw new CheckpointException($"{others[1].File.FilePath}: one file too many: a UTRAD has a checkpoint and a backbone."),
    };

    /// <summary>The backbone must be a ResNet-18 whose features are what the transformer takes.</summary>
    private static void FindBackboneConfiguration(StateDict transformer, StateDict backbone, ConfigurationFinder c)
    {
        const string Last = "layer3.1.conv2.weight";
        int[] blocks = [.. Enumerable.Range(1, 3).Select(i => backbone.CountBlocks($"layer{i}."))];
        if (blocks.Any(b => b != 2) || backbone.Has("layer1.0.conv3.weight"))
        {
            throw new CheckpointException(
                $"{backbone.FilePath}: expected a ResNet-18, two blocks of two convolutions in each layer, found {string.Join(", ", blocks)} blocks of "
                + $"{(backbone.Has("layer1.0.conv3.weight") ? "three" : "two")} convolutions in layers 1, 2, 3");
        }

        int[] first = backbone.Extents("conv1.weight", 4), last = backbone.Extents(Last, 4), projection = transformer.Extents("pre_conv.weight", 4);
        long features = first[0] + (2L * first[0]) + (4L * first[0]);
        if (projection[1] != features || last[0] != 4L * first[0])
        {
            throw new CheckpointException(
                $"{backbone.FilePath}: the backbone does not fit: tensor \"pre_conv.weight\" of {transformer.FilePath} has shape ({string.Join(", ", projection)}), it takes {projection[1]} "
                + $"channels, but \"conv1.weight\" ({string.Join(", ", first)}) and \"{Last}\" ({string.Join(", ", last)}) are those of a ResNet-18 with "
                + $"{first[0]} + {2L * first[0]} + {4L * first[0]} = {features} channels in layers 1, 2 and 3");
        }

        c.Infer("backbone_base_width", first[0], $"conv1.weight of the backbone has {first[0]} rows");
        c.Infer("input_dim", projection[1], $"pre_conv.weight takes {projection[1]} channels");
    }

    /// <summary>Model card, section 5.</summary>
    private static void FindConfiguration(StateDict tensors, PickleDict? arguments, ConfigurationFinder c)
    {
        int levels = tensors.CountBlocks("position_embedding.");
        List<int> windows = [], encoder = [], decoder = [];
        for (int level = 0; level < Math.Min(levels, 16); level++)
        {
            string table = $"position_embedding.{level}.weight";
            int tokens = tensors.Extents(table, 2)[0];
            windows.Add(SquareRoot(tokens) ?? throw new CheckpointException($"{tensors.FilePath}: tensor \"{table}\" has {tokens} rows, expected the square of a window's side"));
            encoder.Add(tensors.CountBlocks($"encoder.{level}.layers."));
            decoder.Add(tensors.CountBlocks($"decoder.{level}.layers."));
        }

        int[] positions = tensors.Extents(Positions, 2);
        double product = windows.Aggregate(1.0, (p, s) => p * s);
        if (positions[1] != product * product)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: tensor \"{Positions}\" has shape ({positions[0]}, {positions[1]}), expected ({positions[0]}, {product * product}): "
                + $"the windows of \"position_embedding.*.weight\" have sides {string.Join(", ", windows)}, which multiply out to a grid of {product}×{product}");
        }

        c.Infer("patch_size", Array(windows), "rows of position_embedding.*.weight are their squares");
        c.Infer("d_model", positions[0], $"{Positions} has {positions[0]} rows");
        c.Assume("nhead", 8, "published value; a checkpoint does not show the number of heads");
        c.Infer("num_encoder_layers", Array(encoder), "number of encoder.*.layers");
        c.Infer("num_decoder_layers", Array(decoder), "number of decoder.*.layers");
        c.Infer("dim_feedforward", tensors.Extents("encoder.0.layers.0.linear1.weight", 2)[0], "rows of encoder.0.layers.0.linear1.weight");
        if (arguments?["activation"] is string activation)
        {
            c.Infer("activation", activation, "the training's arguments, which the checkpoint holds as \"args\"");
        }
        else
        {
            c.Assume("activation", "gelu", "published value; the checkpoint does not hold the training's arguments");
        }
    }

    /// <summary>The backbone's last layer and classifier, whose results the published code throws away, and counters of batches.</summary>
    private static bool IsUnused(string key) =>
        key.StartsWith(Backbone + "layer4.", StringComparison.Ordinal)
        || key.StartsWith(Backbone + "fc.", StringComparison.Ordinal)
        || key.EndsWith(".num_batches_tracked", StringComparison.Ordinal);

    private static JsonArray Array(IReadOnlyList<int> values) => [.. values.Select(v => (JsonNode)v)];
}
