using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>
/// Which values of an anomaly map get the lowest and the highest colour. One scale serves a whole run: maps scaled one by one show the
/// noise of a good part
/// as brightly as the defect of a bad one.
/// </summary>
public readonly record struct HeatMapScale
{
    /// <summary>Creates a scale.</summary>
    /// <param name="min">Value of the lowest colour; what lies below gets it too.</param>
    /// <param name="max">Value of the highest colour; what lies above gets it too.</param>
    /// <exception cref="ConfigurationException">The values are not finite, or <paramref name="max"/> is not above
    /// <paramref name="min"/>.</exception>
    public HeatMapScale(float min, float max)
    {
        if (!float.IsFinite(min) || !float.IsFinite(max - min) || !(max > min))
            throw new ConfigurationException($"a heat map's scale needs a finite minimum below a finite maximum; found {min} to {max}");
        Min = min;
        Max = max;
    }

    /// <summary>Value of the lowest colour.</summary>
    public float Min { get; }

    /// <summary>Value of the highest colour.</summary>
    public float Max { get; }

    /// <summary>Where a value lies between <see cref="Min"/> (0) and <see cref="Max"/> (1), clipped.</summary>
    public float Normalise(float value)
    {
        float t = (value - Min) / (Max - Min);
        return t > 0 ? Math.Min(t, 1) : 0;
    }
}

/// <summary>Anomaly maps in colour.</summary>
public static class HeatMap
{
    /// <summary>Draws a map alone, one pixel a value.</summary>
    /// <returns>An RGB picture of the map's extent.</returns>
    public static Picture Draw(MapView map, HeatMapScale scale, ColorMap? colors = null)
    {
        ReadOnlySpan<byte> table = (colors ?? ColorMap.Turbo).Colors;
        Picture picture = new(map.Width, map.Height, PixelFormat.Rgb24);
        Span<byte> pixels = picture.Pixels;
        for (int i = 0; i < map.Values.Length; i++)
            table.Slice(ColorIndex(scale, map.Values[i]) * 3, 3).CopyTo(pixels[(3 * i)..]);
        return picture;
    }

    /// <summary>Which of a colour map's colours a value gets.</summary>
    internal static int ColorIndex(HeatMapScale scale, float value) => (int)((scale.Normalise(value) * 255) + 0.5f);
}
