using System.IO.Compression;
using System.Text;
using System.Text.Json;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler;

/// <summary>
/// The file that the engine embeds: <c>manifest.json</c> and <c>sm_XX/NAME.ptx</c>. The same kernels give the same bytes: entries are in order and carry no
/// time.
/// </summary>
internal static class KernelArchive
{
    // The earliest time that a zip file can state.
    private static readonly DateTimeOffset NoTime = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Writes the archive.</summary>
    /// <param name="path">Where to.</param>
    /// <param name="texts">Every kernel's PTX for every target it has.</param>
    public static void Write(string path, IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> texts)
    {
        using FileStream file = File.Create(path);
        using ZipArchive archive = new(file, ZipArchiveMode.Create);
        Add(archive, "manifest.json", Manifest(texts));
        foreach (((string kernel, KernelTarget target), CompiledKernel compiled) in texts.OrderBy(t => t.Key.Target).ThenBy(t => t.Key.Kernel, StringComparer.Ordinal))
        {
            Add(archive, $"sm_{(int)target}/{kernel}.ptx", compiled.Ptx);
        }
    }

    private static void Add(ZipArchive archive, string name, string text)
    {
        ZipArchiveEntry entry = archive.CreateEntry(name, CompressionLevel.SmallestSize);
        entry.LastWriteTime = NoTime;
        using Stream stream = entry.Open();
        stream.Write(Encoding.UTF8.GetBytes(text));
    }

    private static string Manifest(IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> texts)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartArray("kernels");
            foreach (KernelDefinition kernel in KernelCatalog.All)
            {
                json.WriteStartObject();
                json.WriteString("name", kernel.Name);
                json.WriteNumber("threads", kernel.Threads);
                json.WriteNumber("min_blocks", kernel.MinBlocks);
                json.WriteNumber("shared_bytes", kernel.SharedBytes);
                json.WriteNumber("registers", kernel.Registers);
                json.WriteNumber("parameter_bytes", kernel.Methods.Keys.Select(t => texts[(kernel.Name, t)].ParameterBytes).Distinct().Single());
                json.WriteStartArray("targets");
                foreach (KernelTarget target in kernel.Methods.Keys.Order())
                {
                    json.WriteStringValue($"sm_{(int)target}");
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }
}

/// <summary>A kernel's PTX and the size of its one parameter.</summary>
internal sealed record CompiledKernel(string Ptx, int ParameterBytes);
