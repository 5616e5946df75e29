namespace KernelAD.Evaluation.Metrics;

/// <summary>Scores of an image from its anomaly map.</summary>
public static class ImagePooling
{
    /// <summary>Side of the squares of <see cref="AverageThenMax"/>, as ADer and UniAD have it.</summary>
    public const int Side = 16;

    /// <summary>The highest value.</summary>
    public static float Max(ReadOnlySpan<float> map)
    {
        float highest = float.NegativeInfinity;
        foreach (float value in map)
        {
            highest = Math.Max(highest, value);
        }

        return highest;
    }

    /// <summary>The mean.</summary>
    public static float Mean(ReadOnlySpan<float> map) => (float)(Sum(map) / map.Length);

    /// <summary>The standard deviation of the population.</summary>
    public static float StandardDeviation(ReadOnlySpan<float> map)
    {
        double mean = Sum(map) / map.Length;
        double squares = 0;
        foreach (float value in map)
        {
            squares += (value - mean) * (value - mean);
        }

        return (float)Math.Sqrt(squares / map.Length);
    }

    /// <summary>
    /// The highest mean of all squares of <see cref="Side"/> · <see cref="Side"/> pixels inside the map: average pooling with stride 1 and no padding, then the
    /// maximum. NaN if no square fits.
    /// </summary>
    /// <param name="map">height · width values, row-major.</param>
    /// <param name="height">Number of rows.</param>
    /// <param name="width">Values in a row.</param>
    public static float AverageThenMax(ReadOnlySpan<float> map, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(map.Length, (long)height * width, nameof(map));
        if (height < Side || width < Side)
        {
            return float.NaN;
        }

        // A summed-area table of the last rows only, in double: a difference of large float32 sums would lose the digits that matter.
        int columns = width + 1;
        double[] table = new double[(Side + 1) * columns];
        double highest = double.NegativeInfinity;
        for (int y = 1; y <= height; y++)
        {
            Span<double> row = table.AsSpan(y % (Side + 1) * columns, columns);
            ReadOnlySpan<double> above = table.AsSpan((y - 1) % (Side + 1) * columns, columns);
            AddRow(map.Slice((y - 1) * width, width), above, row);
            if (y >= Side)
            {
                // The row that lies Side rows above is the one that the next row will replace.
                ReadOnlySpan<double> top = table.AsSpan((y + 1) % (Side + 1) * columns, columns);
                for (int x = Side; x < columns; x++)
                {
                    highest = Math.Max(highest, row[x] - row[x - Side] - top[x] + top[x - Side]);
                }
            }
        }

        return (float)(highest / (Side * Side));
    }

    private static void AddRow(ReadOnlySpan<float> values, ReadOnlySpan<double> above, Span<double> row)
    {
        double sum = 0;
        row[0] = 0;
        for (int x = 0; x < values.Length; x++)
        {
            sum += values[x];
            row[x + 1] = above[x + 1] + sum;
        }
    }

    private static double Sum(ReadOnlySpan<float> map)
    {
        double sum = 0;
        foreach (float value in map)
        {
            sum += value;
        }

        return sum;
    }
}
