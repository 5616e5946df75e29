using System.Numerics;
using KernelAD.WeightsConverter.Pickle;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.WeightsConverter.Archives;

/// <summary>
/// A file written by torch.save, open for reading: its pickle evaluated to plain data, its storages left in the file until they are asked for.
/// Two containers exist: a zip archive (PyTorch 1.6 and later) and a sequence of pickles and raw storages (before).
/// </summary>
internal abstract class CheckpointFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly Dictionary<string, StorageRef> _storages = new(StringComparer.Ordinal);

    protected CheckpointFile(string path, SafeFileHandle handle, long length)
    {
        FilePath = path;
        _handle = handle;
        FileLength = length;
    }

    /// <summary>The file's path.</summary>
    public string FilePath { get; }

    /// <summary>Its length in bytes.</summary>
    public long FileLength { get; }

    /// <summary>What torch.save was given.</summary>
    public object? Root { get; protected set; }

    /// <summary>Storages that the pickle refers to, by key.</summary>
    protected IReadOnlyDictionary<string, StorageRef> Storages => _storages;

    /// <summary>Opens a file of either container.</summary>
    /// <exception cref="CheckpointException">It cannot be read, is damaged, or is something else; the message says what.</exception>
    public static CheckpointFile Open(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path);
            long length = RandomAccess.GetLength(handle);
            byte[] head = new byte[512];
            using (FileSlice slice = new(handle, 0, length))
            {
                head = head[..slice.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
            }

            CheckpointFile file;
            if (head.AsSpan().StartsWith("PK\x03\x04"u8))
            {
                ZipCheckpoint zip = new(path, handle, length);
                handle = null;
                file = zip;
            }
            else if (head is [0x80, ..])
            {
                LegacyCheckpoint legacy = new(path, handle, length);
                handle = null;
                file = legacy;
            }
            else
            {
                throw new CheckpointException($"{path}: {ForeignFormats.Describe(head)}");
            }

            try
            {
                file.Load();
            }
            catch
            {
                file.Dispose();
                throw;
            }

            return file;
        }
        catch (Exception e) when (e is PickleException or ArchiveException or InvalidDataException)
        {
            throw new CheckpointException($"{path}: {e.Message}. A damaged file has to be downloaded or copied again.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
        finally
        {
            handle?.Dispose();
        }
    }

    /// <summary>Reads bytes of a storage.</summary>
    /// <param name="storage">A storage of this file.</param>
    /// <param name="offset">First byte, within the storage.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <exception cref="CheckpointException">The storage is missing, shorter than declared, or damaged.</exception>
    public void ReadStorage(StorageRef storage, long offset, Span<byte> destination)
    {
        try
        {
            ReadStorageBytes(storage, offset, destination);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or ArchiveException)
        {
            throw new CheckpointException($"{FilePath}: storage \"{storage.Key}\" cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>Reads everything but the storages.</summary>
    protected abstract void Load();

    /// <inheritdoc cref="ReadStorage"/>
    protected abstract void ReadStorageBytes(StorageRef storage, long offset, Span<byte> destination);

    /// <summary>A range of the file as a stream.</summary>
    protected FileSlice Slice(long start, long length) => new(_handle, start, length);

    /// <summary>The handle, for positioned reads.</summary>
    protected SafeFileHandle Handle => _handle;

    /// <summary>Resolves a persistent id: ("storage", class, key, location, element count[, view]). The location (a device) is of no interest.</summary>
    protected StorageRef ResolveStorage(PickleTuple id)
    {
        if (id.Items is ["module", ..])
        {
            throw new PickleException("the file holds a whole pickled module; save its state_dict: torch.save(model.state_dict(), path)");
        }

        if (id.Items is not ["storage", PickleGlobal { Kind: GlobalKind.Storage, Storage: StorageType type }, object keyValue, _, long count, ..]
            || (keyValue as string ?? (keyValue as long?)?.ToString(System.Globalization.CultureInfo.InvariantCulture)) is not string key
            || count < 0)
        {
            throw new PickleException("a storage reference that PyTorch does not write: the file is damaged");
        }

        if (id.Items is [_, _, _, _, _, not null, ..])
        {
            throw new PickleException("the file uses storage views of very old PyTorch versions: load it with PyTorch and save it again");
        }

        if (_storages.TryGetValue(key, out StorageRef? known))
        {
            return known.Type == type && known.Count == count
                ? known
                : throw new PickleException($"storage \"{key}\" is described in two different ways: the file is damaged");
        }

        StorageRef storage = new(key, type, count);
        _storages.Add(key, storage);
        return storage;
    }

    /// <summary>Bytes that a storage takes, which may be more than any file has.</summary>
    protected static Int128 ByteCount(StorageRef storage) => (Int128)storage.Count * storage.Type.ElementSize;

    /// <summary>Whether a value is the number that begins a legacy file.</summary>
    protected static bool IsLegacyMagic(object? value) => value is BigInteger magic && magic == LegacyMagic;

    private static readonly BigInteger LegacyMagic = BigInteger.Parse("01950a86a20f9469cfc6c", System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
}
