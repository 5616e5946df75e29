using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using KernelAD.Tensors;

namespace KernelAD.Weights;

/// <summary>A tensor to be written: its description and a callback that writes its bytes, little-endian and row-major, when its turn comes.</summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Its extents.</param>
/// <param name="Write">Writes exactly <see cref="ByteCount"/> bytes.</param>
public sealed record TensorSource(string Name, ElementType Type, Shape Shape, Action<Stream> Write)
{
    /// <summary>Number of bytes.</summary>
    public long ByteCount => checked(Shape.Count * Type.Size());

    /// <summary>A source of values in memory.</summary>
    public static TensorSource Of(string name, Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return new TensorSource(name, ElementType.F32, tensor.Shape, stream =>
        {
            const int Chunk = 1 << 20;
            for (int start = 0; start < tensor.Data.Length; start += Chunk)
            {
                stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(
                    tensor.Data.AsSpan(start, Math.Min(Chunk, tensor.Data.Length - start))));
            }
        });
    }
}

/// <summary>
/// Writes safetensors files. The file appears under its name complete or not at all: it is written to a temporary file in the same folder, flushed
/// to the disk, and renamed. Equal input gives equal bytes.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Writes a file, replacing an older one of that name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">The tensors. Wider element types come first, which keeps everything aligned; otherwise their order is kept.</param>
    /// <param name="metadata">Metadata, written in ordinal order of the keys.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <exception cref="OutputException">The folder is missing or not writable, or the disk is full.</exception>
    public static void Write(
        string path, IReadOnlyList<TensorSource> tensors, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation = default) =>
        Write(path, tensors, metadata, AtomicFile.CreateNew, cancellation);

    /// <summary>As the public overload, with a hook for a disk that misbehaves.</summary>
    internal static void Write(
        string path,
        IReadOnlyList<TensorSource> tensors,
        IReadOnlyDictionary<string, string> metadata,
        Func<string, Stream> create,
        CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(metadata);
        TensorSource[] ordered = [.. tensors.OrderByDescending(t => t.Type.Size())];
        byte[] header = Header(ordered, metadata);
        AtomicFile.Write(path, TotalBytes(ordered, header), create, file => WriteContent(file, header, ordered, cancellation));
    }

    private static long TotalBytes(TensorSource[] tensors, byte[] header) => header.Length + tensors.Sum(t => t.ByteCount);

    private static void WriteContent(Stream file, byte[] header, TensorSource[] tensors, CancellationToken cancellation)
    {
        file.Write(header);
        CountingStream counter = new(file);
        foreach (TensorSource tensor in tensors)
        {
            cancellation.ThrowIfCancellationRequested();
            counter.Count = 0;
            tensor.Write(counter);
            if (counter.Count != tensor.ByteCount)
            {
                throw new InvalidOperationException($"the source of tensor \"{tensor.Name}\" wrote {counter.Count} bytes instead of {tensor.ByteCount}");
            }
        }
    }

    /// <summary>The length prefix and the JSON header, padded with spaces so that the data begin at a multiple of 8.</summary>
    private static byte[] Header(TensorSource[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in metadata.OrderBy(p => p.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            HashSet<string> names = new(StringComparer.Ordinal) { "__metadata__" };
            long offset = 0;
            foreach (TensorSource tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                {
                    throw new InvalidOperationException($"two tensors are called \"{tensor.Name}\"");
                }

                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", SafetensorsHeader.NameOf(tensor.Type));
                json.WriteStartArray("shape");
                foreach (int extent in tensor.Shape.Extents)
                {
                    json.WriteNumberValue(extent);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.ByteCount);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        int padded = (buffer.WrittenCount + 7) / 8 * 8;
        byte[] header = new byte[8 + padded];
        BinaryPrimitives.WriteInt64LittleEndian(header, padded);
        buffer.WrittenSpan.CopyTo(header.AsSpan(8));
        header.AsSpan(8 + buffer.WrittenCount).Fill((byte)' ');
        return header;
    }

    /// <summary>Passes bytes on and counts them.</summary>
    private sealed class CountingStream(Stream inner) : Stream
    {
        public long Count { get; set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            inner.Write(buffer);
            Count += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
