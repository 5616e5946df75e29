using KernelAD.Preprocessing;

namespace KernelAD.Engine.Tests.Preprocessing;

[TestFixture]
internal sealed class PicturePreprocessorTests
{
    private static readonly PicturePreprocessing Plain = new(32, 48, null, Interpolation.Bicubic, 24, 40, [0, 0, 0], [1, 1, 1]);

    [Test]
    public void Crop_is_the_middle_of_the_whole_resized_picture()
    {
        PicturePreprocessor preprocessor = new(Plain);
        PictureView picture = new(RandomBytes(71 * 93 * 3), 93, 71, PixelFormat.Rgb24);
        byte[] whole = new byte[48 * 32 * 3];
        PillowResampler.Resize(picture, 48, 32, Interpolation.Bicubic, whole);
        byte[] cropped = new byte[24 * 40 * 3];
        preprocessor.Crop(picture, cropped, new PreprocessingScratch());
        for (int y = 0; y < 24; y++)
        {
            Assert.That(
                cropped.AsSpan(y * 40 * 3, 40 * 3).SequenceEqual(whole.AsSpan((((y + 4) * 48) + 4) * 3, 40 * 3)), $"row {y}");
        }
    }

    [TestCase(PixelFormat.Bgr24)]
    [TestCase(PixelFormat.Bgra32)]
    [TestCase(PixelFormat.Rgba32)]
    public void Every_format_of_the_same_picture_gives_the_same_input(PixelFormat format)
    {
        PicturePreprocessor preprocessor = new(Plain);
        byte[] rgb = RandomBytes(50 * 40 * 3);
        int bytes = format.BytesPerPixel();
        byte[] other = RandomBytes(50 * 40 * bytes);
        bool swapped = format is PixelFormat.Bgr24 or PixelFormat.Bgra32;
        for (int i = 0; i < 50 * 40; i++)
        {
            for (int channel = 0; channel < 3; channel++)
                other[(i * bytes) + (swapped ? 2 - channel : channel)] = rgb[(i * 3) + channel];
        }

        PreprocessingScratch scratch = new();
        float[] expected = new float[preprocessor.Length];
        float[] found = new float[preprocessor.Length];
        preprocessor.Process(new PictureView(rgb, 50, 40, PixelFormat.Rgb24), expected, scratch);
        preprocessor.Process(new PictureView(other, 50, 40, format), found, scratch);
        Assert.That(found, Is.EqualTo(expected));
    }

    [Test]
    public void Nothing_is_allocated_when_sizes_repeat()
    {
        PicturePreprocessor preprocessor = new(Plain);
        byte[] pixels = RandomBytes(120 * 100 * 4);
        float[] destination = new float[preprocessor.Length];
        PreprocessingScratch scratch = new();
        void Both()
        {
            preprocessor.Process(new PictureView(pixels, 120, 100, PixelFormat.Rgba32), destination, scratch);
            preprocessor.Process(new PictureView(pixels, 33, 77, PixelFormat.Gray8), destination, scratch);
        }

        Both();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            Both();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void More_sizes_than_are_remembered_and_many_threads_give_the_same_input()
    {
        PicturePreprocessor preprocessor = new(Plain);
        byte[] pixels = RandomBytes(80 * 80);
        float[][] expected = [.. Enumerable.Range(10, 30).Select(Process)];
        Parallel.For(0, 120, i => Assert.That(Process(10 + (i % 30)), Is.EqualTo(expected[i % 30])));

        float[] Process(int side)
        {
            float[] destination = new float[preprocessor.Length];
            preprocessor.Process(new PictureView(pixels, side, 2 * side, PixelFormat.Gray8), destination, new PreprocessingScratch());
            return destination;
        }
    }

    [Test]
    public void Region_is_the_whole_picture_unless_cropped_or_padded()
    {
        PicturePreprocessing settings = new(256, 256, null, Interpolation.Bilinear, 256, 256, [0, 0, 0], [1, 1, 1]);
        Assert.That(new PicturePreprocessor(settings).Region(100, 300), Is.EqualTo(new PictureRegion(0, 0, 100, 300)));
        Assert.That(
            new PicturePreprocessor(settings with { ResizeShortSide = 256, CropHeight = 224, CropWidth = 224 }).Region(512, 1024),
            Is.EqualTo(new PictureRegion(32, 288, 448, 448)));
        Assert.That(
            new PicturePreprocessor(settings with { CropHeight = 512 }).Region(512, 256), Is.EqualTo(new PictureRegion(-256, 0, 1024, 256)));
    }

    [Test]
    public void Unusable_settings_are_refused()
    {
        PicturePreprocessing[] unusable =
        [
            Plain with { ResizeHeight = 0 },
            Plain with { ResizeWidth = int.MaxValue },
            Plain with { ResizeShortSide = 20_000 },
            Plain with { CropHeight = -1 },
            Plain with { CropWidth = 1 << 20 },
            Plain with { Mean = [0, 0] },
            Plain with { Std = [1, 0, 1] },
            Plain with { Std = [1, float.NaN, 1] },
        ];
        foreach (PicturePreprocessing settings in unusable)
            Assert.That(() => new PicturePreprocessor(settings), Throws.TypeOf<ConfigurationException>(), settings.ToString());
    }

    [Test]
    public void Short_destination_is_refused()
    {
        PicturePreprocessor preprocessor = new(Plain);
        Assert.That(
            () => preprocessor.Process(new PictureView(new byte[3], 1, 1, PixelFormat.Rgb24), new float[preprocessor.Length - 1], new PreprocessingScratch()),
            Throws.ArgumentException);
    }

    [TestCase(0, 4, 0)]
    [TestCase(4, 0, 0)]
    [TestCase(-1, 4, 0)]
    [TestCase(30_000, 30_000, 0)]
    [TestCase(70_000, 1, 0)]
    [TestCase(4, 4, 11)]
    [TestCase(5, 4, 0)]
    [TestCase(4, 4, 13)]
    public void Impossible_pictures_are_refused(int width, int height, int stride) =>
        Assert.That(() => new PictureView(new byte[48], width, height, PixelFormat.Rgb24, stride).Width, Throws.TypeOf<BadInputException>());

    [Test]
    public void Default_view_is_refused_as_empty() =>
        Assert.That(() => new PicturePreprocessor(Plain).Crop(default, new byte[24 * 40 * 3], new PreprocessingScratch()), Throws.TypeOf<BadInputException>());

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }
}
