using System.Buffers;
using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>
/// A picture that owns its pixels: rows from top to bottom without gaps, 8 bits a channel. Its memory comes from a pool and goes back on
/// <see cref="Dispose"/>; a picture that is forgotten is merely left to the garbage collector.
/// </summary>
public sealed class Picture : IDisposable
{
    private byte[]? _pixels;

    /// <summary>Reserves memory for a picture; the pixels are undefined until written.</summary>
    /// <exception cref="BadInputException">The picture is empty or larger than <see cref="PictureView.MaxPixels"/>.</exception>
    public Picture(int width, int height, PixelFormat format)
    {
        PictureView.CheckExtent(width, height);
        Width = width;
        Height = height;
        Format = format;
        _pixels = ArrayPool<byte>.Shared.Rent(Length);
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Number of rows.</summary>
    public int Height { get; }

    /// <summary>Layout of a pixel.</summary>
    public PixelFormat Format { get; }

    /// <summary>Bytes from one row to the next.</summary>
    public int Stride => Width * Format.BytesPerPixel();

    /// <summary>The bytes, to read and to write.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public Span<byte> Pixels
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pixels is null, this);
            return _pixels.AsSpan(0, Length);
        }
    }

    /// <summary>The picture as the engine takes it. Valid until <see cref="Dispose"/>.</summary>
    public PictureView View => new(Pixels, Width, Height, Format);

    private int Length => Stride * Height;

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _pixels, null) is byte[] pixels)
            ArrayPool<byte>.Shared.Return(pixels);
    }
}
