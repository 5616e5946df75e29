using System.Text.Json.Nodes;

namespace KernelAD.Models;

/// <summary>The models that this build knows.</summary>
public static class ModelRegistry
{
    /// <summary>Names of the models, as <see cref="Model.Name"/> writes them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["ADTR", "InTra", "UniAD", "UTRAD", "ViTAD", "VT-ADL"];

    /// <summary>Creates a model from its name (case does not matter) and its configuration.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="config">Keys and values as the model card and <see cref="Model.Config"/> write them.</param>
    /// <exception cref="ConfigurationException">The name or a key is unknown, or a value does not fit.</exception>
    public static Model Create(string name, JsonObject config)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(config);
        ConfigReader reader = new(name, config);
        Model model = name.ToUpperInvariant() switch
        {
            "ADTR" => new Adtr(AdtrConfig.Read(reader)),
            "INTRA" => new InTra(InTraConfig.Read(reader)),
            "UNIAD" => new UniAd(UniAdConfig.Read(reader)),
            "UTRAD" => new Utrad(UtradConfig.Read(reader)),
            "VITAD" => new VitAd(VitAdConfig.Read(reader)),
            "VT-ADL" => new VtAdl(VtAdlConfig.Read(reader)),
            _ => throw new ConfigurationException($"unknown model \"{name}\": this build knows {string.Join(", ", Names)}"),
        };
        reader.RejectUnreadKeys();
        return model;
    }
}
