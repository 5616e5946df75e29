namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>Seeded values and comparisons.</summary>
internal static class StepTestData
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

    /// <summary>
    /// Fails at the first element that is off by more than <paramref name="absolute"/> + <paramref name="relative"/> · |expected|, or is
    /// not a number where one is expected.
    /// </summary>
    public static void AssertClose(float[] actual, double[] expected, double absolute, double relative = 0)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < actual.Length; i++)
        {
            bool close = double.IsNaN(expected[i])
                ? float.IsNaN(actual[i])
                : Math.Abs(actual[i] - expected[i]) <= absolute + (relative * Math.Abs(expected[i]));
            if (!close)
                Assert.Fail($"Element {i}: {actual[i]:R}, expected {expected[i]:R}.");
        }
    }
}
