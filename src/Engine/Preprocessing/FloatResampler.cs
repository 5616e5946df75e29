namespace KernelAD.Preprocessing;

/// <summary>
/// Resizes grids of float vectors as PyTorch's antialiased bicubic interpolation does (align_corners false): the filter of
/// <see cref="PillowResampler"/> in floating point, taps outside the grid left out and the others normalised to sum 1. Used for
/// tables of position embeddings when a teacher was trained on another grid (timm's resample_abs_pos_embed).
/// </summary>
public static class FloatResampler
{
    /// <summary>Resizes a grid.</summary>
    /// <param name="source">(<paramref name="sourceHeight"/>, <paramref name="sourceWidth"/>, <paramref name="channels"/>),
    /// row-major.</param>
    /// <param name="sourceHeight">Rows of the grid.</param>
    /// <param name="sourceWidth">Columns of the grid.</param>
    /// <param name="channels">Length of a grid point's vector.</param>
    /// <param name="destination">(<paramref name="height"/>, <paramref name="width"/>, <paramref name="channels"/>), row-major.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <exception cref="ArgumentException">A span's length does not fit its shape.</exception>
    public static void Bicubic(
        ReadOnlySpan<float> source, int sourceHeight, int sourceWidth, int channels, Span<float> destination, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(sourceHeight, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(sourceWidth, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if (source.Length != (long)sourceHeight * sourceWidth * channels)
            throw new ArgumentException($"a {sourceHeight}×{sourceWidth}×{channels} grid does not have {source.Length} elements", nameof(source));
        if (destination.Length != (long)height * width * channels)
            throw new ArgumentException($"a {height}×{width}×{channels} grid does not have {destination.Length} elements", nameof(destination));

        float[] wide = new float[checked(sourceHeight * width * channels)];
        for (int y = 0; y < sourceHeight; y++)
        {
            int rowLength = sourceWidth * channels;
            ResizeAxis(source.Slice(y * rowLength, rowLength), sourceWidth, channels, wide.AsSpan(y * width * channels, width * channels), width);
        }

        ResizeAxis(wide, sourceHeight, width * channels, destination, height);
    }

    /// <summary>Resizes the outer axis of an (input, inner) matrix to (output, inner).</summary>
    private static void ResizeAxis(ReadOnlySpan<float> source, int input, int inner, Span<float> destination, int output)
    {
        double scale = (double)input / output;
        double stretch = Math.Max(scale, 1);
        double support = stretch * Interpolation.Bicubic.Support();
        double[] weights = new double[input];
        double[] sums = new double[inner];
        for (int i = 0; i < output; i++)
        {
            double centre = (i + 0.5) * scale;
            int low = Math.Max((int)(centre - support + 0.5), 0);
            int high = Math.Min((int)(centre + support + 0.5), input);
            double total = 0;
            for (int j = low; j < high; j++)
            {
                weights[j] = Interpolation.Bicubic.Weight((j - centre + 0.5) / stretch);
                total += weights[j];
            }

            Array.Clear(sums);
            for (int j = low; j < high; j++)
            {
                double weight = weights[j] / total;
                ReadOnlySpan<float> row = source.Slice(j * inner, inner);
                for (int c = 0; c < inner; c++)
                    sums[c] += weight * row[c];
            }

            Span<float> result = destination.Slice(i * inner, inner);
            for (int c = 0; c < inner; c++)
                result[c] = (float)sums[c];
        }
    }
}
