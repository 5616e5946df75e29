using KernelAD.Preprocessing;

namespace KernelAD.Engine.Tests.Preprocessing;

[TestFixture]
internal sealed class PillowResamplerTests
{
    [Test]
    public void Resize_equals_the_scalar_reference(
        [Values] Interpolation filter,
        [Values] PixelFormat format,
        [Values("1x1", "3x17", "63x257", "130x5", "64x64")] string from,
        [Values("1x1", "17x3", "64x64", "257x63", "31x130")] string to)
    {
        (int width, int height) = Extent(from);
        (int newWidth, int newHeight) = Extent(to);
        int bytes = format.BytesPerPixel();
        int stride = (width * bytes) + 5;
        byte[] pixels = new byte[(height * stride) - 5];
        Random random = new(width + (height * 1000));
        random.NextBytes(pixels);
        byte[] destination = new byte[newWidth * newHeight * 3];
        Array.Fill(destination, (byte)77);

        PillowResampler.Resize(new PictureView(pixels, width, height, format, stride), newWidth, newHeight, filter, destination);

        (int red, int green, int blue) = format switch
        {
            PixelFormat.Gray8 => (0, 0, 0),
            PixelFormat.Bgr24 or PixelFormat.Bgra32 => (2, 1, 0),
            _ => (0, 1, 2),
        };
        int[] channels = [red, green, blue];
        for (int channel = 0; channel < 3; channel++)
        {
            int offset = channels[channel];
            byte[] plane = [.. Enumerable.Range(0, width * height).Select(i => pixels[(i / width * stride) + (i % width * bytes) + offset])];
            byte[] expected = Reference(plane, width, height, newWidth, newHeight, filter);
            byte[] found = [.. Enumerable.Range(0, newWidth * newHeight).Select(i => destination[(i * 3) + channel])];
            Assert.That(found, Is.EqualTo(expected), $"channel {channel}");
        }
    }

    [TestCase(128)]
    [TestCase(256)]
    [TestCase(512)]
    public unsafe void Every_vector_width_gives_the_same_bits(int bits)
    {
        ResampleAxis columns = new(Interpolation.Bicubic, 97, 41, 3, 35, PillowResampler.Lanes);
        int[] line = new int[(columns.End - columns.Begin + columns.Taps) * PillowResampler.Lanes];
        Random random = new(5);
        for (int i = 0; i < line.Length; i++)
            line[i] = random.Next(256);
        int[] found = new int[columns.Count * PillowResampler.Lanes];
        Array.Fill(found, -1);
        fixed (int* input = line, output = found)
        {
            if (bits == 512)
                PillowResampler.Horizontal512(input, columns, output);
            else if (bits == 256)
                PillowResampler.Horizontal256(input, columns, output);
            else
                PillowResampler.Horizontal128(input, columns, output);
        }

        for (int x = 0; x < columns.Count; x++)
        {
            for (int lane = 0; lane < PillowResampler.Lanes; lane++)
            {
                long sum = 1 << 21;
                for (int j = 0; j < columns.Counts[x]; j++)
                    sum += (long)line[((columns.Starts[x] + j) * PillowResampler.Lanes) + lane] * columns.Weights[((x * columns.Taps) + j) * PillowResampler.Lanes];
                Assert.That(found[(x * PillowResampler.Lanes) + lane], Is.EqualTo(Math.Clamp(sum >> 22, 0, 255)), $"column {x}, lane {lane}");
            }
        }
    }

    [Test]
    public void Bicubic_overshoot_is_clamped_not_wrapped()
    {
        byte[] step = [.. Enumerable.Range(0, 16).Select(i => (byte)(i % 8 < 4 ? 0 : 255))];
        byte[] destination = new byte[48 * 3];
        PillowResampler.Resize(new PictureView(step, 16, 1, PixelFormat.Gray8), 48, 1, Interpolation.Bicubic, destination);
        byte[] expected = Reference(step, 16, 1, 48, 1, Interpolation.Bicubic);
        Assert.That(Enumerable.Range(0, 48).Select(i => destination[3 * i]), Is.EqualTo(expected));
        Assert.That(expected, Does.Contain((byte)0).And.Contain((byte)255));
    }

    [Test]
    public void Weights_of_every_position_sum_to_one([Values] Interpolation filter, [Values(1, 3, 17, 257, 1000)] int input, [Values(1, 5, 63, 256)] int output)
    {
        ResampleAxis axis = new(filter, input, output, 0, output, 1);
        for (int i = 0; i < output; i++)
        {
            int sum = axis.Weights.Slice(i * axis.Taps, axis.Taps).ToArray().Sum();
            Assert.That(sum, Is.EqualTo(1 << ResampleAxis.FractionBits).Within(axis.Taps), $"position {i}");
        }
    }

    [Test]
    public void Extreme_shapes_need_little_memory()
    {
        byte[] ribbon = new byte[PictureView.MaxSide];
        byte[] destination = new byte[4 * 4 * 3];
        PillowResampler.Resize(new PictureView(ribbon, PictureView.MaxSide, 1, PixelFormat.Gray8), 4, 4, Interpolation.Bicubic, destination);
        long before = GC.GetAllocatedBytesForCurrentThread();
        PillowResampler.Resize(new PictureView(ribbon, 1, PictureView.MaxSide, PixelFormat.Gray8), 4, 4, Interpolation.Bicubic, destination);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(16 << 20));
    }

    [Test]
    public void Destination_too_short_is_refused() =>
        Assert.That(
            () => PillowResampler.Resize(new PictureView(new byte[12], 2, 2, PixelFormat.Rgb24), 4, 4, Interpolation.Bilinear, new byte[47]),
            Throws.ArgumentException);

    /// <summary>One channel, two passes, 8 bits between them: the rule as the model cards write it down.</summary>
    private static byte[] Reference(byte[] plane, int width, int height, int newWidth, int newHeight, Interpolation filter)
    {
        byte[] wide = new byte[newWidth * height];
        for (int y = 0; y < height; y++)
            Pass(plane, y * width, 1, width, wide, y * newWidth, 1, newWidth, filter);
        byte[] result = new byte[newWidth * newHeight];
        for (int x = 0; x < newWidth; x++)
            Pass(wide, x, newWidth, height, result, x, newWidth, newHeight, filter);
        return result;
    }

    private static void Pass(byte[] source, int start, int step, int input, byte[] destination, int to, int toStep, int output, Interpolation filter)
    {
        double scale = (double)input / output;
        double f = Math.Max(scale, 1);
        double support = f * filter switch { Interpolation.Bilinear => 1, Interpolation.Bicubic => 2, _ => 3 };
        for (int i = 0; i < output; i++)
        {
            double centre = (i + 0.5) * scale;
            int low = Math.Max((int)(centre - support + 0.5), 0);
            int high = Math.Min((int)(centre + support + 0.5), input);
            double[] weights = [.. Enumerable.Range(low, high - low).Select(j => Kernel((j - centre + 0.5) * (1 / f), filter))];
            double total = 0;
            foreach (double weight in weights)
                total += weight;
            long sum = 1L << 21;
            for (int j = low; j < high; j++)
            {
                double weight = weights[j - low] / total * (1 << 22);
                sum += (long)Math.Truncate(weight + (weight < 0 ? -0.5 : 0.5)) * source[start + (j * step)];
            }

            destination[to + (i * toStep)] = (byte)Math.Clamp(sum >> 22, 0, 255);
        }
    }

    private static double Kernel(double x, Interpolation filter)
    {
        x = Math.Abs(x);
        if (filter == Interpolation.Bilinear)
            return Math.Max(0, 1 - x);
        if (filter == Interpolation.Lanczos)
            return x < 3 ? Sinc(x) * Sinc(x / 3) : 0;
        return x < 1 ? (((1.5 * x) - 2.5) * x * x) + 1 : x < 2 ? ((((x - 5) * x) + 8) * x - 4) * -0.5 : 0;
    }

    private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(Math.PI * x) / (Math.PI * x);

    private static (int Width, int Height) Extent(string text)
    {
        string[] parts = text.Split('x');
        return (int.Parse(parts[0]), int.Parse(parts[1]));
    }
}
