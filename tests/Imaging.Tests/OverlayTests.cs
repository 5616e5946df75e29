using KernelAD.Preprocessing;

namespace KernelAD.Imaging.Tests;

[TestFixture]
internal sealed class OverlayTests
{
    private static readonly HeatMapScale Unit = new(0, 1);

    [Test]
    public void A_map_is_stretched_over_a_picture_of_another_shape()
    {
        const int Width = 60, Height = 20;
        float[] ramp = [.. Enumerable.Range(0, 12).Select(i => i % 4 / 3f)];
        using Picture overlay = Overlay.Draw(
            Gray(Width, Height), new MapView(ramp, 3, 4), new OverlayOptions(Unit) { Colors = ColorMap.Gray, Opacity = 1 });
        byte[] rgb = PictureBytes.Rgb(overlay);
        for (int i = 0; i < Width * Height; i++)
        {
            double position = Math.Clamp(((i % Width) + 0.5) / Width * 4 - 0.5, 0, 3);
            Assert.That(rgb[3 * i], Is.EqualTo(position / 3 * 255).Within(0.51), $"pixel {i}");
        }
    }

    [Test]
    public void Rows_of_a_map_are_interpolated_as_in_double_precision([Values(1, 3, 17)] int mapHeight, [Values(1, 5, 63)] int height)
    {
        Random random = new(3);
        float[] map = [.. Enumerable.Range(0, mapHeight * 7).Select(_ => (float)random.NextDouble())];
        using Picture overlay = Overlay.Draw(
            Gray(13, height), new MapView(map, mapHeight, 7), new OverlayOptions(Unit) { Colors = ColorMap.Gray, Opacity = 1 });
        byte[] rgb = PictureBytes.Rgb(overlay);
        for (int i = 0; i < 13 * height; i++)
        {
            double x = Math.Clamp(((i % 13) + 0.5) / 13 * 7 - 0.5, 0, 6);
            double y = Math.Clamp(((i / 13) + 0.5) / height * mapHeight - 0.5, 0, mapHeight - 1);
            int x0 = (int)x, y0 = (int)y, x1 = Math.Min(x0 + 1, 6), y1 = Math.Min(y0 + 1, mapHeight - 1);
            double upper = map[(y0 * 7) + x0] + ((x - x0) * (map[(y0 * 7) + x1] - map[(y0 * 7) + x0]));
            double lower = map[(y1 * 7) + x0] + ((x - x0) * (map[(y1 * 7) + x1] - map[(y1 * 7) + x0]));
            Assert.That(rgb[3 * i], Is.EqualTo((upper + ((y - y0) * (lower - upper))) * 255).Within(0.51), $"pixel {i}");
        }
    }

    [Test]
    public void Colours_are_blended_half_and_half_by_default()
    {
        byte[] pixels = PictureBytes.Pattern(5, 3);
        using Picture overlay = Overlay.Draw(new PictureView(pixels, 5, 3, PixelFormat.Rgb24), new MapView([1f], 1, 1), new OverlayOptions(Unit));
        byte[] top = ColorMap.Turbo.Colors[^3..].ToArray();
        Assert.That(PictureBytes.Rgb(overlay), Is.EqualTo(pixels.Select((value, i) => (byte)((value + top[i % 3] + 1) / 2))));
    }

    [TestCase(PixelFormat.Bgra32)]
    [TestCase(PixelFormat.Gray8)]
    public void Transparent_overlay_is_the_picture(PixelFormat format)
    {
        byte[] pixels = PictureBytes.Pattern(8, 8)[..(6 * 4 * format.BytesPerPixel())];
        using Picture overlay = Overlay.Draw(new PictureView(pixels, 6, 4, format), new MapView([0.7f], 1, 1), new OverlayOptions(Unit) { Opacity = 0 });
        int bytes = format.BytesPerPixel();
        Assert.That(
            PictureBytes.Rgb(overlay), Is.EqualTo(Enumerable.Range(0, 72).Select(i => pixels[(i / 3 * bytes) + (bytes == 1 ? 0 : 2 - (i % 3))])));
    }

    [Test]
    public void Outside_its_region_the_picture_is_untouched()
    {
        using Picture overlay = Overlay.Draw(
            Gray(20, 10), new MapView([1f], 1, 1), new OverlayOptions(Unit) { Colors = ColorMap.Gray, Opacity = 1, Region = new PictureRegion(-2, 5, 9, 10) });
        byte[] rgb = PictureBytes.Rgb(overlay);
        for (int i = 0; i < 200; i++)
            Assert.That(rgb[3 * i], Is.EqualTo(i % 20 is >= 5 and < 15 && i / 20 < 7 ? 255 : 100), $"pixel {i}");
    }

    [TestCase(64, 1)]
    [TestCase(1024, 4)]
    public void Contour_goes_round_what_reaches_the_threshold(int side, int lineWidth)
    {
        // The middle square of half the side is hot.
        float[] map = [.. Enumerable.Range(0, side * side).Select(i => Inside(i % side) && Inside(i / side) ? 1f : 0f)];
        using Picture overlay = Overlay.Draw(
            Gray(side, side), new MapView(map, side, side), new OverlayOptions(Unit) { Opacity = 0, Threshold = 0.5f });
        ReadOnlySpan<byte> pixels = overlay.Pixels;
        int wrong = 0;
        for (int i = 0; i < side * side; i++)
        {
            int x = i % side, y = i / side;
            bool inner = InsideBy(x, lineWidth) && InsideBy(y, lineWidth);
            bool red = Inside(x) && Inside(y) && !inner;
            wrong += pixels.Slice(3 * i, 3).SequenceEqual(red ? [255, 0, 0] : new byte[] { 100, 100, 100 }) ? 0 : 1;
        }

        Assert.That(wrong, Is.Zero);

        bool Inside(int value) => InsideBy(value, 0);
        bool InsideBy(int value, int margin) => value >= (side / 4) + margin && value < (side * 3 / 4) - margin;
    }

    [Test]
    public void One_scale_serves_every_map()
    {
        HeatMapScale scale = new(-1, 3);
        (float Value, float Expected)[] cases = [(-5, 0), (-1, 0), (1, 0.5f), (3, 1), (9, 1), (float.NaN, 0)];
        foreach ((float value, float expected) in cases)
            Assert.That(scale.Normalise(value), Is.EqualTo(expected));
        Assert.That(() => new HeatMapScale(1, 1), Throws.TypeOf<ConfigurationException>());
        Assert.That(() => new HeatMapScale(0, float.NaN), Throws.TypeOf<ConfigurationException>());
        Assert.That(() => new HeatMapScale(float.MinValue, float.MaxValue), Throws.TypeOf<ConfigurationException>());
    }

    [Test]
    public void Heat_map_alone_has_a_pixel_a_value()
    {
        using Picture picture = HeatMap.Draw(new MapView([0, 0.5f, 1, 2], 2, 2), Unit, ColorMap.Jet);
        byte[] jet = ColorMap.Jet.Colors.ToArray();
        Assert.That(PictureBytes.Rgb(picture), Is.EqualTo((byte[])[.. jet[..3], .. jet[384..387], .. jet[^3..], .. jet[^3..]]));
    }

    [Test]
    public void Unusable_maps_and_options_are_refused()
    {
        Assert.That(() => new MapView([1, float.NaN], 1, 2).Width, Throws.TypeOf<TensorException>().With.Message.Contains("column 1"));
        Assert.That(() => new MapView([1, 2, 3], 2, 2).Width, Throws.TypeOf<TensorException>());
        Assert.That(() => new MapView([], 0, 2).Width, Throws.InstanceOf<BadInputException>());
        OverlayOptions options = new(Unit);
        Assert.That(() => Overlay.Draw(Gray(2, 2), new MapView([1f], 1, 1), options with { Opacity = 1.5f }), Throws.TypeOf<ConfigurationException>());
        Assert.That(
            () => Overlay.Draw(Gray(2, 2), new MapView([1f], 1, 1), options with { Region = new PictureRegion(0, 0, 0, 4) }), Throws.TypeOf<ConfigurationException>());
    }

    [Test]
    public void Turbo_follows_the_published_colours()
    {
        (int Index, byte[] Color)[] published =
        [
            (0, [48, 18, 59]), (36, [71, 118, 238]), (64, [40, 188, 235]), (84, [25, 227, 185]), (100, [63, 246, 138]),
            (128, [164, 252, 60]), (156, [231, 215, 57]), (192, [251, 126, 33]), (212, [229, 71, 11]), (255, [122, 4, 3]),
        ];
        foreach ((int index, byte[] color) in published)
        {
            for (int channel = 0; channel < 3; channel++)
                Assert.That(ColorMap.Turbo.Colors[(3 * index) + channel], Is.EqualTo(color[channel]).Within(3), $"colour {index}, channel {channel}");
        }
    }

    [Test]
    public void Jet_runs_from_dark_blue_to_dark_red()
    {
        Assert.That(ColorMap.Jet.Colors[..3].ToArray(), Is.EqualTo(new byte[] { 0, 0, 128 }));
        Assert.That(ColorMap.Jet.Colors[^3..].ToArray(), Is.EqualTo(new byte[] { 128, 0, 0 }));
    }

    private static PictureView Gray(int width, int height)
    {
        byte[] pixels = new byte[width * height];
        Array.Fill(pixels, (byte)100);
        return new PictureView(pixels, width, height, PixelFormat.Gray8);
    }
}
