using System.Runtime.CompilerServices;

namespace KernelAD.Preprocessing;

/// <summary>
/// Turns 8-bit pictures into a network's input exactly as torchvision on Pillow does (Resize, CenterCrop, ToTensor, Normalize): red, green,
/// blue planes of height × width float32, (value / 255 − mean) / std. Thread-safe; each concurrent call brings its own
/// <see cref="PreprocessingScratch"/>.
/// Once its memory has grown and the picture sizes repeat, nothing is allocated.
/// </summary>
public sealed class PicturePreprocessor
{
    private readonly PicturePreprocessing _settings;
    private readonly float[] _normalised;
    private readonly AxisCache _columns;
    private readonly AxisCache _rows;

    /// <summary>Prepares for the given settings.</summary>
    /// <exception cref="ConfigurationException">Sizes, means or standard deviations are unusable.</exception>
    public PicturePreprocessor(PicturePreprocessing settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        Check(settings);
        _settings = settings;
        _columns = new AxisCache(settings.Filter, settings.CropWidth, PillowResampler.Lanes);
        _rows = new AxisCache(settings.Filter, settings.CropHeight, 1);

        // Every channel has only 256 values: a table makes them equal to torchvision's float32 divisions to the last bit.
        _normalised = new float[3 * 256];
        for (int i = 0; i < _normalised.Length; i++)
        {
            int channel = i / 256;
            _normalised[i] = (((i % 256) / 255f) - settings.Mean[channel]) / settings.Std[channel];
        }
    }

    /// <summary>Height of the network's input in pixels.</summary>
    public int Height => _settings.CropHeight;

    /// <summary>Width of the network's input in pixels.</summary>
    public int Width => _settings.CropWidth;

    /// <summary>Elements that <see cref="Process"/> writes: 3 · height · width.</summary>
    public int Length => 3 * Height * Width;

    /// <summary>Writes the network's input for one picture.</summary>
    /// <param name="picture">The picture, of any size.</param>
    /// <param name="destination">Receives <see cref="Length"/> values: the red plane, the green plane, the blue plane, each row by
    /// row.</param>
    /// <param name="scratch">Working memory, used by no other call at the same time.</param>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is too short.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Process(PictureView picture, Span<float> destination, PreprocessingScratch scratch)
    {
        ArgumentNullException.ThrowIfNull(scratch);
        CheckLength(destination.Length);
        Span<byte> cropped = scratch.Picture(Length);
        Crop(picture, cropped, scratch);
        int plane = Height * Width;
        for (int channel = 0; channel < 3; channel++)
        {
            ReadOnlySpan<float> table = _normalised.AsSpan(channel * 256, 256);
            Span<float> output = destination.Slice(channel * plane, plane);
            for (int i = 0, j = channel; i < output.Length; i++, j += 3)
                output[i] = table[cropped[j]];
        }
    }

    /// <summary>Writes the resized and cropped picture before normalisation, in 8 bits: what the network looks at.</summary>
    /// <param name="picture">The picture, of any size.</param>
    /// <param name="destination">Receives <see cref="Length"/> bytes: rows of red, green, blue. Padding is black.</param>
    /// <param name="scratch">Working memory, used by no other call at the same time.</param>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is too short.</exception>
    public void Crop(PictureView picture, Span<byte> destination, PreprocessingScratch scratch)
    {
        ArgumentNullException.ThrowIfNull(scratch);
        CheckLength(destination.Length);
        PictureView.CheckExtent(picture.Width, picture.Height);
        (int height, int width) = ExtentAfterResize(picture.Height, picture.Width);
        ResampleAxis columns = _columns.Get(picture.Width, width);
        ResampleAxis rows = _rows.Get(picture.Height, height);
        if (columns.Count < Width || rows.Count < Height)
            destination[..Length].Clear();
        int left = (Width - columns.Count) / 2;
        int top = (Height - rows.Count) / 2;
        PillowResampler.Resample(picture, columns, rows, destination[(((top * Width) + left) * 3)..], Width * 3, scratch);
    }

    /// <summary>
    /// The part of a picture that the network's input shows, in the picture's pixels: where an anomaly map belongs. It reaches beyond the
    /// picture
    /// where the input is padded.
    /// </summary>
    public PictureRegion Region(int pictureHeight, int pictureWidth)
    {
        ResizedExtent resized = Resized(pictureHeight, pictureWidth);
        double vertical = (double)pictureHeight / resized.Height;
        double horizontal = (double)pictureWidth / resized.Width;
        return new PictureRegion(resized.Top * vertical, resized.Left * horizontal, Height * vertical, Width * horizontal);
    }

    /// <summary>How large a picture is after resizing, and where in it the network's input begins.</summary>
    public ResizedExtent Resized(int pictureHeight, int pictureWidth)
    {
        PictureView.CheckExtent(pictureWidth, pictureHeight);
        (int height, int width) = ExtentAfterResize(pictureHeight, pictureWidth);
        return new ResizedExtent(
            height,
            width,
            CropStart(height, Height) - ((Height - Math.Min(Height, height)) / 2),
            CropStart(width, Width) - ((Width - Math.Min(Width, width)) / 2));
    }

    /// <summary>torchvision's rule: given sizes, or the shorter side given and the longer one in proportion, rounded down.</summary>
    private (int Height, int Width) ExtentAfterResize(int height, int width)
    {
        if (_settings.ResizeShortSide is not int side)
            return (_settings.ResizeHeight, _settings.ResizeWidth);
        return width <= height
            ? ((int)((long)side * height / width), side)
            : (side, (int)((long)side * width / height));
    }

    /// <summary>
    /// torchvision's CenterCrop: the offset of the crop is rounded half to even. A crop larger than the picture starts at 0 and is padded.
    /// </summary>
    private static int CropStart(int extent, int crop) =>
        crop >= extent ? 0 : (int)Math.Round((extent - crop) / 2.0, MidpointRounding.ToEven);

    private void CheckLength(int length)
    {
        if (length < Length)
            throw new ArgumentException($"the network's input has 3×{Height}×{Width} = {Length} elements, but the destination has only {length}");
    }

    private static void Check(PicturePreprocessing settings)
    {
        const int MaxExtent = 16_384;
        bool resize = settings.ResizeShortSide is int side
            ? side is >= 1 and <= MaxExtent
            : settings.ResizeHeight is >= 1 and <= MaxExtent && settings.ResizeWidth is >= 1 and <= MaxExtent;
        if (!resize)
        {
            string extent = settings.ResizeShortSide is int shortSide ? $"{shortSide}" : $"{settings.ResizeWidth}×{settings.ResizeHeight}";
            throw new ConfigurationException($"preprocessing resizes to {extent}; expected 1 to {MaxExtent} pixels a side");
        }

        if (settings.CropHeight is < 1 or > MaxExtent || settings.CropWidth is < 1 or > MaxExtent)
            throw new ConfigurationException($"preprocessing crops to {settings.CropWidth}×{settings.CropHeight}; expected 1 to {MaxExtent} pixels a side");
        if (settings.Mean is not { Length: 3 } || settings.Std is not { Length: 3 })
            throw new ConfigurationException("preprocessing needs three means and three standard deviations: red, green, blue");
        if (!settings.Mean.All(float.IsFinite) || !settings.Std.All(s => float.IsFinite(s) && s > 0))
            throw new ConfigurationException("preprocessing needs finite means and finite standard deviations above zero");
    }

    /// <summary>
    /// The axes of the last few picture sizes, so that a camera's pictures, or a folder of a few sizes, do not have weights computed again
    /// and again.
    /// Bounded, because a folder may hold thousands of sizes.
    /// </summary>
    private sealed class AxisCache(Interpolation filter, int crop, int repeat)
    {
        private const int Capacity = 8;
        private readonly Lock _lock = new();
        private readonly List<(int Input, int Output, ResampleAxis Axis)> _entries = new(Capacity);

        public ResampleAxis Get(int input, int output)
        {
            lock (_lock)
            {
                // Least recently used first.
                for (int i = _entries.Count - 1; i >= 0; i--)
                {
                    (int Input, int Output, ResampleAxis Axis) entry = _entries[i];
                    if (entry.Input == input && entry.Output == output)
                    {
                        _entries.RemoveAt(i);
                        _entries.Add(entry);
                        return entry.Axis;
                    }
                }

                ResampleAxis axis = new(filter, input, output, CropStart(output, crop), Math.Min(output, crop), repeat);
                if (_entries.Count == Capacity)
                    _entries.RemoveAt(0);
                _entries.Add((input, output, axis));
                return axis;
            }
        }
    }
}

/// <summary>A rectangle of a picture in pixels; whole numbers are pixel edges. May reach beyond the picture.</summary>
/// <param name="Top">Upper edge.</param>
/// <param name="Left">Left edge.</param>
/// <param name="Height">Extent downwards.</param>
/// <param name="Width">Extent to the right.</param>
public readonly record struct PictureRegion(double Top, double Left, double Height, double Width);

/// <summary>A picture after resizing, in its new pixels.</summary>
/// <param name="Height">Its height.</param>
/// <param name="Width">Its width.</param>
/// <param name="Top">Row at which the network's input begins; negative where the input is padded.</param>
/// <param name="Left">Column at which the network's input begins; negative where the input is padded.</param>
public readonly record struct ResizedExtent(int Height, int Width, int Top, int Left);
