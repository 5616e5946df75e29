using KernelAD.Preprocessing;
using KernelAD.Weights;
using SkiaSharp;

namespace KernelAD.Imaging.Tests;

[TestFixture]
internal sealed class PictureFileTests
{
    private const int Width = 23;
    private const int Height = 17;

    private static readonly byte[] Rgb = PictureBytes.Pattern(Width, Height);

    [Test]
    public void Lossless_formats_give_the_very_pixels()
    {
        (string Name, byte[] File)[] files =
        [
            ("PNG", PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Png, 100)),
            ("interlaced PNG", PictureBytes.InterlacedPng(Rgb, Width, Height)),
            ("WebP", PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Webp, 100)),
            ("BMP", PictureBytes.Bmp(Rgb, Width, Height)),
        ];
        foreach ((string name, byte[] file) in files)
        {
            using Picture picture = PictureFile.Decode(file, name);
            Assert.That((picture.Width, picture.Height), Is.EqualTo((Width, Height)), name);
            Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(Rgb), name);
        }
    }

    [TestCase(SKEncodedImageFormat.Jpeg)]
    [TestCase(SKEncodedImageFormat.Webp)]
    public void Lossy_formats_give_nearly_the_pixels(SKEncodedImageFormat format)
    {
        byte[] smooth = [.. Enumerable.Range(0, 64 * 48 * 3).Select(i => (byte)((i / 3 % 64 * 2) + (i / 192)))];
        using Picture picture = PictureFile.Decode(PictureBytes.Encode(smooth, 64, 48, format, 95), "smooth");
        Assert.That(PictureBytes.Rgb(picture).Zip(smooth, (a, b) => Math.Abs(a - b)).Average(), Is.LessThan(2));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(4)]
    public void Palette_and_grey_of_few_bits_are_resolved(int depth)
    {
        const int Columns = 16;
        byte[] packed = [.. Enumerable.Range(0, Columns * depth / 8).Select(i => (byte)(i * 37))];
        byte[] indices = [.. Enumerable.Range(0, Columns).Select(x => (byte)(packed[x * depth / 8] >> (8 - depth - (x * depth % 8)) & ((1 << depth) - 1)))];

        using Picture grey = PictureFile.Decode(PictureBytes.Png(Columns, 1, depth, 0, [packed]), "grey");
        Assert.That(PictureBytes.Rgb(grey), Is.EqualTo(indices.SelectMany(i => Enumerable.Repeat((byte)(i * 255 / ((1 << depth) - 1)), 3))));

        byte[] palette = [.. Enumerable.Range(0, 3 << depth).Select(i => (byte)(255 - (i * 5)))];
        byte[] opacity = [0];
        byte[] file = PictureBytes.Png(Columns, 1, depth, 3, [packed], false, ("PLTE", palette), ("tRNS", opacity));
        using Picture coloured = PictureFile.Decode(file, "palette");
        Assert.That(PictureBytes.Rgb(coloured), Is.EqualTo(indices.SelectMany(i => palette.Skip(3 * i).Take(3))), "transparent entries keep their colour");
    }

    [TestCase(4, 2)]
    [TestCase(6, 4)]
    public void Alpha_is_dropped_not_blended(int colorType, int channels)
    {
        byte[] row = [.. Enumerable.Range(0, 32 * channels).Select(i => (byte)(i * 29))];
        using Picture picture = PictureFile.Decode(PictureBytes.Png(32, 1, 8, colorType, [row]), "alpha");
        Assert.That(
            PictureBytes.Rgb(picture),
            Is.EqualTo(Enumerable.Range(0, 96).Select(i => row[(i / 3 * channels) + (channels == 2 ? 0 : i % 3)])));
    }

    [TestCase(0, 1)]
    [TestCase(2, 3)]
    [TestCase(4, 2)]
    [TestCase(6, 4)]
    public void Of_16_bits_the_high_byte_is_taken(int colorType, int channels)
    {
        byte[][] rows = [.. Enumerable.Range(0, 256).Select(y => Enumerable.Range(0, 256 * channels).SelectMany(i => new[] { (byte)y, (byte)(i / channels) }).ToArray())];
        using Picture picture = PictureFile.Decode(PictureBytes.Png(256, 256, 16, colorType, rows), "16 bits");
        Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(Enumerable.Range(0, 256 * 256 * 3).Select(i => (byte)(i / (3 * 256)))));
    }

    [Test]
    public void A_gamma_in_the_file_does_not_change_the_numbers()
    {
        byte[] row = [.. Enumerable.Range(0, 96).Select(i => (byte)(i * 2))];
        byte[] gamma = [0, 0, 0x27, 0x10];
        using Picture picture = PictureFile.Decode(PictureBytes.Png(32, 1, 8, 2, [row], false, ("gAMA", gamma)), "gamma");
        Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(row));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Grey_and_CMYK_JPEG_are_resolved_as_Pillow_does(bool progressive)
    {
        using Picture grey = PictureFile.Decode(PictureBytes.FlatJpeg([77], progressive), "grey");
        Assert.That(PictureBytes.Rgb(grey), Has.All.EqualTo(77));

        // Adobe stores the ink inverted; Pillow's conversion is (255 − ink) · (255 − black) / 255, rounded.
        byte[] inks = [200, 150, 37, 180];
        using Picture cmyk = PictureFile.Decode(PictureBytes.FlatJpeg(inks, progressive), "CMYK");
        byte[] pixels = PictureBytes.Rgb(cmyk);
        for (int i = 0; i < pixels.Length; i++)
            Assert.That(pixels[i], Is.EqualTo(Math.Round(inks[i % 3] * inks[3] / 255.0)), $"element {i}");
    }

    [Test]
    public void First_frame_of_a_GIF_is_read()
    {
        byte[] indices = [.. Enumerable.Range(0, Width * Height).Select(i => (byte)(i % 128))];
        using Picture picture = PictureFile.Decode(PictureBytes.Gif(indices, Width, Height), "gif");
        Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(indices.SelectMany(i => Enumerable.Repeat((byte)(2 * i), 3))));
    }

    [Test]
    public void Real_pictures_are_read()
    {
        using Picture fabric = PictureFile.Read(Fixture.File("pictures/fabric-0060_022_06.png"));
        Assert.That((fabric.Width, fabric.Height), Is.EqualTo((256, 256)));
        byte[] rgb = PictureBytes.Rgb(fabric);
        byte[] red = [.. Enumerable.Range(0, 256 * 256).Select(i => rgb[3 * i])];
        Assert.That(red.Sum(value => value), Is.EqualTo(8_036_990), "as inflated and unfiltered by an independent program");
        Assert.That(red.Take(6), Is.EqualTo(new byte[] { 109, 99, 103, 109, 108, 112 }));

        using Picture tile = PictureFile.Read(Fixture.File("pictures/magnetic-tile-exp1_num_4727.jpg"));
        Assert.That((tile.Width, tile.Height), Is.EqualTo((113, 288)));
    }

    [Test]
    public void Orientation_is_applied_only_when_asked_for([Range(1, 8)] int orientation)
    {
        // Four flat 16×16 quarters of different brightness survive JPEG well enough to tell them apart.
        int[] quarters = [20, 90, 160, 230];
        byte[] rgb = [.. Enumerable.Range(0, 64 * 32 * 3).Select(i => (byte)quarters[(i / 3 % 64 / 32) + (i / 3 / 64 / 16 * 2)])];
        byte[] file = PictureBytes.WithOrientation(PictureBytes.Encode(rgb, 64, 32, SKEncodedImageFormat.Jpeg, 100), (byte)orientation);

        using Picture stored = PictureFile.Decode(file, "stored");
        Assert.That(Quarters(stored), Is.EqualTo(Enumerable.Range(0, 4)));

        // Where the stored quarters (top left, top right, bottom left, bottom right) are seen, from the EXIF standard's words for row 0
        // and column 0.
        int[] expected = orientation switch
        {
            1 => [0, 1, 2, 3],
            2 => [1, 0, 3, 2],
            3 => [3, 2, 1, 0],
            4 => [2, 3, 0, 1],
            5 => [0, 2, 1, 3],
            6 => [2, 0, 3, 1],
            7 => [3, 1, 2, 0],
            _ => [1, 3, 0, 2],
        };
        using Picture upright = PictureFile.Decode(file, "upright", new PictureReadOptions { ApplyOrientation = true });
        Assert.That((upright.Width, upright.Height), Is.EqualTo(orientation < 5 ? (64, 32) : (32, 64)));
        Assert.That(Quarters(upright), Is.EqualTo(expected));

        int[] Quarters(Picture picture) =>
        [.. Enumerable.Range(0, 4).Select(q =>
        {
            int x = (picture.Width / 4) + (q % 2 * picture.Width / 2);
            int y = (picture.Height / 4) + (q / 2 * picture.Height / 2);
            return (picture.Pixels[((y * picture.Width) + x) * 4] - 20 + 35) / 70;
        })];
    }

    [Test]
    public void A_file_cut_off_anywhere_is_an_error_or_wholly_decoded(
        [Values("png", "interlaced", "jpeg", "webp", "lossless", "bmp", "gif")] string kind)
    {
        byte[] file = Sample(kind);
        using Picture whole = PictureFile.Decode(file, kind);
        byte[] expected = PictureBytes.Rgb(whole);
        int errors = 0;
        for (int length = 0; length < file.Length; length++)
        {
            try
            {
                using Picture picture = PictureFile.Decode(file.AsSpan(0, length), kind);
                Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(expected), $"{length} of {file.Length} bytes");
            }
            catch (PictureException e)
            {
                Assert.That(e.Message, Does.Contain(kind));
                errors++;
            }
        }

        Assert.That(errors, Is.GreaterThan(file.Length * 9 / 10));
    }

    [Test]
    public void Flipped_bits_end_in_a_picture_or_a_typed_error(
        [Values("png", "interlaced", "jpeg", "webp", "lossless", "bmp", "gif")] string kind)
    {
        byte[] file = Sample(kind);
        Random random = new(7);
        for (int i = 0; i < 400; i++)
        {
            byte[] damaged = [.. file];
            for (int flips = random.Next(1, 6); flips > 0; flips--)
                damaged[random.Next(i % 2 == 0 ? Math.Min(64, file.Length) : file.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                using Picture picture = PictureFile.Decode(damaged, kind, new PictureReadOptions { MaxPixels = 1 << 20 });
                Assert.That(picture.Width * picture.Height, Is.InRange(1, 1 << 20));
            }
            catch (PictureException e)
            {
                Assert.That(e.Message, Does.StartWith(kind));
            }
        }
    }

    [TestCase(30_000, 30_000, "30000×30000")]
    [TestCase(70_000, 1, "70000×1")]
    [TestCase(0, 0, "empty or impossible")]
    [TestCase(5, 0, "empty or impossible")]
    public void Impossible_extents_are_refused_from_the_header(int width, int height, string message)
    {
        byte[] file = PictureBytes.Png(width, height, 8, 2, [new byte[16]]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => PictureFile.Decode(file, "huge.png"), Throws.TypeOf<PictureException>().With.Message.Contains(message).And.Message.StartsWith("huge.png"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [Test]
    public void A_lower_limit_can_be_asked_for() =>
        Assert.That(
            () => PictureFile.Decode(Sample("png"), "p", new PictureReadOptions { MaxPixels = (Width * Height) - 1 }),
            Throws.TypeOf<PictureException>().With.Message.Contains("limit"));

    [TestCase("II*\0\b\0\0\0", "TIFF")]
    [TestCase("MM\0*\0\0\0\b", "TIFF")]
    [TestCase("%PDF-1.7", "PDF")]
    [TestCase("<!DOCTYPE html><html>", "HTML")]
    [TestCase("\0\0\0\u0020ftypavif", "AVIF")]
    [TestCase("PK\u0003\u0004", "ZIP")]
    [TestCase("hello", "68656C6C6F")]
    [TestCase("", "empty")]
    [TestCase("BM", "BMP")]
    public void Other_files_are_named_for_what_they_are(string contents, string found) =>
        Assert.That(
            () => PictureFile.Decode(System.Text.Encoding.Latin1.GetBytes(contents), "scan.tif"),
            Throws.TypeOf<PictureException>().With.Message.StartsWith("scan.tif").And.Message.Contains(found));

    [Test]
    public void Files_that_cannot_be_read_are_named()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string empty = Path.Combine(folder, "empty.png");
            File.WriteAllBytes(empty, []);
            string missing = Path.Combine(folder, "missing.png");
            foreach ((string path, string reason) in new[] { (empty, "empty"), (missing, "no such file"), (folder, "folder"), (Path.Combine(empty, "inner.png"), "file") })
                Assert.That(() => PictureFile.Read(path), Throws.TypeOf<PictureException>().With.Message.StartsWith(path).And.Message.Contains(reason));

            string accented = Path.Combine(folder, "Prüfling № 7.png");
            File.WriteAllBytes(accented, Sample("png"));
            using Picture picture = PictureFile.Read(accented);
            Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(Rgb));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    [Platform("Linux")]
    public void A_device_is_not_read_for_ever() =>
        Assert.That(() => PictureFile.Read("/dev/zero"), Throws.TypeOf<PictureException>());

    [Test]
    public void Written_files_read_back_and_failures_leave_nothing()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string path = Path.Combine(folder, "out.png");
            PictureFile.WritePng(path, new PictureView(new byte[3], 1, 1, PixelFormat.Rgb24));
            PictureFile.WritePng(path, new PictureView(Rgb, Width, Height, PixelFormat.Rgb24));
            using (Picture picture = PictureFile.Read(path))
                Assert.That(PictureBytes.Rgb(picture), Is.EqualTo(Rgb));

            string taken = Path.Combine(folder, "taken.png");
            Directory.CreateDirectory(taken);
            Assert.That(() => PictureFile.WritePng(taken, new PictureView(new byte[3], 1, 1, PixelFormat.Rgb24)), Throws.TypeOf<OutputException>().With.Message.Contains("cannot be written"));
            Assert.That(() => PictureFile.WritePng(Path.Combine(folder, "no", "out.png"), new PictureView(new byte[3], 1, 1, PixelFormat.Rgb24)), Throws.TypeOf<OutputException>());
            Assert.That(Directory.GetFileSystemEntries(folder), Is.EquivalentTo([path, taken]));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void Disposed_picture_is_not_read()
    {
        Picture picture = new(2, 2, PixelFormat.Rgb24);
        picture.Dispose();
        picture.Dispose();
        Assert.That(() => picture.View.Width, Throws.TypeOf<ObjectDisposedException>());
    }

    [TestCase("a.JPG", true)]
    [TestCase("b/c.tiff", true)]
    [TestCase("notes.txt", false)]
    public void Picture_names_are_told_by_their_ending(string path, bool expected) =>
        Assert.That(PictureFile.HasPictureExtension(path), Is.EqualTo(expected));

    private static byte[] Sample(string kind) => kind switch
    {
        "png" => PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Png, 100),
        "interlaced" => PictureBytes.InterlacedPng(Rgb, Width, Height),
        "jpeg" => PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Jpeg, 90),
        "webp" => PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Webp, 80),
        "lossless" => PictureBytes.Encode(Rgb, Width, Height, SKEncodedImageFormat.Webp, 100),
        "bmp" => PictureBytes.Bmp(Rgb, Width, Height),
        _ => PictureBytes.Gif([.. Enumerable.Range(0, Width * Height).Select(i => (byte)(i * 3 % 128))], Width, Height),
    };
}
