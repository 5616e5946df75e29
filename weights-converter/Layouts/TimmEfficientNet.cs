using System.Globalization;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>The names that timm gives the tensors of an EfficientNet, which lukemelas/EfficientNet-PyTorch, and hence the engine, calls otherwise.</summary>
internal static class TimmEfficientNet
{
    private static readonly (string Timm, string Ours)[] Outer =
        [("conv_stem.", "_conv_stem."), ("bn1.", "_bn0."), ("conv_head.", "_conv_head."), ("bn2.", "_bn1."), ("classifier.", "_fc.")];

    /// <summary>Of a block that does not widen its input.</summary>
    private static readonly (string Timm, string Ours)[] Narrow =
    [
        ("conv_dw.", "_depthwise_conv."), ("bn1.", "_bn1."),
        ("se.conv_reduce.", "_se_reduce."), ("se.conv_expand.", "_se_expand."), ("conv_pw.", "_project_conv."), ("bn2.", "_bn2."),
    ];

    /// <summary>Of one that does.</summary>
    private static readonly (string Timm, string Ours)[] Wide =
    [
        ("conv_pw.", "_expand_conv."), ("bn1.", "_bn0."), ("conv_dw.", "_depthwise_conv."), ("bn2.", "_bn1."),
        ("se.conv_reduce.", "_se_reduce."), ("se.conv_expand.", "_se_expand."), ("conv_pwl.", "_project_conv."), ("bn3.", "_bn2."),
    ];

    /// <summary>Whether a backbone's tensors are named so.</summary>
    /// <param name="tensors">The tensors.</param>
    /// <param name="prefix">What the backbone's keys begin with.</param>
    public static bool Has(StateDict tensors, string prefix) => tensors.Has(prefix + "conv_stem.weight");

    /// <summary>The same tensors under our names; a name that timm does not give stays.</summary>
    public static StateDict Rename(StateDict tensors, string prefix)
    {
        string blocks = prefix + "blocks.";
        (string Key, (int Stage, int Block) Place, string Name)[] inner = [.. tensors.Tensors.Keys
            .Where(k => k.StartsWith(blocks, StringComparison.Ordinal))
            .Select(k => (Key: k, Parts: k[blocks.Length..].Split('.', 3)))
            .Where(k => k.Parts.Length == 3 && Number(k.Parts[0]) >= 0 && Number(k.Parts[1]) >= 0)
            .Select(k => (k.Key, (Number(k.Parts[0]), Number(k.Parts[1])), k.Parts[2]))];

        // timm counts blocks within their stage, lukemelas through all stages.
        Dictionary<(int Stage, int Block), int> number = inner.Select(k => k.Place).Distinct().Order().Select((place, i) => (place, i)).ToDictionary(p => p.place, p => p.i);
        HashSet<(int Stage, int Block)> wide = [.. inner.Where(k => k.Name.StartsWith("conv_pwl.", StringComparison.Ordinal)).Select(k => k.Place)];
        Dictionary<string, string> names = new(StringComparer.Ordinal);
        foreach ((string key, (int Stage, int Block) place, string name) in inner)
        {
            names[key] = Renamed(name, wide.Contains(place) ? Wide : Narrow) is string ours ? $"{prefix}_blocks.{number[place]}.{ours}" : key;
        }

        return tensors.Renamed(key => names.TryGetValue(key, out string? name) ? name
            : key.StartsWith(prefix, StringComparison.Ordinal) && Renamed(key[prefix.Length..], Outer) is string outer ? prefix + outer
            : key);
    }

    private static int Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;

    private static string? Renamed(string key, (string Timm, string Ours)[] names)
    {
        (string timm, string ours) = names.FirstOrDefault(n => key.StartsWith(n.Timm, StringComparison.Ordinal));
        return timm is null ? null : ours + key[timm.Length..];
    }
}
