using System.Buffers.Binary;
using System.IO.Compression;
using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>
/// Encodes pictures and maps as PNG (ISO/IEC 15948): 8-bit RGB, 8-bit grey, and 16-bit grey, which the decoder's library cannot write.
/// </summary>
public static class PngEncoder
{
    private static readonly uint[] CrcTable = MakeCrcTable();

    /// <summary>Encodes a picture: grey if it is grey, otherwise RGB; alpha is dropped.</summary>
    public static byte[] Encode(PictureView picture)
    {
        PictureView.CheckExtent(picture.Width, picture.Height);
        bool gray = picture.Format == PixelFormat.Gray8;
        using Writer writer = new(picture.Width, picture.Height, bitDepth: 8, channels: gray ? 1 : 3);
        int bytes = picture.Format.BytesPerPixel();
        (int red, int green, int blue) = picture.Format.ChannelOffsets();
        byte[] line = new byte[picture.Width * 3];
        for (int y = 0; y < picture.Height; y++)
        {
            ReadOnlySpan<byte> row = picture.Row(y);
            if (picture.Format is PixelFormat.Gray8 or PixelFormat.Rgb24)
            {
                writer.WriteRow(row);
                continue;
            }

            for (int x = 0; x < picture.Width; x++)
            {
                line[3 * x] = row[(bytes * x) + red];
                line[(3 * x) + 1] = row[(bytes * x) + green];
                line[(3 * x) + 2] = row[(bytes * x) + blue];
            }

            writer.WriteRow(line);
        }

        return writer.Finish();
    }

    /// <summary>
    /// Encodes an anomaly map as 16-bit grey: the scale's minimum becomes 0, its maximum 65,535, and what lies outside is clipped.
    /// </summary>
    public static byte[] EncodeGray16(MapView map, HeatMapScale scale)
    {
        using Writer writer = new(map.Width, map.Height, bitDepth: 16, channels: 1);
        byte[] line = new byte[map.Width * 2];
        for (int y = 0; y < map.Height; y++)
        {
            ReadOnlySpan<float> row = map.Row(y);
            for (int x = 0; x < row.Length; x++)
                BinaryPrimitives.WriteUInt16BigEndian(line.AsSpan(2 * x), (ushort)((scale.Normalise(row[x]) * ushort.MaxValue) + 0.5f));
            writer.WriteRow(line);
        }

        return writer.Finish();
    }

    /// <summary>Encodes a picture as a <c>data:</c> address that an HTML page can hold in itself.</summary>
    public static string ToDataUri(PictureView picture) => "data:image/png;base64," + Convert.ToBase64String(Encode(picture));

    private static uint[] MakeCrcTable()
    {
        uint[] table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            uint value = i;
            for (int bit = 0; bit < 8; bit++)
                value = (value & 1) != 0 ? 0xEDB88320 ^ (value >> 1) : value >> 1;
            table[i] = value;
        }

        return table;
    }

    /// <summary>One PNG file in the making: rows are filtered, compressed, and wrapped into chunks at the end.</summary>
    private sealed class Writer : IDisposable
    {
        private readonly byte[] _header = new byte[13];
        private readonly MemoryStream _compressed = new();
        private readonly ZLibStream _compressor;
        private readonly int _pixelBytes;
        private readonly byte[] _filtered;
        private byte[] _row;
        private byte[] _above;

        public Writer(int width, int height, int bitDepth, int channels)
        {
            BinaryPrimitives.WriteInt32BigEndian(_header, width);
            BinaryPrimitives.WriteInt32BigEndian(_header.AsSpan(4), height);
            _header[8] = (byte)bitDepth;
            _header[9] = channels == 1 ? (byte)0 : (byte)2;
            _pixelBytes = channels * bitDepth / 8;
            int rowBytes = width * _pixelBytes;
            _compressor = new ZLibStream(_compressed, CompressionLevel.Optimal, leaveOpen: true);
            _filtered = new byte[rowBytes + 1];

            // A pixel of zeros to the left of each row spares the filter its special case.
            _row = new byte[rowBytes + _pixelBytes];
            _above = new byte[rowBytes + _pixelBytes];
        }

        public void WriteRow(ReadOnlySpan<byte> row)
        {
            row.CopyTo(_row.AsSpan(_pixelBytes));
            _filtered[0] = 4;
            for (int i = 0; i < row.Length; i++)
                _filtered[i + 1] = (byte)(row[i] - Paeth(_row[i], _above[i + _pixelBytes], _above[i]));
            _compressor.Write(_filtered);
            (_row, _above) = (_above, _row);
        }

        public byte[] Finish()
        {
            _compressor.Dispose();
            using MemoryStream file = new((int)_compressed.Length + 64);
            file.Write([0x89, .. "PNG\r\n\x1a\n"u8]);
            WriteChunk(file, "IHDR"u8, _header);
            WriteChunk(file, "IDAT"u8, _compressed.GetBuffer().AsSpan(0, (int)_compressed.Length));
            WriteChunk(file, "IEND"u8, []);
            return file.ToArray();
        }

        public void Dispose()
        {
            _compressor.Dispose();
            _compressed.Dispose();
        }

        /// <summary>
        /// The neighbour (left, above, above left) nearest to left + above − above left: good for photographs and smooth maps alike.
        /// </summary>
        private static int Paeth(int left, int above, int aboveLeft)
        {
            int toLeft = Math.Abs(above - aboveLeft);
            int toAbove = Math.Abs(left - aboveLeft);
            int toAboveLeft = Math.Abs(left + above - (2 * aboveLeft));
            return toLeft <= toAbove && toLeft <= toAboveLeft ? left : toAbove <= toAboveLeft ? above : aboveLeft;
        }

        private static void WriteChunk(Stream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
        {
            Span<byte> number = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
            file.Write(number);
            file.Write(type);
            file.Write(data);
            uint crc = ~Crc(Crc(~0u, type), data);
            BinaryPrimitives.WriteUInt32BigEndian(number, crc);
            file.Write(number);
        }

        private static uint Crc(uint crc, ReadOnlySpan<byte> data)
        {
            foreach (byte value in data)
                crc = CrcTable[(byte)(crc ^ value)] ^ (crc >> 8);
            return crc;
        }
    }
}
