using System.Text.Json;
using KernelAD.Evaluation.Metrics;
using KernelAD.Weights;

namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>A case of tests/Fixtures/metrics, or of the folder "metrics" below the one that KERNELAD_GOLDEN names.</summary>
internal sealed class MetricsCase(string folder)
{
    private readonly JsonElement _case = JsonDocument.Parse(Text(folder)).RootElement;

    public string TensorFile => Path.Combine(folder, "io.safetensors");

    /// <summary>The names of all cases with maps.</summary>
    public static IEnumerable<TestCaseData> All()
    {
        string?[] roots = [Path.Combine(Fixture.Folder, "metrics"), Environment.GetEnvironmentVariable("KERNELAD_GOLDEN") is { Length: > 0 } other ? Path.Combine(other, "metrics") : null];
        foreach (string root in roots.OfType<string>().Where(Directory.Exists))
        {
            foreach (string folder in Directory.GetDirectories(root).Order(StringComparer.Ordinal))
            {
                // The cases of calibration and of mask sizes have tests of their own.
                if (new MetricsCase(folder)._case.TryGetProperty("expected", out JsonElement expected) && expected.TryGetProperty("kernelad_default", out _))
                {
                    yield return new TestCaseData(folder).SetArgDisplayNames($"{(root == roots[0] ? "" : "KERNELAD_GOLDEN/")}{Path.GetFileName(folder)}");
                }
            }
        }
    }

    public MetricsResult Compute(MetricVariant variant, int threads = 1)
    {
        using MetricsFile file = MetricsFile.Open(TensorFile);
        return file.Compute(variant, threads: threads);
    }

    /// <summary>A block's values; those that its code could not compute are NaN.</summary>
    public IReadOnlyDictionary<string, double> Expected(string source) => _case.GetProperty("expected").GetProperty(source).EnumerateObject()
        .ToDictionary(p => p.Name, p => p.Value.ValueKind == JsonValueKind.Number ? p.Value.GetDouble() : double.NaN);

    public T[] Read<T>(string tensor)
        where T : unmanaged
    {
        using SafetensorsFile file = SafetensorsFile.Open(TensorFile);
        T[] values = new T[file.Entries[tensor].Shape.Count];
        file.Read(tensor, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>The case's description; Python writes NaN where JSON has nothing.</summary>
    private static string Text(string folder) => File.ReadAllText(Path.Combine(folder, "case.json")).Replace(" NaN", " null", StringComparison.Ordinal);

    public (int Count, int Height, int Width) Shape
    {
        get
        {
            using SafetensorsFile file = SafetensorsFile.Open(TensorFile);
            KernelAD.Tensors.Shape shape = file.Entries["maps"].Shape;
            return (shape[0], shape[1], shape[2]);
        }
    }
}
