namespace KernelAD.Tensors;

/// <summary>A dense row-major float32 tensor in managed memory: what goes into and comes out of the raw interface. Not used inside a running plan.</summary>
public sealed class Tensor
{
    /// <summary>Creates a tensor of zeros.</summary>
    public Tensor(Shape shape)
        : this(shape, new float[shape.Count])
    {
    }

    /// <summary>Wraps <paramref name="data"/> without copying.</summary>
    /// <exception cref="ArgumentException">The length is not the shape's element count.</exception>
    public Tensor(Shape shape, float[] data)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (data.Length != shape.Count)
        {
            throw new ArgumentException($"a tensor of shape {shape} has {shape.Count} elements, but {data.Length} were given", nameof(data));
        }

        Shape = shape;
        Data = data;
    }

    /// <summary>The extents.</summary>
    public Shape Shape { get; }

    /// <summary>The elements, row-major.</summary>
    public float[] Data { get; }
}
