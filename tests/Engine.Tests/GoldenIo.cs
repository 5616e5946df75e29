using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace KernelAD.Engine.Tests;

/// <summary>Reads golden tensors without the engine's own reader, and the formula values of tests/Fixtures/golden/README.md.</summary>
internal static class GoldenIo
{
    public static T[] Read<T>(string golden, string tensor)
        where T : unmanaged
    {
        byte[] file = File.ReadAllBytes(Fixture.File(Path.Combine("golden", golden)));
        int header = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        JsonNode entry = JsonNode.Parse(file.AsSpan(8, header))![tensor] ?? throw new KeyNotFoundException(tensor);
        int begin = (int)entry["data_offsets"]![0]! + 8 + header;
        int end = (int)entry["data_offsets"]![1]! + 8 + header;
        return MemoryMarshal.Cast<byte, T>(file.AsSpan(begin..end)).ToArray();
    }

    public static double[] Formula(string name, int count)
    {
        ulong hash = Encoding.UTF8.GetBytes(name).Aggregate(0xcbf29ce484222325UL, (h, b) => (h ^ b) * 0x100000001b3UL);
        return [.. Enumerable.Range(1, count).Select(i =>
        {
            ulong z = hash + ((ulong)i * 0x9E3779B97F4A7C15UL);
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            return (((z ^ (z >> 31)) >> 40) * Math.ScaleB(1, -24) * 2) - 1;
        })];
    }
}
