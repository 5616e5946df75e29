using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter;

/// <summary>What the user tells the converter.</summary>
public sealed record ConversionOptions
{
    /// <summary>
    /// The model that the checkpoint must be, one of <see cref="Models.ModelRegistry.Names"/> (case does not matter); null to go by its keys.
    /// </summary>
    public string? Model { get; init; }

    /// <summary>
    /// Configuration values by the keys of the model card. What the tensors do not show is taken from here; what they do show is checked against it.
    /// </summary>
    public JsonObject Told { get; init; } = [];

    /// <summary>Stops the conversion; nothing is left behind.</summary>
    public CancellationToken Cancellation { get; init; }
}
