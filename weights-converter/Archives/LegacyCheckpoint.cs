using System.Buffers.Binary;
using KernelAD.WeightsConverter.Pickle;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.WeightsConverter.Archives;

/// <summary>
/// The format before PyTorch 1.6: five pickles (a magic number, a protocol number, facts about the machine, the object, the list of storage keys),
/// then for every key, in the list's order, an 8-byte element count and the elements.
/// </summary>
internal sealed class LegacyCheckpoint(string path, SafeFileHandle handle, long length) : CheckpointFile(path, handle, length)
{
    private readonly Dictionary<string, long> _positions = new(StringComparer.Ordinal);

    protected override void Load()
    {
        using FileSlice stream = Slice(0, FileLength);
        PickleInput input = new(stream, Math.Min(FileLength, PickleMachine.MaxBytes));
        if (!IsLegacyMagic(Next(input)))
        {
            throw new PickleException("this is a pickle, but torch.save did not write it. Save the state_dict with torch.save");
        }

        if (Next(input) is not 1001L)
        {
            throw new PickleException("an unknown version of the format before PyTorch 1.6: load the file with PyTorch and save it again");
        }

        if (Next(input) is PickleDict system && system["little_endian"] is false)
        {
            throw new PickleException("the file was written on a big-endian machine: load it with PyTorch on a little-endian one and save it again");
        }

        Root = PickleMachine.Load(input, ResolveStorage);
        PickleList keys = Next(input) as PickleList ?? throw new PickleException("the list of storage keys is missing: the file is damaged");
        Locate(keys, input.Position);
    }

    protected override void ReadStorageBytes(StorageRef storage, long offset, Span<byte> destination)
    {
        if (!_positions.TryGetValue(storage.Key, out long position))
        {
            throw new ArchiveException("it is not in the file, which is damaged");
        }

        using FileSlice slice = Slice(position + offset, destination.Length);
        slice.ReadExactly(destination);
    }

    private static object? Next(PickleInput input) => PickleMachine.Load(input, PickleMachine.NoPersistentIds);

    private void Locate(PickleList keys, long position)
    {
        Span<byte> count = stackalloc byte[8];
        foreach (object? item in keys.Items)
        {
            if (item is not string key || !Storages.TryGetValue(key, out StorageRef? storage) || !_positions.TryAdd(key, position + count.Length))
            {
                throw new PickleException("the list of storage keys does not fit the object: the file is damaged");
            }

            Int128 end = position + count.Length + ByteCount(storage);
            if (end > FileLength)
            {
                throw new PickleException(
                    $"storage \"{key}\" of {storage.Count} elements ends at byte {end}, but the file has only {FileLength}: it is cut short");
            }

            using (FileSlice slice = Slice(position, count.Length))
            {
                slice.ReadExactly(count);
            }

            if (BinaryPrimitives.ReadInt64LittleEndian(count) != storage.Count)
            {
                throw new PickleException($"storage \"{key}\" is declared with {storage.Count} elements, but the file says {BinaryPrimitives.ReadInt64LittleEndian(count)}: it is damaged");
            }

            position = (long)end;
        }
    }
}
