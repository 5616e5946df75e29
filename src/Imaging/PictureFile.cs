using System.Runtime.InteropServices;
using KernelAD.Preprocessing;
using KernelAD.Weights;
using SkiaSharp;

namespace KernelAD.Imaging;

/// <summary>How a picture file is read.</summary>
public sealed record PictureReadOptions
{
    /// <summary>
    /// Whether to turn the picture upright as its EXIF orientation says. Off by default, since Pillow, and with it the training code, does
    /// not on opening.
    /// </summary>
    public bool ApplyOrientation { get; init; }

    /// <summary>
    /// The largest picture to read, in pixels; decoding needs four bytes for each, progressive JPEG some six more. At most
    /// <see cref="PictureView.MaxPixels"/>.
    /// </summary>
    public long MaxPixels { get; init; } = PictureView.MaxPixels;
}

/// <summary>
/// Reads JPEG, PNG, BMP, WebP and GIF (its first frame) into 8-bit RGBA with colours not premultiplied, and writes PNG. Pixels equal
/// Pillow's
/// <c>convert("RGB")</c>: no colour management, alpha dropped, palettes and grey resolved. The one documented exception is 16-bit grey
/// PNG, of which the
/// high byte is taken, where Pillow clips everything above 255. A picture of which any part is missing is an error, never a partial result.
/// </summary>
public static unsafe class PictureFile
{
    /// <summary>
    /// The largest file that is opened: well above an uncompressed 32-bit picture of <see cref="PictureView.MaxPixels"/>.
    /// </summary>
    public const long MaxFileBytes = 1L << 30;

    private const string Formats = "JPEG, PNG, BMP, WebP and GIF";

    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"];

    /// <summary>
    /// Whether a file's name ends like a picture's, to choose files from a folder. TIFF counts: reading it ends in a clear error, while a
    /// file left out goes unnoticed.
    /// </summary>
    public static bool HasPictureExtension(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a picture file.</summary>
    /// <exception cref="PictureException">The file is missing, unreadable, not a picture of a known format, damaged, cut off or too
    /// large.</exception>
    public static Picture Read(string path, PictureReadOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            FileInfo file = new(path);
            if (Directory.Exists(path))
                throw new PictureException($"{path}: is a folder; name a picture file");
            if (!file.Exists)
                throw new PictureException($"{path}: there is no such file");

            // Asked before opening: a pipe or a device says 0 as well, and opening one may block for ever.
            CheckLength(path, file.Length);
            Span<byte> head = stackalloc byte[FileSignature.Length];
            using (FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0))
                head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
            string kind = CheckKind(path, head);

            // The decoder reads the file piece by piece; neither a memory map nor a managed stream, since a failing disk must not end the
            // process.
            using SKFileStream source = new(path);
            if (!source.IsValid)
                throw new PictureException($"{path}: cannot be opened; check its permissions");
            return Decode(source, path, kind, options ?? new PictureReadOptions());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new PictureException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Decodes a picture file that lies in memory.</summary>
    /// <param name="file">The bytes of the file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="options">How to read.</param>
    /// <exception cref="PictureException">It is not a picture of a known format, or damaged, cut off or too large.</exception>
    public static Picture Decode(ReadOnlySpan<byte> file, string name, PictureReadOptions? options = null)
    {
        CheckLength(name, file.Length);
        string kind = CheckKind(name, file[..Math.Min(file.Length, FileSignature.Length)]);
        fixed (byte* bytes = file)
        {
            using SKData data = SKData.Create((nint)bytes, file.Length);
            using SKMemoryStream source = new(data);
            return Decode(source, name, kind, options ?? new PictureReadOptions());
        }
    }

    /// <summary>
    /// Writes a PNG file: under a temporary name first, so that an error leaves neither half a file nor a damaged old one behind.
    /// </summary>
    /// <exception cref="OutputException">The folder is missing or not writable, or the disk is full.</exception>
    public static void WritePng(string path, PictureView picture) => AtomicFile.WriteAllBytes(path, PngEncoder.Encode(picture));

    private static void CheckLength(string name, long length)
    {
        if (length == 0)
            throw new PictureException($"{name}: the file is empty");
        if (length > MaxFileBytes)
            throw new PictureException($"{name}: the file has {length:N0} bytes; picture files of up to {MaxFileBytes:N0} are read");
    }

    private static string CheckKind(string name, ReadOnlySpan<byte> head) => FileSignature.Of(head) switch
    {
        { Supported: true } signature => signature.Kind,
        { Kind: string kind } => throw new PictureException($"{name}: this is a {kind} file; {Formats} are read; convert it to PNG first"),
        null => throw new PictureException(
            $"{name}: not a known picture format (first bytes {Convert.ToHexString(head[..Math.Min(head.Length, 8)])}); "
            + $"{Formats} are read; convert it to PNG first"),
    };

    private static Picture Decode(SKStream source, string name, string kind, PictureReadOptions options)
    {
        using SKCodec? codec = SKCodec.Create(source, out SKCodecResult created);
        if (codec is null)
        {
            throw new PictureException(
                $"{name}: starts like a {kind} file, but its header is damaged, cut off, or describes an empty or impossible picture "
                + $"({created}); fetch or export it again");
        }

        int width = codec.Info.Width;
        int height = codec.Info.Height;
        try
        {
            PictureView.CheckExtent(width, height);
        }
        catch (BadInputException e)
        {
            throw new PictureException($"{name}: {e.Message}", e);
        }

        if ((long)width * height > options.MaxPixels)
            throw new PictureException($"{name}: the picture has {width}×{height} pixels; the limit asked for is {options.MaxPixels:N0} pixels");

        // No colour space asked for means none converted to: the numbers in the file, as Pillow gives them.
        SKImageInfo info = new(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul, colorspace: null);
        Picture picture = new(width, height, PixelFormat.Rgba32);
        SKCodecResult result;
        fixed (byte* pixels = picture.Pixels)
            result = codec.GetPixels(info, (nint)pixels, info.RowBytes, SKCodecOptions.Default);
        if (result != SKCodecResult.Success)
        {
            picture.Dispose();
            throw new PictureException(result == SKCodecResult.IncompleteInput
                ? $"{name}: the {kind} file is cut off or damaged: not all of its {width}×{height} pixels could be decoded; fetch or export it again"
                : $"{name}: the {kind} file is damaged ({result}): its {width}×{height} pixels could not be decoded; fetch or export it again");
        }

        return options.ApplyOrientation ? Upright(picture, codec.EncodedOrigin) : picture;
    }

    /// <summary>Turns a picture by its EXIF orientation: start, step to the right and step downwards through the stored pixels.</summary>
    private static Picture Upright(Picture stored, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft)
            return stored;
        int w = stored.Width;
        int h = stored.Height;
        (int start, int right, int down) = origin switch
        {
            SKEncodedOrigin.TopRight => (w - 1, -1, w),
            SKEncodedOrigin.BottomRight => ((w * h) - 1, -1, -w),
            SKEncodedOrigin.BottomLeft => ((h - 1) * w, 1, -w),
            SKEncodedOrigin.LeftTop => (0, w, 1),
            SKEncodedOrigin.RightTop => ((h - 1) * w, -w, 1),
            SKEncodedOrigin.RightBottom => ((w * h) - 1, -w, -1),
            SKEncodedOrigin.LeftBottom => (w - 1, w, -1),
            _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "unknown orientation"),
        };
        bool swapped = origin >= SKEncodedOrigin.LeftTop;
        Picture upright = new(swapped ? h : w, swapped ? w : h, stored.Format);
        ReadOnlySpan<uint> from = MemoryMarshal.Cast<byte, uint>(stored.Pixels);
        Span<uint> to = MemoryMarshal.Cast<byte, uint>(upright.Pixels);
        for (int y = 0; y < upright.Height; y++)
        {
            for (int x = 0; x < upright.Width; x++)
                to[(y * upright.Width) + x] = from[start + (x * right) + (y * down)];
        }

        stored.Dispose();
        return upright;
    }
}
