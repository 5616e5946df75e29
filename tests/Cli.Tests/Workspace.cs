using System.Buffers.Binary;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Cli.Tests;

/// <summary>A folder of its own for a test's files, deleted at the end.</summary>
internal sealed class Workspace : IDisposable
{
    public Workspace() => Directory.CreateDirectory(Folder);

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "kernelad-cli-tests-" + Guid.NewGuid().ToString("N"));

    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>Every file below the folder, relative, in ordinal order.</summary>
    public string[] Files =>
        [.. Directory.GetFiles(Folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(Folder, f).Replace('\\', '/')).Order(StringComparer.Ordinal)];

    public string Save(string name, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(this[name])!);
        File.WriteAllBytes(this[name], content);
        return this[name];
    }

    public string Save(string name, Tensor tensor, string tensorName = "input")
    {
        SafetensorsWriter.Write(this[name], [TensorSource.Of(tensorName, tensor)], new Dictionary<string, string>());
        return this[name];
    }

    /// <summary>A sample picture under another name.</summary>
    public string Picture(string name, string sample = "good/f03_0010_2624.png") => Save(name, File.ReadAllBytes(Kernelad.Sample("test", sample)));

    /// <summary>A PNG file that ends soon after its header, for a picture of any extent.</summary>
    public string PictureHeader(string name, int width, int height)
    {
        byte[] file = [0x89, .. "PNG\r\n\x1a\n"u8, 0, 0, 0, 13, .. "IHDR"u8, 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, .. "IDAT"u8, 0x78, 0x9C];
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(16), width);
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(20), height);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(29), Crc32(file.AsSpan(12, 17)));
        return Save(name, file);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~0u;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
            }
        }

        return ~crc;
    }
}
