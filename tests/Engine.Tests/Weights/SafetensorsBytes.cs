using System.Buffers.Binary;
using System.Text;

namespace KernelAD.Engine.Tests.Weights;

/// <summary>safetensors files spelled out by hand, right and wrong ones.</summary>
internal static class SafetensorsBytes
{
    /// <summary>A file of this header and these data.</summary>
    public static byte[] File(string header, params byte[] data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + json.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
        json.CopyTo(file.AsSpan(8));
        data.CopyTo(file.AsSpan(8 + json.Length));
        return file;
    }

    /// <summary>A header entry.</summary>
    public static string Entry(string name, string type, string shape, long begin, long end) =>
        $"\"{name}\":{{\"dtype\":\"{type}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}";
}

/// <summary>A folder of its own for a test's files, deleted at the end.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder() => Directory.CreateDirectory(Path);

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "kernelad-tests-" + Guid.NewGuid().ToString("N"));

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Save(byte[] content, string name = "x.safetensors")
    {
        System.IO.File.WriteAllBytes(File(name), content);
        return File(name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
