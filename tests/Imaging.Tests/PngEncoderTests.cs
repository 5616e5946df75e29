using System.Buffers.Binary;
using KernelAD.Preprocessing;
using SkiaSharp;

namespace KernelAD.Imaging.Tests;

[TestFixture]
internal sealed class PngEncoderTests
{
    [Test]
    public void Every_format_reads_back(
        [Values] PixelFormat format, [Values(1, 3, 17, 257)] int width, [Values(1, 5, 63)] int height)
    {
        int bytes = format.BytesPerPixel();
        int stride = (width * bytes) + 3;
        byte[] pixels = new byte[stride * height];
        new Random(width * height).NextBytes(pixels);
        using Picture picture = PictureFile.Decode(PngEncoder.Encode(new PictureView(pixels, width, height, format, stride)), "encoded");
        Assert.That((picture.Width, picture.Height), Is.EqualTo((width, height)));
        bool swapped = format is PixelFormat.Bgr24 or PixelFormat.Bgra32;
        Assert.That(
            PictureBytes.Rgb(picture),
            Is.EqualTo(Enumerable.Range(0, width * height * 3).Select(i =>
                pixels[(i / 3 / width * stride) + (i / 3 % width * bytes) + (bytes == 1 ? 0 : swapped ? 2 - (i % 3) : i % 3)])));
    }

    [Test]
    public void Sixteen_bit_map_keeps_its_values()
    {
        Random random = new(11);
        float[] map = [.. Enumerable.Range(0, 5 * 9).Select(_ => (float)((random.NextDouble() * 3) - 1))];
        byte[] file = PngEncoder.EncodeGray16(new MapView(map, 5, 9), new HeatMapScale(-0.5f, 1.5f));
        using SKBitmap bitmap = SKBitmap.Decode(file);
        Assert.That((bitmap.Width, bitmap.Height, file[24], file[25]), Is.EqualTo((9, 5, (byte)16, (byte)0)));

        // The library at hand reads eight of the sixteen bits; the other eight are looked up in the inflated rows.
        ushort[] values = Inflate(file, 9, 5);
        for (int i = 0; i < map.Length; i++)
        {
            double expected = Math.Clamp((map[i] + 0.5) / 2, 0, 1) * ushort.MaxValue;
            Assert.That(values[i], Is.EqualTo(expected).Within(0.51), $"value {i}");
            Assert.That(bitmap.GetPixel(i % 9, i / 9).Red, Is.EqualTo(values[i] >> 8).Within(1), $"pixel {i}");
        }
    }

    [Test]
    public void Data_address_holds_the_file()
    {
        PictureView picture = new([1, 2, 3], 1, 1, PixelFormat.Rgb24);
        string address = PngEncoder.ToDataUri(picture);
        Assert.That(address, Does.StartWith("data:image/png;base64,"));
        Assert.That(Convert.FromBase64String(address[22..]), Is.EqualTo(PngEncoder.Encode(picture)));
    }

    [TestCase(300, 200, 100, 100, 67)]
    [TestCase(200, 300, 100, 67, 100)]
    [TestCase(40, 30, 100, 40, 30)]
    [TestCase(5000, 1, 100, 100, 1)]
    public void Thumbnails_fit_and_keep_their_proportions(int width, int height, int maxSide, int expectedWidth, int expectedHeight)
    {
        byte[] pixels = PictureBytes.Pattern(width, height);
        using Picture thumbnail = Thumbnail.Create(new PictureView(pixels, width, height, PixelFormat.Rgb24), maxSide);
        Assert.That((thumbnail.Width, thumbnail.Height), Is.EqualTo((expectedWidth, expectedHeight)));
        if (width == expectedWidth)
            Assert.That(PictureBytes.Rgb(thumbnail), Is.EqualTo(pixels));
    }

    /// <summary>Undoes compression and the Paeth filter of a single-IDAT 16-bit grey PNG.</summary>
    private static ushort[] Inflate(byte[] file, int width, int height)
    {
        int length = BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(33));
        using System.IO.Compression.ZLibStream zlib = new(new MemoryStream(file, 41, length), System.IO.Compression.CompressionMode.Decompress);
        using MemoryStream inflated = new();
        zlib.CopyTo(inflated);
        byte[] raw = inflated.ToArray();
        int stride = width * 2;
        byte[] rows = new byte[stride * height];
        for (int y = 0; y < height; y++)
        {
            Assert.That(raw[y * (stride + 1)], Is.EqualTo(4), "filter");
            for (int x = 0; x < stride; x++)
            {
                int a = x < 2 ? 0 : rows[(y * stride) + x - 2];
                int b = y == 0 ? 0 : rows[((y - 1) * stride) + x];
                int c = x < 2 || y == 0 ? 0 : rows[((y - 1) * stride) + x - 2];
                int p = a + b - c;
                int nearest = Math.Abs(p - a) <= Math.Abs(p - b) && Math.Abs(p - a) <= Math.Abs(p - c) ? a : Math.Abs(p - b) <= Math.Abs(p - c) ? b : c;
                rows[(y * stride) + x] = (byte)(raw[(y * (stride + 1)) + 1 + x] + nearest);
            }
        }

        return [.. Enumerable.Range(0, width * height).Select(i => BinaryPrimitives.ReadUInt16BigEndian(rows.AsSpan(2 * i)))];
    }
}
