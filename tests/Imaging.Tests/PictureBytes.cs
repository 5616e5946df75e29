using System.Buffers.Binary;
using System.IO.Compression;
using KernelAD.Preprocessing;
using SkiaSharp;

namespace KernelAD.Imaging.Tests;

/// <summary>Picture files made from known pixels, by hand or by an encoder that the product does not use.</summary>
internal static class PictureBytes
{
    /// <summary>RGB pixels: smooth with some noise.</summary>
    public static byte[] Pattern(int width, int height, int seed = 1)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, width * height * 3).Select(i =>
        {
            int x = i / 3 % width, y = i / 3 / width;
            return (byte)((x * 7) + (y * 5 * (i % 3)) + random.Next(8));
        })];
    }

    /// <summary>Encodes RGB pixels with Skia's encoder; quality 100 of WebP is lossless.</summary>
    public static byte[] Encode(byte[] rgb, int width, int height, SKEncodedImageFormat format, int quality)
    {
        using SKBitmap bitmap = new(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (int i = 0; i < width * height; i++)
            bitmap.SetPixel(i % width, i / width, new SKColor(rgb[3 * i], rgb[(3 * i) + 1], rgb[(3 * i) + 2]));
        using SKPixmap pixels = bitmap.PeekPixels();
        using SKData? data = format == SKEncodedImageFormat.Webp && quality == 100
            ? pixels.Encode(new SKWebpEncoderOptions(SKWebpEncoderCompression.Lossless, 100))
            : pixels.Encode(format, quality);
        return data!.ToArray();
    }

    /// <summary>A PNG of rows that are already packed as the colour type and depth demand.</summary>
    public static byte[] Png(
        int width, int height, int depth, int colorType, IEnumerable<byte[]> rows, bool interlaced = false, params (string Type, byte[] Data)[] extra)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = ((byte)depth, (byte)colorType, interlaced ? (byte)1 : (byte)0);
        using MemoryStream raw = new();
        using (ZLibStream zlib = new(raw, CompressionLevel.Optimal, leaveOpen: true))
        {
            foreach (byte[] row in rows)
                zlib.Write([0, .. row]);
        }

        List<byte> file = [0x89, .. "PNG\r\n\x1a\n"u8, .. Chunk("IHDR", header)];
        foreach ((string type, byte[] data) in extra)
            file.AddRange(Chunk(type, data));
        return [.. file, .. Chunk("IDAT", raw.ToArray()), .. Chunk("IEND", [])];
    }

    /// <summary>An 8-bit RGB PNG in Adam7 order.</summary>
    public static byte[] InterlacedPng(byte[] rgb, int width, int height)
    {
        (int X, int Y, int StepX, int StepY)[] passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        List<byte[]> rows = [];
        foreach ((int x0, int y0, int stepX, int stepY) in passes)
        {
            for (int y = y0; y < height && x0 < width; y += stepY)
            {
                List<byte> row = [];
                for (int x = x0; x < width; x += stepX)
                    row.AddRange(rgb.AsSpan(((y * width) + x) * 3, 3));
                rows.Add([.. row]);
            }
        }

        return Png(width, height, 8, 2, rows, interlaced: true);
    }

    /// <summary>A 24-bit BMP: rows from bottom to top, blue first, padded to four bytes.</summary>
    public static byte[] Bmp(byte[] rgb, int width, int height)
    {
        int stride = ((width * 3) + 3) & ~3;
        byte[] file = new byte[54 + (stride * height)];
        "BM"u8.CopyTo(file);
        (int Offset, int Value)[] fields = [(2, file.Length), (10, 54), (14, 40), (18, width), (22, height), (26, 1 | (24 << 16))];
        foreach ((int offset, int value) in fields)
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(offset), value);
        for (int i = 0; i < width * height; i++)
        {
            int to = 54 + ((height - 1 - (i / width)) * stride) + (i % width * 3);
            (file[to], file[to + 1], file[to + 2]) = (rgb[(3 * i) + 2], rgb[(3 * i) + 1], rgb[3 * i]);
        }

        return file;
    }

    /// <summary>A grey GIF whose codes are all eight bits long: the dictionary is cleared before it grows.</summary>
    public static byte[] Gif(byte[] indices, int width, int height)
    {
        List<byte> codes = [];
        for (int i = 0; i < indices.Length; i++)
        {
            if (i % 100 == 0)
                codes.Add(0x80);
            codes.Add(indices[i]);
        }

        codes.Add(0x81);
        byte[] palette = [.. Enumerable.Range(0, 128).SelectMany(i => new[] { (byte)(2 * i), (byte)(2 * i), (byte)(2 * i) })];
        byte[] size = [(byte)width, (byte)(width >> 8), (byte)height, (byte)(height >> 8)];
        List<byte> file = [.. "GIF89a"u8, .. size, 0xF6, 0, 0, .. palette, 0x2C, 0, 0, 0, 0, .. size, 0, 7];
        foreach (byte[] block in codes.Chunk(255))
            file.AddRange([(byte)block.Length, .. block]);
        return [.. file, 0, 0x3B];
    }

    /// <summary>
    /// A JPEG of one 8×8 block whose components are flat: with a quantisation step of 8 the DC coefficient is the value less 128.
    /// </summary>
    public static byte[] FlatJpeg(byte[] values, bool progressive)
    {
        List<byte> file = [0xFF, 0xD8];
        if (values.Length == 4)
            file.AddRange([0xFF, 0xEE, 0, 14, .. "Adobe"u8, 0, 100, 0, 0, 0, 0, 0]);
        file.AddRange([0xFF, 0xDB, 0, 67, 0, .. Enumerable.Repeat((byte)8, 64)]);
        byte count = (byte)values.Length;
        file.AddRange([0xFF, progressive ? (byte)0xC2 : (byte)0xC0, 0, (byte)(8 + (3 * count)), 8, 0, 8, 0, 8, count]);
        for (byte i = 1; i <= count; i++)
            file.AddRange([i, 0x11, 0]);

        // DC codes: twelve of four bits, one for each length of a difference. AC codes: a single bit 0, "end of block".
        file.AddRange([0xFF, 0xC4, 0, 31, 0x00, 0, 0, 0, 12, .. new byte[12], .. Enumerable.Range(0, 12).Select(i => (byte)i)]);
        file.AddRange([0xFF, 0xC4, 0, 20, 0x10, 1, .. new byte[15], 0]);
        file.AddRange([0xFF, 0xDA, 0, (byte)(6 + (2 * count)), count]);
        for (byte i = 1; i <= count; i++)
            file.AddRange([i, 0]);
        file.AddRange([0, progressive ? (byte)0 : (byte)63, 0]);

        string bits = string.Empty;
        foreach (byte value in values)
        {
            int difference = value - 128;
            int length = 32 - int.LeadingZeroCount(Math.Abs(difference));
            bits += length.ToString("b4");
            if (length > 0)
                bits += (difference > 0 ? difference : difference + (1 << length) - 1).ToString("b" + length);
            bits += progressive ? string.Empty : "0";
        }

        foreach (char[] chunk in bits.PadRight((bits.Length + 7) / 8 * 8, '1').Chunk(8))
        {
            byte value = Convert.ToByte(new string(chunk), 2);
            file.AddRange(value == 0xFF ? [0xFF, 0] : [value]);
        }

        return [.. file, 0xFF, 0xD9];
    }

    /// <summary>Puts an EXIF block with nothing but an orientation at the start of a JPEG file.</summary>
    public static byte[] WithOrientation(byte[] jpeg, byte orientation)
    {
        byte[] exif = [.. "Exif\0\0MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        return [0xFF, 0xD8, 0xFF, 0xE1, 0, (byte)(exif.Length + 2), .. exif, .. jpeg.AsSpan(2)];
    }

    /// <summary>Red, green, blue of a decoded picture.</summary>
    public static byte[] Rgb(Picture picture)
    {
        byte[] pixels = picture.Pixels.ToArray();
        int bytes = picture.Format.BytesPerPixel();
        return [.. Enumerable.Range(0, picture.Width * picture.Height * 3).Select(i => pixels[(i / 3 * bytes) + (i % 3)])];
    }

    private static byte[] Chunk(string type, byte[] data)
    {
        byte[] body = [.. System.Text.Encoding.ASCII.GetBytes(type), .. data];
        byte[] chunk = new byte[body.Length + 8];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        body.CopyTo(chunk, 4);
        uint crc = ~0u;
        foreach (byte value in body)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(body.Length + 4), ~crc);
        return chunk;
    }
}
