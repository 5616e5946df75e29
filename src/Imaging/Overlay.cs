using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>How an anomaly map is laid over a picture.</summary>
/// <param name="Scale">Values of the lowest and highest colour, the same for a whole run.</param>
public sealed record OverlayOptions(HeatMapScale Scale)
{
    /// <summary>The colours.</summary>
    public ColorMap Colors { get; init; } = ColorMap.Turbo;

    /// <summary>Share of the heat map in a pixel, 0 (the picture alone) … 1 (the heat map alone).</summary>
    public float Opacity { get; init; } = 0.5f;

    /// <summary>If set, a red line goes round what reaches this value, inside it.</summary>
    public float? Threshold { get; init; }

    /// <summary>
    /// The part of the picture that the map covers, see <see cref="PicturePreprocessor.Region"/>; null means all of it. Outside, the
    /// picture stays as it is.
    /// </summary>
    public PictureRegion? Region { get; init; }
}

/// <summary>Lays anomaly maps over pictures, at the picture's own resolution.</summary>
public static class Overlay
{
    /// <summary>The contour is one pixel wide for every so many pixels of the picture's shorter side.</summary>
    private const int SidePerLine = 256;

    private static ReadOnlySpan<byte> Red => [255, 0, 0];

    /// <summary>Which side of the threshold a pixel lies on.</summary>
    private enum Side : byte
    {
        NotCovered,
        Below,
        Reached,
    }

    /// <summary>
    /// Draws the overlay: the map is resampled bilinearly (pixel centres aligned, edges repeated), coloured, and blended with the picture.
    /// </summary>
    /// <returns>An RGB picture of the extent of <paramref name="picture"/>.</returns>
    /// <exception cref="ConfigurationException">Opacity or region are unusable.</exception>
    public static Picture Draw(PictureView picture, MapView map, OverlayOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        PictureView.CheckExtent(picture.Width, picture.Height);
        PictureView.CheckExtent(map.Width, map.Height);
        PictureRegion region = options.Region ?? new PictureRegion(0, 0, picture.Height, picture.Width);
        if (!(options.Opacity >= 0 && options.Opacity <= 1))
            throw new ConfigurationException($"an overlay's opacity lies between 0 and 1; found {options.Opacity}");
        if (!(region.Height > 0 && region.Width > 0 && double.IsFinite(region.Top + region.Left + region.Height + region.Width)))
            throw new ConfigurationException($"an overlay's region must be finite and not empty; found {region}");

        MapAxis columns = new(picture.Width, map.Width, region.Left, region.Width);
        MapAxis rows = new(picture.Height, map.Height, region.Top, region.Height);
        Picture result = new(picture.Width, picture.Height, PixelFormat.Rgb24);
        Span<byte> pixels = result.Pixels;
        Side[] sides = options.Threshold is null ? [] : new Side[picture.Width * picture.Height];
        int bytes = picture.Format.BytesPerPixel();
        (int red, int green, int blue) = picture.Format.ChannelOffsets();
        int heat = (int)((options.Opacity * 256) + 0.5f);
        ReadOnlySpan<byte> colors = options.Colors.Colors;
        float[] line = new float[map.Width];
        for (int y = 0; y < picture.Height; y++)
        {
            bool covered = rows.Interpolate(map.Values, map.Width, y, line);
            ReadOnlySpan<byte> row = picture.Row(y);
            for (int x = 0; x < picture.Width; x++)
            {
                ReadOnlySpan<byte> pixel = row.Slice(x * bytes, bytes);
                Span<byte> output = pixels.Slice(((y * picture.Width) + x) * 3, 3);
                (output[0], output[1], output[2]) = (pixel[red], pixel[green], pixel[blue]);
                if (!covered || columns.At(line, x) is not float value)
                    continue;
                ReadOnlySpan<byte> color = colors.Slice(HeatMap.ColorIndex(options.Scale, value) * 3, 3);
                for (int channel = 0; channel < 3; channel++)
                    output[channel] = (byte)(((output[channel] * (256 - heat)) + (color[channel] * heat) + 128) >> 8);
                if (options.Threshold is float threshold)
                    sides[(y * picture.Width) + x] = value >= threshold ? Side.Reached : Side.Below;
            }
        }

        DrawContour(pixels, sides, picture.Width);
        return result;
    }

    /// <summary>
    /// Paints the pixels that reach the threshold and have, within the line's width along row or column, one that does not.
    /// </summary>
    private static void DrawContour(Span<byte> pixels, Side[] sides, int width)
    {
        int height = sides.Length / width;
        int lineWidth = Math.Max((Math.Min(width, height) + (SidePerLine / 2)) / SidePerLine, 1);
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int i = (y * width) + x;
                if (sides[i] == Side.Reached && IsNearBelow(x, y))
                    Red.CopyTo(pixels[(3 * i)..]);
            }
        }

        bool IsNearBelow(int x, int y)
        {
            int i = (y * width) + x;
            for (int d = 1; d <= lineWidth; d++)
            {
                if ((x >= d && sides[i - d] == Side.Below)
                    || (x + d < width && sides[i + d] == Side.Below)
                    || (y >= d && sides[i - (d * width)] == Side.Below)
                    || (y + d < height && sides[i + (d * width)] == Side.Below))
                {
                    return true;
                }
            }

            return false;
        }
    }
}
