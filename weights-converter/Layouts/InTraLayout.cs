using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// InTra as jhy12/inpainting-transformer saves it: a plain state_dict, half of whose keys are leftovers of the template that its blocks are copied
/// from. The mean map of the normal pictures, part of the fitted model in the paper's variant, is an optional second file: one tensor (1, 1, H, W).
/// </summary>
internal sealed class InTraLayout : Layout
{
    private const string GlobalTable = "pos_embedding_glb";
    private const string LocalTable = "pos_embedding_loc";

    public override string Model => "InTra";

    public override Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration)
    {
        StateDict tensors = main.Tensors!;
        CheckpointTensor? meanMap = MeanMap(others);
        bool local = configuration.Told("position")?.ToJsonString() == "\"local\"";
        List<string> warnings = FindConfiguration(tensors, meanMap, local, configuration);
        Model model = configuration.Create(Model);

        string[] unused = [local ? GlobalTable : LocalTable, "self_attn.", "feed_forward.", "encoder_layer."];
        List<TensorSource> sources = Match(model, tensors, k => unused.Any(u => k.StartsWith(u, StringComparison.Ordinal)), out List<string> skipped);
        if (meanMap is not null)
        {
            AddMeanMap(model, meanMap, others[0].File.FilePath, sources, warnings);
        }

        warnings.AddRange(model.Assumptions(name => sources.Any(s => s.Name == name)));
        return new Conversion(model, sources, configuration.Notes(model), skipped, warnings);
    }

    private static CheckpointTensor? MeanMap(IReadOnlyList<OpenCheckpoint> others)
    {
        if (others.Count > 1)
        {
            throw new CheckpointException($"{others[1].File.FilePath}: one file too many: an InTra has a checkpoint and at most a mean map.");
        }

        return others.Count == 0
            ? null
            : others[0].Bare ?? throw new CheckpointException(
                $"{others[0].File.FilePath}: expected InTra's mean map, one tensor (1, 1, H, W) saved with torch.save, found {others[0].Description}.");
    }

    /// <summary>Model card, section 5.</summary>
    private static List<string> FindConfiguration(StateDict tensors, CheckpointTensor? meanMap, bool local, ConfigurationFinder c)
    {
        List<string> warnings = [];
        int[] projection = tensors.Extents("lin_proj.weight", 2);
        int k = SquareRoot(projection[1] / 3) is int root && projection[1] % 3 == 0
            ? root
            : throw new CheckpointException($"{tensors.FilePath}: tensor \"lin_proj.weight\" has {projection[1]} columns, expected 3·K² for patches of K×K RGB pixels");
        c.Infer("K", k, $"lin_proj.weight has {projection[1]} = 3·{k}² columns");
        c.Infer("d_model", projection[0], $"lin_proj.weight has {projection[0]} rows");
        c.Infer("C", 3, "pictures have three channels");
        int blocks = tensors.CountBlocks("encoder.layers.");
        c.Infer("N", blocks, $"encoder.layers.0 … {blocks - 1}");
        if (tensors.Has(LocalTable))
        {
            int rows = tensors.Extents(LocalTable, 3)[1];
            int side = SquareRoot(rows) ?? throw NotSquare(tensors, LocalTable, rows);
            c.Infer("L", side, $"{LocalTable} has {rows} = {side}² rows");
        }
        else
        {
            c.Assume("L", 7, "published value; a checkpoint without the unused local position table does not show it");
        }

        int grid;
        if (tensors.Has(GlobalTable) || !local)
        {
            int rows = tensors.Extents(GlobalTable, 3)[1];
            grid = SquareRoot(rows) ?? throw NotSquare(tensors, GlobalTable, rows);
            c.Infer("grid_max", grid, $"{GlobalTable} has {rows} = {grid}² rows");
        }
        else
        {
            c.Require("image_h", "without a global position table nothing shows the picture's size", "256");
            grid = Math.Max(1, (c.ToldInt("image_h") ?? k) / k);
            c.Assume("grid_max", grid, "the picture's side in patches; local positions do not use it");
        }

        if (meanMap is { Shape.Rank: 4 })
        {
            c.Infer("image_h", meanMap.Shape[2], $"the mean map has shape {meanMap.Shape}");
            c.Infer("image_w", meanMap.Shape[3], $"the mean map has shape {meanMap.Shape}");
        }
        else
        {
            int side = grid * k;
            c.Assume("image_h", side, $"square picture of grid_max·K = {side} pixels");
            c.Assume("image_w", side, $"square picture of grid_max·K = {side} pixels");
        }

        c.Assume("h", 8, "published value; a checkpoint does not show the number of heads");
        bool template = tensors.HasPrefix("encoder_layer.");
        foreach ((string key, string value) in new[] { ("long_skip", "symmetric"), ("window", "centered"), ("position", "global"), ("map", "paper") })
        {
            c.Assume(key, value, "the paper's variant; a checkpoint does not show it");
        }

        if (template && c.Told("long_skip") is null)
        {
            warnings.Add(
                "long_skip = symmetric (the paper's) is assumed, but the leftover keys encoder_layer.* show the code of jhy12/inpainting-transformer, whose own skips are shifted by one: "
                + "if it trained this checkpoint unmodified, convert with --set long_skip=jhy12 window=jhy12");
        }

        return warnings;
    }

    private static void AddMeanMap(Model model, CheckpointTensor meanMap, string path, List<TensorSource> sources, List<string> warnings)
    {
        if (model.Tensors.FirstOrDefault(t => t.Name == InTra.MeanMapKey) is not { } spec)
        {
            warnings.Add($"{path} is not used: the map of jhy12 has no mean map");
            return;
        }

        Shape expected = spec.Shape;
        if (meanMap.Shape != expected)
        {
            throw new CheckpointException($"{path}: the mean map has shape {meanMap.Shape}, expected {expected}. It must come from the same training run as the checkpoint.");
        }

        sources.Add(meanMap.ToSource(InTra.MeanMapKey));
    }

    private static CheckpointException NotSquare(StateDict tensors, string key, int rows) =>
        new($"{tensors.FilePath}: tensor \"{key}\" has {rows} rows, expected the square of a grid's side");
}
