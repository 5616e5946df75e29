using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KernelAD.Tensors;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.Weights;

/// <summary>A tensor in a safetensors file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Its extents; the elements lie row-major.</param>
/// <param name="Offset">Position of its first byte in the file; not necessarily aligned.</param>
/// <param name="ByteCount">Number of bytes.</param>
public sealed record SafetensorsEntry(string Name, ElementType Type, Shape Shape, long Offset, long ByteCount);

/// <summary>
/// A safetensors file, open for reading: an 8-byte little-endian header length, the JSON header, the tensors' bytes. The whole header is validated on
/// opening; tensors are read one by one with positioned reads, so that memory is what the caller's destination takes. Safe for concurrent reads.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>Bytes read or converted at a time.</summary>
    private const int ChunkBytes = 1 << 20;

    private readonly SafeFileHandle _handle;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly Dictionary<string, string> _metadata;

    private SafetensorsFile(string path, SafeFileHandle handle, Dictionary<string, SafetensorsEntry> entries, Dictionary<string, string> metadata)
    {
        Path = path;
        _handle = handle;
        _entries = entries;
        _metadata = metadata;
        LastWriteTimeUtc = File.GetLastWriteTimeUtc(handle);
    }

    /// <summary>The path given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>When the file was last written to, as of its opening.</summary>
    internal DateTime LastWriteTimeUtc { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    /// <summary>The file's metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Opens a file and validates its header.</summary>
    /// <exception cref="ModelFileException">The file cannot be opened or is not a valid safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path);
            long length = RandomAccess.GetLength(handle);
            Span<byte> prefix = stackalloc byte[8];
            if (length < prefix.Length)
            {
                throw new ModelFileException($"{path}: {length} bytes are too few for a safetensors file; convert or download it again.");
            }

            ReadExactly(path, handle, 0, prefix);
            ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
            if (headerLength > SafetensorsHeader.MaxBytes || (long)headerLength > length - prefix.Length)
            {
                throw new ModelFileException(
                    $"{path}: not a safetensors file, or cut short: its first 8 bytes announce a header of {headerLength} bytes, the file has {length}. Convert a PyTorch checkpoint with `kernelad convert`.");
            }

            byte[] header = GC.AllocateUninitializedArray<byte>((int)headerLength);
            ReadExactly(path, handle, prefix.Length, header);
            long dataStart = prefix.Length + header.Length;
            (Dictionary<string, SafetensorsEntry> entries, Dictionary<string, string> metadata) =
                SafetensorsHeader.Parse(path, header, dataStart, length - dataStart);
            SafetensorsFile file = new(path, handle, entries, metadata);
            handle = null;
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new ModelFileException($"{path}: cannot be read: {e.Message}", e);
        }
        finally
        {
            handle?.Dispose();
        }
    }

    /// <summary>Reads a tensor's bytes as they lie in the file.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Exactly as long as the tensor.</param>
    /// <exception cref="ModelFileException">There is no such tensor, or the file was cut since it was opened.</exception>
    public void Read(string name, Span<byte> destination)
    {
        SafetensorsEntry entry = Entry(name);
        if (destination.Length != entry.ByteCount)
        {
            throw new ArgumentException($"tensor \"{name}\" has {entry.ByteCount} bytes, the destination {destination.Length}", nameof(destination));
        }

        ReadBytes(entry, 0, destination);
    }

    /// <summary>Reads some consecutive bytes of a tensor as they lie in the file.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">Position of the first byte in the tensor.</param>
    /// <param name="destination">As many bytes as are wanted.</param>
    /// <exception cref="ModelFileException">There is no such tensor, or the file was cut since it was opened.</exception>
    public void Read(string name, long first, Span<byte> destination)
    {
        SafetensorsEntry entry = Entry(name);
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first, entry.ByteCount - destination.Length);
        ReadBytes(entry, first, destination);
    }

    /// <summary>Copies a tensor's bytes as they lie in the file, block by block.</summary>
    /// <exception cref="ModelFileException">There is no such tensor, or the file was cut since it was opened.</exception>
    internal void CopyTo(string name, Stream destination)
    {
        SafetensorsEntry entry = Entry(name);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            for (long done = 0; done < entry.ByteCount; done += ChunkBytes)
            {
                Span<byte> part = buffer.AsSpan(0, (int)Math.Min(ChunkBytes, entry.ByteCount - done));
                ReadBytes(entry, done, part);
                destination.Write(part);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a tensor as single precision, converting from whatever type the file holds.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As many elements as the tensor; may lie in unmanaged memory.</param>
    /// <exception cref="ModelFileException">There is no such tensor, or the file was cut since it was opened.</exception>
    public void ReadFloat32(string name, Span<float> destination)
    {
        SafetensorsEntry entry = Entry(name);
        if (destination.Length != entry.Shape.Count)
        {
            throw new ArgumentException($"tensor \"{name}\" has {entry.Shape.Count} elements, the destination {destination.Length}", nameof(destination));
        }

        ReadFloat32(name, 0, destination);
    }

    /// <summary>Reads some consecutive elements of a tensor as single precision.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">Flat index of the first element.</param>
    /// <param name="destination">As many elements as are wanted; may lie in unmanaged memory.</param>
    /// <exception cref="ModelFileException">There is no such tensor, or the file was cut since it was opened.</exception>
    public void ReadFloat32(string name, long first, Span<float> destination)
    {
        SafetensorsEntry entry = Entry(name);
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first, entry.Shape.Count - destination.Length);
        int size = entry.Type.Size(), chunk = ChunkBytes / size;
        byte[]? buffer = entry.Type == ElementType.F32 ? null : ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            for (int start = 0; start < destination.Length; start += chunk)
            {
                Span<float> part = destination.Slice(start, Math.Min(chunk, destination.Length - start));
                Span<byte> bytes = buffer is null ? MemoryMarshal.AsBytes(part) : buffer.AsSpan(0, part.Length * size);
                ReadBytes(entry, (first + start) * size, bytes);
                if (buffer is not null)
                {
                    ElementConversion.ToFloat32(entry.Type, bytes, part);
                }
            }
        }
        finally
        {
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    /// <summary>Whether another open file holds the same bytes. Reads both, unless their lengths differ.</summary>
    /// <exception cref="ModelFileException">One of them cannot be read.</exception>
    internal bool HasContentOf(SafetensorsFile other)
    {
        byte[] mine = ArrayPool<byte>.Shared.Rent(ChunkBytes), theirs = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            long length = RandomAccess.GetLength(_handle);
            bool same = length == RandomAccess.GetLength(other._handle);
            for (long position = 0; same && position < length; position += ChunkBytes)
            {
                int count = (int)Math.Min(ChunkBytes, length - position);
                ReadExactly(Path, _handle, position, mine.AsSpan(0, count));
                ReadExactly(other.Path, other._handle, position, theirs.AsSpan(0, count));
                same = mine.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, count));
            }

            return same;
        }
        catch (IOException e)
        {
            throw new ModelFileException($"{other.Path}: cannot be read: {e.Message}", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(mine);
            ArrayPool<byte>.Shared.Return(theirs);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    private SafetensorsEntry Entry(string name) =>
        _entries.TryGetValue(name, out SafetensorsEntry? entry) ? entry : throw new ModelFileException($"{Path}: there is no tensor \"{name}\"");

    private void ReadBytes(SafetensorsEntry entry, long start, Span<byte> destination)
    {
        try
        {
            ReadExactly(Path, _handle, entry.Offset + start, destination);
        }
        catch (IOException e)
        {
            throw new ModelFileException($"{Path}: tensor \"{entry.Name}\" cannot be read: {e.Message}", e);
        }
    }

    private static void ReadExactly(string path, SafeFileHandle handle, long position, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(handle, destination, position);
            if (read == 0)
            {
                throw new ModelFileException($"{path}: the file ends at byte {position}, {destination.Length} bytes too early; was it changed while in use?");
            }

            position += read;
            destination = destination[read..];
        }
    }
}
