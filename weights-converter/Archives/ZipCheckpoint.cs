using System.IO.Compression;
using System.Text;
using KernelAD.WeightsConverter.Pickle;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.WeightsConverter.Archives;

/// <summary>
/// The format since PyTorch 1.6: a zip archive with, under one folder of any name, <c>data.pkl</c>, <c>byteorder</c> (newer versions) and one file
/// <c>data/KEY</c> per storage. PyTorch stores uncompressed; archives that were packed again with compression are read too, within bounds.
/// </summary>
internal sealed class ZipCheckpoint(string path, SafeFileHandle handle, long length) : CheckpointFile(path, handle, length)
{
    private readonly Dictionary<string, long> _checked = new(StringComparer.Ordinal);
    private Dictionary<string, ZipEntry> _entries = [];
    private string _folder = "";
    private long _inflateBudget = (256L << 20) + (64 * length);

    protected override void Load()
    {
        _entries = ZipDirectory.Read(Handle, FileLength);
        RejectBombs();
        ZipEntry pickle = FindPickle();
        if (_entries.TryGetValue(_folder + "byteorder", out ZipEntry? order) && Encoding.ASCII.GetString(ReadSmall(order, 16)) is not "little")
        {
            throw new ArchiveException("it was written on a big-endian machine: load it with PyTorch on a little-endian one and save it again");
        }

        if (pickle.Size > PickleMachine.MaxBytes)
        {
            throw new ArchiveException(
                $"its data.pkl has {pickle.Size:N0} bytes, more than {PickleMachine.MaxBytes:N0}: this is not a checkpoint of weights, whose tensors lie outside the pickle");
        }

        CheckContent(pickle);
        using Stream stream = OpenEntry(pickle);
        Root = PickleMachine.Load(new PickleInput(stream, pickle.Size), ResolveStorage);
    }

    protected override void ReadStorageBytes(StorageRef storage, long offset, Span<byte> destination)
    {
        if (!_entries.TryGetValue($"{_folder}data/{storage.Key}", out ZipEntry? entry))
        {
            throw new ArchiveException("it is not in the archive, which is incomplete");
        }

        if (ByteCount(storage) != entry.Size)
        {
            throw new ArchiveException($"it is declared with {storage.Count} elements of {storage.Type.ElementSize} bytes, but has {entry.Size} bytes: the file is damaged");
        }

        CheckContent(entry);
        if (entry.Deflated)
        {
            using Stream stream = OpenEntry(entry);
            Skip(stream, offset);
            stream.ReadExactly(destination);
            Spend(offset + destination.Length);
        }
        else
        {
            using FileSlice slice = Slice(_checked[entry.Name] + offset, destination.Length);
            slice.ReadExactly(destination);
        }
    }

    private ZipEntry FindPickle()
    {
        ZipEntry[] pickles = [.. _entries.Values.Where(e => e.Name == "data.pkl" || e.Name.EndsWith("/data.pkl", StringComparison.Ordinal))];
        if (pickles.Length == 0)
        {
            throw new CheckpointException($"{FilePath}: {ForeignFormats.DescribeZip(_entries.Keys)}");
        }

        if (pickles.Length > 1)
        {
            throw new ArchiveException($"it holds several checkpoints ({string.Join(", ", pickles.Take(4).Select(p => $"\"{p.Name}\""))}): unpack it and give one of them");
        }

        _folder = pickles[0].Name[..^"data.pkl".Length];
        if (_entries.ContainsKey(_folder + "constants.pkl") || _entries.Keys.Any(n => n.StartsWith(_folder + "code/", StringComparison.Ordinal)))
        {
            throw new ArchiveException("it is a TorchScript archive (torch.jit.save), a program: give a checkpoint, torch.save(model.state_dict(), path)");
        }

        return pickles[0];
    }

    /// <summary>Entries that overlap, or that decompress to far more than trained weights ever do, are made to fill memory or disk.</summary>
    private void RejectBombs()
    {
        Int128 packed = 0, unpacked = 0;
        foreach (ZipEntry entry in _entries.Values)
        {
            packed += entry.CompressedSize;
            unpacked += entry.Size;
        }

        if (packed > FileLength)
        {
            throw new ArchiveException("its entries overlap: it is damaged or made to do harm");
        }

        if (unpacked > (64L << 20) + (16 * (Int128)FileLength))
        {
            throw new ArchiveException($"its {FileLength:N0} bytes claim to decompress to {unpacked:N0}: no checkpoint does that");
        }
    }

    /// <summary>Compares an entry with its checksum when it is first used, and remembers where its data begin.</summary>
    private void CheckContent(ZipEntry entry)
    {
        if (_checked.ContainsKey(entry.Name))
        {
            return;
        }

        if (entry.Encrypted)
        {
            throw new ArchiveException($"its entry \"{entry.Name}\" is encrypted: unpack it and zip it again without a password");
        }

        long dataOffset = ZipDirectory.DataOffset(Handle, FileLength, entry);
        byte[] buffer = new byte[(int)Math.Min(entry.Size + 1, 1 << 18)];
        uint crc = 0;
        long size = 0;
        using (Stream stream = Open(entry, dataOffset))
        {
            for (int read; size <= entry.Size && (read = stream.Read(buffer)) > 0; size += read)
            {
                crc = Crc32.Append(crc, buffer.AsSpan(0, read));
            }
        }

        Spend(entry.Deflated ? size : 0);
        if (size != entry.Size)
        {
            throw new ArchiveException($"its entry \"{entry.Name}\" does not have the {entry.Size} bytes that it claims: it is damaged");
        }

        // PyTorch writes 0 when it is told not to compute checksums.
        if (entry.Crc != 0 && crc != entry.Crc)
        {
            throw new ArchiveException($"its entry \"{entry.Name}\" has checksum {crc:x8}, expected {entry.Crc:x8}: it is damaged");
        }

        _checked.Add(entry.Name, dataOffset);
    }

    private byte[] ReadSmall(ZipEntry entry, int max)
    {
        CheckContent(entry);
        using Stream stream = OpenEntry(entry);
        byte[] bytes = new byte[(int)Math.Min(entry.Size, max)];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The content of an entry that <see cref="CheckContent"/> has seen.</summary>
    private Stream OpenEntry(ZipEntry entry) => Open(entry, _checked[entry.Name]);

    private Stream Open(ZipEntry entry, long dataOffset)
    {
        FileSlice slice = Slice(dataOffset, entry.CompressedSize);
        return entry.Deflated ? new DeflateStream(slice, CompressionMode.Decompress) : slice;
    }

    /// <summary>Bounds the work that many views of one compressed storage can cause, since each decompresses it from the start.</summary>
    private void Spend(long bytes)
    {
        _inflateBudget -= bytes;
        if (_inflateBudget < 0)
        {
            throw new ArchiveException("decompressing it takes too long: unpack it and zip it again without compression");
        }
    }

    private static void Skip(Stream stream, long count)
    {
        byte[] buffer = new byte[(int)Math.Min(count, 1 << 18)];
        for (long left = count; left > 0;)
        {
            int part = (int)Math.Min(buffer.Length, left);
            stream.ReadExactly(buffer.AsSpan(0, part));
            left -= part;
        }
    }
}
