namespace KernelAD.Preprocessing;

/// <summary>How the bytes of one pixel are laid out in memory, 8 bits a channel.</summary>
public enum PixelFormat
{
    /// <summary>Red, green, blue.</summary>
    Rgb24,

    /// <summary>
    /// Red, green, blue, alpha. Alpha is dropped, not blended, as Pillow's <c>convert("RGB")</c> does; colours are taken as not
    /// premultiplied.
    /// </summary>
    Rgba32,

    /// <summary>Blue, green, red.</summary>
    Bgr24,

    /// <summary>Blue, green, red, alpha; alpha is dropped.</summary>
    Bgra32,

    /// <summary>One grey value, which stands for red, green and blue.</summary>
    Gray8,
}

/// <summary>Facts about <see cref="PixelFormat"/>.</summary>
public static class PixelFormats
{
    /// <summary>Bytes of one pixel.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration's.</exception>
    public static int BytesPerPixel(this PixelFormat format) => format switch
    {
        PixelFormat.Gray8 => 1,
        PixelFormat.Rgb24 or PixelFormat.Bgr24 => 3,
        PixelFormat.Rgba32 or PixelFormat.Bgra32 => 4,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown pixel format"),
    };

    /// <summary>Where a pixel's red, green and blue bytes lie, counted from its first byte.</summary>
    public static (int Red, int Green, int Blue) ChannelOffsets(this PixelFormat format) => format switch
    {
        PixelFormat.Gray8 => (0, 0, 0),
        PixelFormat.Bgr24 or PixelFormat.Bgra32 => (2, 1, 0),
        _ => (0, 1, 2),
    };
}
