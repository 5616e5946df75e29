using KernelAD.Models;
using KernelAD.Weights;
using KernelAD.WeightsConverter.Archives;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>A checkpoint file that was opened and looked at.</summary>
/// <param name="File">The file.</param>
/// <param name="Tensors">Its state dictionary, if it has one.</param>
/// <param name="Bare">The tensor, if the file is one tensor and nothing else.</param>
/// <param name="Kind">What it is, null if unknown.</param>
internal sealed record OpenCheckpoint(CheckpointFile File, StateDict? Tensors, CheckpointTensor? Bare, CheckpointKind? Kind)
{
    /// <summary>What it is, in words.</summary>
    public string Description => this switch
    {
        { Kind: { } kind } => kind.What,
        { Bare: { } tensor } => $"a single tensor of shape {tensor.Shape}",
        { Tensors: { } tensors } => $"a checkpoint of an unknown model, with the keys {Names.List([.. tensors.Tensors.Keys])}",
        _ => "a file without weights",
    };
}

/// <summary>What a layout makes of checkpoints.</summary>
/// <param name="Model">The configured model.</param>
/// <param name="Tensors">Its tensors.</param>
/// <param name="Notes">How each configuration value was found.</param>
/// <param name="Skipped">Keys of the checkpoint that the model does not use.</param>
/// <param name="Warnings">What the user should know.</param>
internal sealed record Conversion(
    Model Model, IReadOnlyList<TensorSource> Tensors, IReadOnlyList<ModelNote> Notes, IReadOnlyList<string> Skipped, IReadOnlyList<string> Warnings);

/// <summary>How one model's published training code lays out its checkpoints.</summary>
internal abstract class Layout
{
    /// <summary>All layouts.</summary>
    public static IReadOnlyList<Layout> All { get; } =
        [new AdtrLayout(), new InTraLayout(), new UniAdLayout(), new UtradLayout(), new VitAdLayout(), new VtAdlLayout()];

    /// <summary>The model.</summary>
    public abstract string Model { get; }

    /// <summary>Finds configuration and tensors.</summary>
    /// <param name="main">The file with the model's weights.</param>
    /// <param name="others">Further files.</param>
    /// <param name="configuration">Collects the configuration.</param>
    /// <exception cref="CheckpointException">Something does not fit.</exception>
    public abstract Conversion Convert(OpenCheckpoint main, IReadOnlyList<OpenCheckpoint> others, ConfigurationFinder configuration);

    /// <summary>Finds each of the model's tensors; missing, unexpected and wrongly shaped keys are reported together.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tensors">The checkpoint's tensors.</param>
    /// <param name="isUnused">Whether a key that the model does not know is known to be unused.</param>
    /// <param name="skipped">Receives the unused keys.</param>
    protected static List<TensorSource> Match(Model model, StateDict tensors, Func<string, bool> isUnused, out List<string> skipped)
    {
        List<TensorSource> sources = [];
        List<string> missing = [], misshapen = [];
        HashSet<string> known = new(StringComparer.Ordinal);
        foreach (TensorSpec spec in model.Tensors)
        {
            known.Add(spec.Name);
            if (!tensors.Tensors.TryGetValue(spec.Name, out WeightTensor? tensor))
            {
                if (!spec.Optional)
                {
                    missing.Add($"\"{spec.Name}\" {spec.Shape}");
                }
            }
            else if (tensor.Shape != spec.Shape)
            {
                misshapen.Add($"\"{spec.Name}\" {tensor.Shape} instead of {spec.Shape}");
            }
            else
            {
                sources.Add(tensor.ToSource(spec.Name));
            }
        }

        skipped = [.. tensors.Tensors.Keys.Where(k => !known.Contains(k))];
        string[] unexpected = [.. skipped.Where(k => !isUnused(k)).Select(k => $"\"{k}\"")];
        if (missing.Count + misshapen.Count + unexpected.Length > 0)
        {
            string[] parts =
            [
                .. missing.Count > 0 ? [$"missing: {Names.List(missing)}"] : Array.Empty<string>(),
                .. misshapen.Count > 0 ? [$"wrong shape: {Names.List(misshapen)}"] : Array.Empty<string>(),
                .. unexpected.Length > 0 ? [$"unexpected: {Names.List(unexpected)}"] : Array.Empty<string>(),
            ];
            throw new CheckpointException(
                $"{tensors.FilePath}: the tensors do not fit {model.Name} with the configuration found: {string.Join("; ", parts)}. Check what was told, or give a checkpoint of the published training code.");
        }

        return sources;
    }

    /// <summary>The integer whose square is <paramref name="value"/>, null if there is none.</summary>
    protected static int? SquareRoot(long value)
    {
        int root = value < 0 ? -1 : (int)Math.Round(Math.Sqrt(value));
        return (long)root * root == value && root > 0 ? root : null;
    }
}
