using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// ViTAD as ADer saves it: <c>net_t.</c> (teacher), <c>net_fusion.</c>, <c>net_s.</c> (student) in one flat dictionary, alone or as entry "net" of a training
/// state. When the teacher is not in it, a second file is DINO's backbone, whose position table is resampled to the student's grid.
/// </summary>
internal sealed class VitAdLayout : Layout
{
    private const string Teacher = "net_t.";
    private const string TeacherTable = "net_t.pos_embed";

    /// <summary>Keys, or beginnings of keys after a dot, that only other teachers have, and what those are.</summary>
    private static readonly (string Key, string Variant)[] Variants =
    [
        ("dist_token", "a distilled DeiT (a second prefix token, dist_token)"),
        ("head_dist.", "a distilled DeiT (a second head, head_dist)"),
        ("norm_pre.", "CLIP (norm_pre, a patch embedding without bias, LayerNorm epsilon 1e-5)"),
        ("fc_norm.", "MAE, fine-tuned (fc_norm)"),
        ("decoder_embed.", "MAE, pretraining (a decoder)"),
        ("reg_token", "DINOv2 with registers (reg_token)"),
        ("register_tokens", "DINOv2 with registers (register_tokens)"),
        ("mask_token", "DINOv2 or MAE (mask_token)"),
        ("blocks.0.ls1.", "DINOv2 (layer scale, ls1)"),
        ("blocks.0.attn.q_norm.", "a transformer with normalised queries (q_norm)"),
        ("base_encoder.", "MoCo v3 (base_encoder)"),
        ("momentum_encoder.", "MoCo v3 (momentum_encoder)"),
    ];

    public override string Model => "ViTAD";

    public override Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration)
    {
        List<string> warnings = [];
        StateDict tensors = WithTeacher(main.Tensors!, others, warnings);
        RejectVariants(tensors.Under(Teacher), tensors.FilePath);
        int grid = FindConfiguration(tensors, configuration);
        Model model = configuration.Create(Model);

        // A trained file holds the table that it was trained with; only a teacher of its own may come with another grid.
        if (tensors != main.Tensors)
        {
            tensors = WithTableFor(grid, tensors, warnings);
        }

        List<TensorSource> sources = Match(model, tensors, key => IsUnused(key, model), out List<string> skipped);
        return new Conversion(model, sources, configuration.Notes(model), skipped, warnings);
    }

    /// <summary>The checkpoint's tensors, completed by the teacher's from another file if need be.</summary>
    private static StateDict WithTeacher(StateDict tensors, IReadOnlyList<OpenCheckpoint> others, List<string> warnings)
    {
        if (others.Count > 1)
        {
            throw new CheckpointException($"{others[1].File.FilePath}: one file too many: a ViTAD has a checkpoint and at most a teacher.");
        }

        OpenCheckpoint? other = others.Count > 0 ? others[0] : null;
        if (tensors.HasPrefix(Teacher))
        {
            if (other is not null)
            {
                warnings.Add($"{other.File.FilePath} is not used: the checkpoint holds its own teacher");
            }

            return tensors;
        }

        if (other is null)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: the teacher (net_t.*) is missing. Give its file as the second one, DINO's dino_deitsmall16_pretrain.pth for the published model.");
        }

        // DINO's full training checkpoint holds the backbone beside a projection head.
        StateDict? teacher = other.Tensors?.Under("backbone.");
        if (teacher is null || other.Kind is { Model: not null } || (other.Kind is not null && other.Kind != CheckpointKind.VisionTransformer && !IsVariant(teacher)))
        {
            throw new CheckpointException($"{other.File.FilePath}: expected ViTAD's teacher, a vision transformer, found {other.Description}.");
        }

        RejectVariants(teacher, other.File.FilePath);
        return tensors.With(Teacher, teacher);
    }

    private static bool IsVariant(StateDict teacher) => Variants.Any(v => teacher.HasPrefix(v.Key));

    private static void RejectVariants(StateDict teacher, string path)
    {
        foreach ((string key, string variant) in Variants)
        {
            if (teacher.HasPrefix(key))
            {
                throw new CheckpointException($"{path}: the teacher is {variant}, which is not supported; supported are ViT teachers with one cls token, such as DINO's.");
            }
        }

        if (teacher.Has("patch_embed.proj.weight") && !teacher.Has("patch_embed.proj.bias"))
        {
            throw new CheckpointException(
                $"{path}: the teacher's patch embedding has no bias, as CLIP's, which is not supported; supported are ViT teachers with one cls token, such as DINO's.");
        }
    }

    /// <summary>Model card, section 5. Returns the side of the student's grid.</summary>
    private static int FindConfiguration(StateDict tensors, ConfigurationFinder c)
    {
        int patch = tensors.Extents("net_t.patch_embed.proj.weight", 4)[2];
        int rows = tensors.Extents("net_s.pos_embed", 3)[1];
        int grid = SquareRoot(rows)
            ?? throw new CheckpointException($"{tensors.FilePath}: tensor \"net_s.pos_embed\" has {rows} rows, expected the square of a grid's side");
        long side = (long)patch * grid;
        int[] fusion = tensors.Extents("net_fusion.fc.weight", 2);
        int width = fusion[0];
        int hidden = tensors.Extents("net_s.blocks.0.mlp.fc1.weight", 2)[0];
        if (patch < 1 || width < 1 || fusion[1] % width != 0 || fusion[1] == 0 || hidden % width != 0)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: net_fusion.fc.weight ({fusion[0]}, {fusion[1]}) and net_s.blocks.0.mlp.fc1.weight ({hidden} rows) do not fit together; expected (d, necks·d) and a multiple of d rows");
        }

        c.Infer("image", new JsonArray(side, side), $"patch · side of the student's grid, net_s.pos_embed has {rows} = {grid}² rows");
        c.Infer("patch", patch, "net_t.patch_embed.proj.weight");
        c.Infer("embed_dim", width, $"net_fusion.fc.weight has {width} rows");
        c.Infer("mlp_ratio", hidden / width, $"net_s.blocks.0.mlp.fc1.weight has {hidden} rows");
        int teacherDepth = tensors.CountBlocks("net_t.blocks."), studentDepth = tensors.CountBlocks("net_s.blocks.");
        c.Infer("teacher_depth", teacherDepth, "number of net_t.blocks");
        c.Infer("student_depth", studentDepth, "number of net_s.blocks");
        c.Infer("prefix_tokens", 1, "net_t.cls_token and no other");
        FindHeads(width, c);
        FindTaps(tensors, teacherDepth, studentDepth, fusion[1] / width, c);
        return grid;
    }

    private static void FindHeads(int width, ConfigurationFinder c)
    {
        if (width == 1280 || width % 64 == 0)
        {
            int heads = width == 1280 ? 16 : width / 64;
            c.Assume("heads", heads, $"the usual number for a width of {width}; a checkpoint does not show it");
        }
        else
        {
            c.Require("heads", $"a width of {width} has no usual number of heads", "6");
        }
    }

    private static void FindTaps(StateDict tensors, int teacherDepth, int studentDepth, int necks, ConfigurationFinder c)
    {
        bool published = teacherDepth == 12 && studentDepth == 9;
        foreach ((string key, int[] usual) in new (string, int[])[] { ("teachers", [3, 6, 9]), ("students", [3, 6, 9]), ("neck", [12]) })
        {
            if (published && (key != "neck" || necks == 1))
            {
                c.Assume(key, new JsonArray([.. usual.Select(b => (JsonNode)b)]), "published value for 12 and 9 blocks; a checkpoint does not show it");
            }
            else
            {
                c.Require(key, $"the published blocks belong to depths 12 and 9 and one neck, here they are {teacherDepth}, {studentDepth} and {necks}", "[3,6,9]");
            }
        }

        if (c.Told("neck") is JsonArray told && told.Count != necks)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: told \"neck\" = {told.ToJsonString()}, {told.Count} blocks, but tensor \"net_fusion.fc.weight\" takes the features of {necks}.");
        }
    }

    /// <summary>Brings the teacher's position table to the student's grid (model card, section 3.5).</summary>
    private static StateDict WithTableFor(int grid, StateDict tensors, List<string> warnings)
    {
        int[] extents = tensors.Extents(TeacherTable, 3);
        int rows = extents[1], width = extents[2];
        if (rows == (grid * grid) + 1)
        {
            return tensors;
        }

        const long MaxElements = 1 << 26;
        if (SquareRoot(rows - 1) is not int old || extents[0] != 1 || width < 1 || Math.Max(rows, (long)grid * grid) * width > MaxElements)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: the teacher's position table has shape ({string.Join(", ", extents)}), expected (1, side² + 1, width): one cls token and a square grid");
        }

        Tensor table = ((CheckpointTensor)tensors.Tensors[TeacherTable]).Read();
        Tensor result = new(new Shape(1, (grid * grid) + 1, width));
        table.Data.AsSpan(0, width).CopyTo(result.Data);
        FloatResampler.Bicubic(table.Data.AsSpan(width), old, old, width, result.Data.AsSpan(width), grid, grid);
        warnings.Add($"the teacher's position table is resampled from {old}×{old} to {grid}×{grid}, as timm does");
        return tensors.With(new ComputedTensor(TeacherTable, result));
    }

    /// <summary>
    /// Keys that are in the files and that the model does not use: the teacher's norm and head, blocks after the last one that is looked at, and of the
    /// student everything beside its blocks and position table, which differs between versions of timm.
    /// </summary>
    private static bool IsUnused(string key, Model model)
    {
        int block = key.IndexOf(".blocks.", StringComparison.Ordinal);
        if (block >= 0)
        {
            int end = key.IndexOf('.', block + ".blocks.".Length);
            return end > 0 && !model.Tensors.Any(t => t.Name.AsSpan().StartsWith(key.AsSpan(0, end + 1), StringComparison.Ordinal));
        }

        return key.StartsWith("net_t.norm.", StringComparison.Ordinal)
            || key.StartsWith("net_t.head.", StringComparison.Ordinal)
            || key.StartsWith("net_s.", StringComparison.Ordinal);
    }
}
