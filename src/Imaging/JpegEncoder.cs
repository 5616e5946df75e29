using KernelAD.Preprocessing;
using SkiaSharp;

namespace KernelAD.Imaging;

/// <summary>Encodes pictures as JPEG: for thumbnails in reports, where small counts and exact does not.</summary>
public static unsafe class JpegEncoder
{
    /// <summary>Encodes a picture; alpha is dropped.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="quality">1 (smallest) … 100 (best).</param>
    public static byte[] Encode(PictureView picture, int quality)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(quality, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(quality, 100);
        PictureView.CheckExtent(picture.Width, picture.Height);
        using SKBitmap bitmap = new(new SKImageInfo(picture.Width, picture.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        Span<byte> pixels = new((void*)bitmap.GetPixels(), bitmap.RowBytes * picture.Height);
        int bytes = picture.Format.BytesPerPixel();
        (int red, int green, int blue) = picture.Format.ChannelOffsets();
        for (int y = 0; y < picture.Height; y++)
        {
            ReadOnlySpan<byte> row = picture.Row(y);
            Span<byte> target = pixels[(y * bitmap.RowBytes)..];
            for (int x = 0; x < picture.Width; x++)
            {
                ReadOnlySpan<byte> pixel = row.Slice(x * bytes, bytes);
                (target[4 * x], target[(4 * x) + 1], target[(4 * x) + 2], target[(4 * x) + 3]) = (pixel[red], pixel[green], pixel[blue], 255);
            }
        }

        using SKData data = bitmap.Encode(SKEncodedImageFormat.Jpeg, quality)
            ?? throw new InvalidOperationException($"a picture of {picture.Width}×{picture.Height} pixels could not be encoded as JPEG");
        return data.ToArray();
    }

    /// <summary>Encodes a picture as a <c>data:</c> address that an HTML page can hold in itself.</summary>
    public static string ToDataUri(PictureView picture, int quality) => "data:image/jpeg;base64," + Convert.ToBase64String(Encode(picture, quality));
}
