using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>An anomaly map in the caller's memory: rows from top to bottom without gaps. Borrows, never copies.</summary>
public readonly ref struct MapView
{
    /// <summary>Describes a map.</summary>
    /// <param name="values">height · width values, row-major.</param>
    /// <param name="height">Number of rows.</param>
    /// <param name="width">Values in a row.</param>
    /// <exception cref="BadInputException">The map is empty or too large.</exception>
    /// <exception cref="TensorException">The number of values does not fit, or one of them is NaN or infinite.</exception>
    public MapView(ReadOnlySpan<float> values, int height, int width)
    {
        PictureView.CheckExtent(width, height);
        if (values.Length != height * width)
            throw new TensorException($"an anomaly map of {height}×{width} has {height * width} values, but {values.Length} were given");
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                throw new TensorException($"the anomaly map holds {values[i]} at row {i / width}, column {i % width}; it cannot be drawn");
        }

        Values = values;
        Height = height;
        Width = width;
    }

    /// <summary>The values, row-major.</summary>
    public ReadOnlySpan<float> Values { get; }

    /// <summary>Number of rows.</summary>
    public int Height { get; }

    /// <summary>Values in a row.</summary>
    public int Width { get; }

    /// <summary>Enlarges or shrinks the map bilinearly: pixel centres aligned, edges repeated, no antialiasing.</summary>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Values in a row of the result.</param>
    /// <param name="destination">Receives height · width values, row-major.</param>
    /// <exception cref="ArgumentException"><paramref name="destination"/> has another length.</exception>
    public void Resize(int height, int width, Span<float> destination)
    {
        PictureView.CheckExtent(width, height);
        if (destination.Length != height * width)
            throw new ArgumentException($"a map of {height}×{width} has {height * width} values, the destination {destination.Length}", nameof(destination));
        MapAxis rows = new(height, Height, 0, height), columns = new(width, Width, 0, width);
        float[] line = new float[Width];
        for (int y = 0; y < height; y++)
        {
            rows.Interpolate(Values, Width, y, line);
            for (int x = 0; x < width; x++)
                destination[(y * width) + x] = columns.At(line, x) ?? throw new InvalidOperationException("the map covers every pixel");
        }
    }

    /// <summary>One row.</summary>
    public ReadOnlySpan<float> Row(int y) => Values.Slice(y * Width, Width);
}
