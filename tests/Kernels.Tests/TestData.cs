namespace KernelAD.Kernels.Tests;

/// <summary>Seeded values and comparisons.</summary>
internal static class TestData
{
    /// <summary>Roughly normal values times <paramref name="scale"/>, and now and then an outlier a hundred times larger.</summary>
    public static float[] Values(int count, int seed, float scale = 1, float mean = 0, bool outliers = true)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            float normal = (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2;
            values[i] = mean + (scale * (outliers && random.Next(97) == 0 ? 100 * normal : normal));
        }

        return values;
    }

    /// <summary>The values as a storage type keeps them.</summary>
    public static float[] Values(int count, int seed, StorageType type) => [.. Values(count, seed).Select(v => Rounding.To(type, v))];

    /// <summary>Rows of values with others between them that count for nothing: NaN.</summary>
    public static float[] Padded(float[] values, int columns, int stride)
    {
        float[] padded = new float[values.Length / columns * stride];
        Array.Fill(padded, float.NaN);
        for (int row = 0; row < values.Length / columns; row++)
        {
            values.AsSpan(row * columns, columns).CopyTo(padded.AsSpan(row * stride));
        }

        return padded;
    }

    /// <summary>
    /// Fails at the first element that is off by more than <paramref name="absolute"/> + <paramref name="relative"/> · |expected|, or is not a
    /// number where one is expected; infinities have to be met.
    /// </summary>
    public static void AssertClose(float[] actual, double[] expected, double absolute, double relative = 0)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < actual.Length; i++)
        {
            bool close = double.IsFinite(expected[i])
                ? Math.Abs(actual[i] - expected[i]) <= absolute + (relative * Math.Abs(expected[i]))
                : ((double)actual[i]).Equals(expected[i]);
            if (!close)
            {
                Assert.Fail($"element {i}: {actual[i]:R}, expected {expected[i]:R}");
            }
        }
    }
}
