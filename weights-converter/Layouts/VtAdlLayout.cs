using KernelAD.Models;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>
/// VT-ADL as pankajmishra000/VT-ADL saves it, in two files: the autoencoder's state_dict (VT_AE_Mvtech_*.pt) and the mixture network's
/// (G_estimate_Mvtech_*.pt).
/// </summary>
internal sealed class VtAdlLayout : Layout
{
    private const string Positions = "vt.pos_embedding";
    private const string Capsules = "Digcap.W";

    public override string Model => "VT-ADL";

    public override Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration)
    {
        StateDict autoencoder = main.Tensors!, mixture = Mixture(main, others);
        int width = FindConfiguration(autoencoder, configuration);
        FindGaussians(autoencoder, mixture, width, configuration);
        Model model = configuration.Create(Model);
        List<TensorSource> sources = Match(
            model, autoencoder.With("", mixture), key => key.EndsWith(".num_batches_tracked", StringComparison.Ordinal), out List<string> skipped);
        return new Conversion(model, sources, configuration.Notes(model), skipped, []);
    }

    private static StateDict Mixture(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others) => others switch
    {
        [{ Kind: { } kind, Tensors: { } tensors }] when kind == CheckpointKind.VtAdlMixture => tensors,
        [{ } other] => throw new CheckpointException(
            $"{other.File.FilePath}: expected VT-ADL's mixture network (pi.weight, mu.weight, sigma_sq.weight), found {other.Description}."),
        [] => throw new CheckpointException(
            $"{main.File.FilePath}: this is VT-ADL's autoencoder; its mixture network is missing. Give its file as the second one: "
            + "the training code saves both, VT_AE_Mvtech_*.pt and G_estimate_Mvtech_*.pt."),
        _ => throw new CheckpointException($"{others[1].File.FilePath}: one file too many: a VT-ADL has an autoencoder and a mixture network."),
    };

    /// <summary>Model card, section 5. Returns the token width.</summary>
    private static int FindConfiguration(StateDict tensors, ConfigurationFinder c)
    {
        int[] positions = tensors.Extents(Positions, 3), projection = tensors.Extents("vt.patch_to_embedding.weight", 2);
        int grid = SquareRoot(positions[1] - 1) ?? throw new CheckpointException(
            $"{tensors.FilePath}: tensor \"{Positions}\" has {positions[1]} rows, expected one for the class token and the square of a grid's side");
        int patch = SquareRoot(projection[1] / 3) is int root && projection[1] % 3 == 0 ? root : throw new CheckpointException(
            $"{tensors.FilePath}: tensor \"vt.patch_to_embedding.weight\" has {projection[1]} columns, expected 3·p² for patches of p×p RGB pixels");
        int width = projection[0];
        c.Infer("image_size", (long)grid * patch, $"patch_size · side of the grid, {Positions} has 1 + {grid}² rows");
        c.Infer("patch_size", patch, $"vt.patch_to_embedding.weight has {projection[1]} = 3·{patch}² columns");
        c.Infer("dim", width, $"vt.patch_to_embedding.weight has {width} rows");
        c.Infer("depth", tensors.CountBlocks("vt.transformer.layers."), "number of vt.transformer.layers");
        c.Assume("heads", 8, "published value; a checkpoint does not show the number of heads");
        c.Infer("mlp_dim", tensors.Extents("vt.transformer.layers.0.1.fn.fn.net.0.weight", 2)[0], "rows of vt.transformer.layers.0.1.fn.fn.net.0.weight");

        int[] capsules = tensors.Extents(Capsules, 4), decoder = tensors.Extents("decoder.decoder2.0.weight", 4);
        long features = (long)grid * grid * width;
        int channels = decoder[0];
        if (capsules[0] != 1 || capsules[3] < 1 || (long)capsules[1] * capsules[3] != features || width % capsules[3] != 0)
        {
            throw new CheckpointException(
                $"{tensors.FilePath}: tensor \"{Capsules}\" has shape ({string.Join(", ", capsules)}), expected (1, capsules, outputs, d) "
                + $"with capsules · d = {features}, the {(long)grid * grid} tokens of {width} features of \"{Positions}\" ({string.Join(", ", positions)})");
        }

        int side = channels > 0 && capsules[2] % channels == 0 && SquareRoot(capsules[2] / channels) is int latent ? latent : throw new CheckpointException(
            $"{tensors.FilePath}: tensor \"{Capsules}\" has shape ({string.Join(", ", capsules)}), {capsules[2]} outputs, which are no square "
            + $"of the {channels} channels of \"decoder.decoder2.0.weight\" ({string.Join(", ", decoder)})");
        c.Infer("caps_per_token", width / capsules[3], $"{Capsules} has {capsules[1]} input capsules for {(long)grid * grid} tokens");
        c.Infer("in_dim_caps", capsules[3], $"last extent of {Capsules}");
        c.Infer("latent_c", channels, $"decoder.decoder2.0.weight takes {channels} channels");
        c.Infer("latent_h", side, $"{Capsules} has {capsules[2]} = {channels}·{side}² outputs");
        c.Infer("latent_w", side, $"{Capsules} has {capsules[2]} = {channels}·{side}² outputs");
        return width;
    }

    private static void FindGaussians(StateDict autoencoder, StateDict mixture, int width, ConfigurationFinder c)
    {
        int[] pi = mixture.Extents("pi.weight", 2);
        int gaussians = pi[0];
        if (gaussians == 0)
        {
            throw new CheckpointException($"{mixture.FilePath}: tensor \"pi.weight\" has shape (0, {pi[1]}): a mixture of no Gaussians; expected at least one row");
        }

        foreach ((string key, long rows) in new[] { ("pi.weight", gaussians), ("mu.weight", (long)gaussians * width), ("sigma_sq.weight", (long)gaussians * width) })
        {
            int[] extents = mixture.Extents(key, 2);
            if (extents[0] != rows || extents[1] != width)
            {
                throw new CheckpointException(
                    $"{mixture.FilePath}: tensor \"{key}\" has shape ({extents[0]}, {extents[1]}), expected ({rows}, {width}) for {gaussians} "
                    + $"Gaussians over the {width} features of {autoencoder.FilePath}. Both files must come from the same training run.");
            }
        }

        c.Infer("gaussians", gaussians, $"pi.weight has {gaussians} rows");
        c.Assume("nll", "weighted_sum", "the published code's; a checkpoint does not show it, and the paper's is log_sum_exp");
        c.Assume("ssim_sign", "plus", "the published code's; a checkpoint does not show it");
    }
}
