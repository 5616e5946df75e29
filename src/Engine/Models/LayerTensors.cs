using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>The parameters of common layers under the names that PyTorch gives them.</summary>
internal static class LayerTensors
{
    /// <summary>A linear layer with bias.</summary>
    public static IEnumerable<TensorSpec> Linear(string prefix, int outputs, int inputs) =>
        [new(prefix + ".weight", new Shape(outputs, inputs)), new(prefix + ".bias", new Shape(outputs))];

    /// <summary>Layer normalisation.</summary>
    public static IEnumerable<TensorSpec> LayerNorm(string prefix, int width) =>
        [new(prefix + ".weight", new Shape(width)), new(prefix + ".bias", new Shape(width))];

    /// <summary>Batch normalisation with its statistics.</summary>
    public static IEnumerable<TensorSpec> BatchNorm(string prefix, int channels) =>
    [
        .. LayerNorm(prefix, channels),
        new(prefix + ".running_mean", new Shape(channels)),
        new(prefix + ".running_var", new Shape(channels)),
    ];
}
