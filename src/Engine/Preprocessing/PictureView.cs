namespace KernelAD.Preprocessing;

/// <summary>
/// A picture in the caller's memory: rows from top to bottom, pixels from left to right, 8 bits a channel. Borrows, never copies.
/// </summary>
public readonly ref struct PictureView
{
    /// <summary>The longest side that is accepted, in pixels: JPEG's own limit. It bounds the memory that resampling needs.</summary>
    public const int MaxSide = 65_535;

    /// <summary>
    /// The largest picture that is accepted, in pixels. It is the number at which Pillow, too, refuses a picture as a decompression bomb:
    /// what trains can be run.
    /// </summary>
    public const long MaxPixels = 178_956_970;

    /// <summary>Describes a picture.</summary>
    /// <param name="pixels">The bytes; row y starts at y · <paramref name="stride"/>. The last row may end with its last pixel.</param>
    /// <param name="width">Pixels in a row, 1 … <see cref="MaxSide"/>.</param>
    /// <param name="height">Rows, 1 … <see cref="MaxSide"/>.</param>
    /// <param name="format">Layout of a pixel.</param>
    /// <param name="stride">Bytes from one row to the next; 0 means that rows follow each other without gaps.</param>
    /// <exception cref="BadInputException">The picture is empty or too large, or <paramref name="pixels"/> or <paramref name="stride"/> is
    /// too small for it.</exception>
    public PictureView(ReadOnlySpan<byte> pixels, int width, int height, PixelFormat format, int stride = 0)
    {
        CheckExtent(width, height);
        int rowBytes = checked(width * format.BytesPerPixel());
        stride = stride == 0 ? rowBytes : stride;
        if (stride < rowBytes)
        {
            throw new BadInputException(
                $"a row of {width} {format} pixels takes {rowBytes} bytes, but the stride is {stride}; give the distance between rows in bytes");
        }

        long needed = ((long)(height - 1) * stride) + rowBytes;
        if (pixels.Length < needed)
        {
            throw new BadInputException(
                $"a {format} picture of {width}×{height} pixels with a stride of {stride} takes {needed} bytes, "
                + $"but {pixels.Length} were given; check width, height and format");
        }

        Pixels = pixels;
        Width = width;
        Height = height;
        Format = format;
        Stride = stride;
    }

    /// <summary>The bytes.</summary>
    public ReadOnlySpan<byte> Pixels { get; }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Number of rows.</summary>
    public int Height { get; }

    /// <summary>Bytes from one row to the next.</summary>
    public int Stride { get; }

    /// <summary>Layout of a pixel.</summary>
    public PixelFormat Format { get; }

    /// <summary>The bytes of one row, without what may follow its last pixel.</summary>
    public ReadOnlySpan<byte> Row(int y) => Pixels.Slice(y * Stride, Width * Format.BytesPerPixel());

    /// <summary>Checks that a picture is neither empty nor too large, for instance before memory is allocated for it.</summary>
    /// <exception cref="BadInputException">It is.</exception>
    public static void CheckExtent(int width, int height)
    {
        if (width < 1 || height < 1)
        {
            throw new BadInputException($"the picture has {width}×{height} pixels, so there is nothing to inspect");
        }

        if (width > MaxSide || height > MaxSide || (long)width * height > MaxPixels)
        {
            throw new BadInputException(
                $"the picture has {width}×{height} pixels; at most {MaxPixels:N0} pixels and {MaxSide:N0} a side are accepted; "
                + "cut it into tiles or shrink it first");
        }
    }
}
