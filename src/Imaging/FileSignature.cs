namespace KernelAD.Imaging;

/// <summary>What kind of file something is by its first bytes, whatever its name says.</summary>
/// <param name="Kind">A name for messages.</param>
/// <param name="Supported">Whether <see cref="PictureFile"/> decodes it.</param>
internal sealed record FileSignature(string Kind, bool Supported)
{
    /// <summary>First bytes that suffice to tell every kind apart.</summary>
    public const int Length = 32;

    private static readonly (byte[] Bytes, int Offset, FileSignature Signature)[] Known =
    [
        ([0x89, .. "PNG\r\n\x1a\n"u8], 0, new("PNG", true)),
        ([0xFF, 0xD8, 0xFF], 0, new("JPEG", true)),
        ([.. "WEBP"u8], 8, new("WebP", true)),
        ([.. "GIF8"u8], 0, new("GIF", true)),
        ([.. "BM"u8], 0, new("BMP", true)),
        ([.. "II*\0"u8], 0, new("TIFF", false)),
        ([.. "MM\0*"u8], 0, new("TIFF", false)),
        ([.. "II+\0"u8], 0, new("BigTIFF", false)),
        ([.. "MM\0+"u8], 0, new("BigTIFF", false)),
        ([.. "ftypavif"u8], 4, new("AVIF", false)),
        ([.. "ftyphei"u8], 4, new("HEIC", false)),
        ([.. "ftyp"u8], 4, new("MP4 or HEIF", false)),
        ([.. "jP  "u8], 4, new("JPEG 2000", false)),
        ([0xFF, 0x4F, 0xFF, 0x51], 0, new("JPEG 2000", false)),
        ([0xFF, 0x0A], 0, new("JPEG XL", false)),
        ([.. "JXL "u8], 4, new("JPEG XL", false)),
        ([0x76, 0x2F, 0x31, 0x01], 0, new("OpenEXR", false)),
        ([.. "8BPS"u8], 0, new("Photoshop", false)),
        ([0, 0, 1, 0], 0, new("ICO", false)),
        ([.. "%PDF"u8], 0, new("PDF", false)),
        ([.. "PK\x03\x04"u8], 0, new("ZIP", false)),
        ([0x1F, 0x8B], 0, new("gzip", false)),
        ([.. "<!DOCTYPE html"u8], 0, new("HTML", false)),
        ([.. "<!doctype html"u8], 0, new("HTML", false)),
        ([.. "<html"u8], 0, new("HTML", false)),
        ([.. "<svg"u8], 0, new("SVG", false)),
        ([.. "<?xml"u8], 0, new("XML", false)),
        ([.. "version https://git-lfs"u8], 0, new("Git LFS pointer", false)),
    ];

    /// <summary>Tells the kind; null if no known one fits.</summary>
    public static FileSignature? Of(ReadOnlySpan<byte> head)
    {
        foreach ((byte[] bytes, int offset, FileSignature signature) in Known)
        {
            if (head.Length >= offset + bytes.Length && head[offset..].StartsWith(bytes))
                return signature;
        }

        return null;
    }
}
