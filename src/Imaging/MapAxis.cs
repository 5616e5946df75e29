namespace KernelAD.Imaging;

/// <summary>Bilinear enlargement: where the picture's pixels lie in the map along one axis: between which two values and how far from the first.</summary>
internal readonly struct MapAxis
{
    private readonly int[] _low;
    private readonly float[] _part;
    private readonly int _last;

    /// <summary>Prepares one axis.</summary>
    /// <param name="picture">Pixels of the picture.</param>
    /// <param name="map">Values of the map.</param>
    /// <param name="start">Where the map begins in the picture, in pixels.</param>
    /// <param name="extent">How many pixels it covers.</param>
    public MapAxis(int picture, int map, double start, double extent)
    {
        _low = new int[picture];
        _part = new float[picture];
        _last = map - 1;
        for (int i = 0; i < picture; i++)
        {
            double inside = (i + 0.5 - start) / extent;
            double position = Math.Clamp((inside * map) - 0.5, 0, _last);
            _low[i] = inside is >= 0 and < 1 ? (int)position : -1;
            _part[i] = (float)(position - (int)position);
        }
    }

    /// <summary>The value at a pixel; null where the map does not reach.</summary>
    public float? At(ReadOnlySpan<float> line, int pixel)
    {
        int low = _low[pixel];
        if (low < 0)
            return null;
        float value = line[low];
        return value + (_part[pixel] * (line[Math.Min(low + 1, _last)] - value));
    }

    /// <summary>The line of the map at a pixel row; false where the map does not reach.</summary>
    public bool Interpolate(ReadOnlySpan<float> values, int width, int pixel, Span<float> line)
    {
        int low = _low[pixel];
        if (low < 0)
            return false;
        ReadOnlySpan<float> upper = values.Slice(low * width, width);
        ReadOnlySpan<float> lower = values.Slice(Math.Min(low + 1, _last) * width, width);
        for (int x = 0; x < line.Length; x++)
            line[x] = upper[x] + (_part[pixel] * (lower[x] - upper[x]));
        return true;
    }
}
