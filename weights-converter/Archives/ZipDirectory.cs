using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.WeightsConverter.Archives;

/// <summary>A file in a zip archive.</summary>
/// <param name="Name">Its name with folders.</param>
/// <param name="Deflated">Whether it is compressed; PyTorch stores its files uncompressed.</param>
/// <param name="Encrypted">Whether it is encrypted.</param>
/// <param name="Crc">Checksum of its content; 0 when the writer computed none.</param>
/// <param name="CompressedSize">Bytes that it takes in the archive.</param>
/// <param name="Size">Bytes of its content.</param>
/// <param name="HeaderOffset">Position of its local header.</param>
internal sealed record ZipEntry(string Name, bool Deflated, bool Encrypted, uint Crc, long CompressedSize, long Size, long HeaderOffset);

/// <summary>
/// Reads the directory of a zip archive (with zip64), every number checked against the file's length. Multi-volume archives are not zip files of PyTorch.
/// </summary>
internal static class ZipDirectory
{
    private const int EndRecordSize = 22;
    private const int MaxCommentSize = 65535;
    private const long MaxDirectorySize = 64L << 20;
    private const uint EndSignature = 0x0605_4b50, Zip64EndSignature = 0x0606_4b50, Zip64LocatorSignature = 0x0706_4b50;
    private const uint EntrySignature = 0x0201_4b50, LocalSignature = 0x0403_4b50;

    /// <summary>The archive's files by name.</summary>
    /// <exception cref="ArchiveException">The archive is damaged.</exception>
    public static Dictionary<string, ZipEntry> Read(SafeFileHandle handle, long fileLength)
    {
        (long start, long size) = Locate(handle, fileLength);
        if (start < 0 || size < 0 || size > MaxDirectorySize || start > fileLength - size)
        {
            throw new ArchiveException("its directory lies outside the file: it is damaged");
        }

        ReadOnlySpan<byte> directory = ReadBytes(handle, start, (int)size);
        Dictionary<string, ZipEntry> entries = new(StringComparer.Ordinal);
        while (directory.Length > 0)
        {
            ZipEntry entry = ReadEntry(ref directory);
            if (entry.HeaderOffset < 0 || entry.HeaderOffset > start || entry.CompressedSize < 0 || entry.CompressedSize > start || entry.Size < 0)
            {
                throw new ArchiveException($"its entry \"{entry.Name}\" lies outside the file: it is damaged");
            }

            if (!entries.TryAdd(entry.Name, entry))
            {
                throw new ArchiveException($"its entry \"{entry.Name}\" appears twice: it is damaged");
            }
        }

        return entries;
    }

    /// <summary>Position of an entry's data, read from its local header.</summary>
    public static long DataOffset(SafeFileHandle handle, long fileLength, ZipEntry entry)
    {
        const int LocalHeaderSize = 30;
        if (entry.HeaderOffset <= fileLength - LocalHeaderSize)
        {
            byte[] header = ReadBytes(handle, entry.HeaderOffset, LocalHeaderSize);
            long offset = entry.HeaderOffset + LocalHeaderSize + U16(header, 26) + U16(header, 28);
            if (U32(header, 0) == LocalSignature && offset <= fileLength - entry.CompressedSize)
            {
                return offset;
            }
        }

        throw new ArchiveException($"its entry \"{entry.Name}\" has no valid header: it is damaged");
    }

    private static (long Start, long Size) Locate(SafeFileHandle handle, long fileLength)
    {
        int tailLength = (int)Math.Min(fileLength, EndRecordSize + MaxCommentSize);
        byte[] tail = ReadBytes(handle, fileLength - tailLength, tailLength);
        int end = tail.Length - EndRecordSize;
        while (end >= 0 && !(U32(tail, end) == EndSignature && end + EndRecordSize + U16(tail, end + 20) == tail.Length))
        {
            end--;
        }

        if (end < 0)
        {
            throw new ArchiveException("it has no end record: it is cut short (an interrupted download or copy?)");
        }

        long size = U32(tail, end + 12), start = U32(tail, end + 16);
        if (size != uint.MaxValue && start != uint.MaxValue && U16(tail, end + 10) != ushort.MaxValue)
        {
            return (start, size);
        }

        // Zip64: a locator right before the end record points at the larger end record.
        const int LocatorSize = 20, Zip64EndSize = 56;
        long locatorPosition = fileLength - tail.Length + end - LocatorSize;
        if (locatorPosition >= 0)
        {
            byte[] locator = ReadBytes(handle, locatorPosition, LocatorSize);
            long position = I64(locator, 8);
            if (U32(locator, 0) == Zip64LocatorSignature && position >= 0 && position <= locatorPosition - Zip64EndSize)
            {
                byte[] record = ReadBytes(handle, position, Zip64EndSize);
                if (U32(record, 0) == Zip64EndSignature)
                {
                    return (I64(record, 48), I64(record, 40));
                }
            }
        }

        throw new ArchiveException("its zip64 end record is missing: it is damaged");
    }

    private static ZipEntry ReadEntry(ref ReadOnlySpan<byte> directory)
    {
        const int FixedSize = 46;
        if (directory.Length < FixedSize || BinaryPrimitives.ReadUInt32LittleEndian(directory) != EntrySignature)
        {
            throw new ArchiveException("its directory is not valid: it is damaged");
        }

        ReadOnlySpan<byte> e = directory;
        ushort flags = U16(e, 8), method = U16(e, 10);
        int nameLength = U16(e, 28), extraLength = U16(e, 30), commentLength = U16(e, 32);
        if (e.Length < FixedSize + nameLength + extraLength + commentLength)
        {
            throw new ArchiveException("its directory ends too early: it is damaged");
        }

        string name = Encoding.UTF8.GetString(e.Slice(FixedSize, nameLength));
        long compressed = U32(e, 20), size = U32(e, 24), offset = U32(e, 42);
        ReadZip64(e.Slice(FixedSize + nameLength, extraLength), ref size, ref compressed, ref offset);
        if (method is not (0 or 8))
        {
            throw new ArchiveException($"its entry \"{name}\" is compressed by method {method}: unpack it and zip it again without compression");
        }

        if (method == 0 && compressed != size)
        {
            throw new ArchiveException($"its entry \"{name}\" has two sizes, {compressed} and {size}: it is damaged");
        }

        directory = directory[(FixedSize + nameLength + extraLength + commentLength)..];
        return new ZipEntry(name, method == 8, (flags & 1) != 0, U32(e, 16), compressed, size, offset);
    }

    /// <summary>Takes the 64-bit values for those fields that are all ones.</summary>
    private static void ReadZip64(ReadOnlySpan<byte> extra, ref long size, ref long compressed, ref long offset)
    {
        while (extra.Length >= 4)
        {
            int id = U16(extra, 0), length = U16(extra, 2);
            if (length > extra.Length - 4)
            {
                return;
            }

            ReadOnlySpan<byte> field = extra.Slice(4, length);
            extra = extra[(4 + length)..];
            if (id == 1)
            {
                Take(ref field, ref size);
                Take(ref field, ref compressed);
                Take(ref field, ref offset);
            }
        }

        static void Take(ref ReadOnlySpan<byte> field, ref long value)
        {
            if (value == uint.MaxValue && field.Length >= 8)
            {
                value = BinaryPrimitives.ReadInt64LittleEndian(field);
                field = field[8..];
            }
        }
    }

    private static byte[] ReadBytes(SafeFileHandle handle, long position, int count)
    {
        byte[] bytes = new byte[count];
        using FileSlice slice = new(handle, position, count);
        return slice.ReadAtLeast(bytes, count, throwOnEndOfStream: false) == count ? bytes : throw new ArchiveException("it ends too early");
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static long I64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);
}
