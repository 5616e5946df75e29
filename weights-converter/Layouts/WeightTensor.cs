using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>A named tensor that a model file may be given.</summary>
/// <param name="name">Its key.</param>
internal abstract class WeightTensor(string name)
{
    /// <summary>Its key.</summary>
    public string Name { get; } = name;

    /// <summary>Its extents.</summary>
    public abstract Shape Shape { get; }

    /// <summary>The type in which it is written: half and bfloat16 stay as they are, everything else becomes single precision.</summary>
    public abstract ElementType OutputType { get; }

    /// <summary>Writes the values row-major as <see cref="OutputType"/>.</summary>
    /// <exception cref="CheckpointException">A value is NaN or infinite, or the type cannot be converted.</exception>
    public abstract void WriteTo(Stream destination);

    /// <summary>The tensor as the model calls it, to be written.</summary>
    public TensorSource ToSource(string key) => new(key, OutputType, Shape, WriteTo);
}

/// <summary>A tensor that was computed during conversion.</summary>
internal sealed class ComputedTensor(string name, Tensor values) : WeightTensor(name)
{
    /// <inheritdoc/>
    public override Shape Shape => values.Shape;

    /// <inheritdoc/>
    public override ElementType OutputType => ElementType.F32;

    /// <inheritdoc/>
    public override void WriteTo(Stream destination) => TensorSource.Of(Name, values).Write(destination);
}

/// <summary>A tensor whose elements are the same under another shape.</summary>
internal sealed class ReshapedTensor(string name, WeightTensor tensor, Shape shape) : WeightTensor(name)
{
    /// <inheritdoc/>
    public override Shape Shape => shape;

    /// <inheritdoc/>
    public override ElementType OutputType => tensor.OutputType;

    /// <inheritdoc/>
    public override void WriteTo(Stream destination) => tensor.WriteTo(destination);
}
