using System.IO.Compression;
using System.Text;
using System.Text.Json;
using KernelAD.Interop;

namespace KernelAD.Backends.Cuda;

/// <summary>What a launch has to know of a kernel.</summary>
/// <param name="Name">The entry's name.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="MinBlocks">Blocks that fit a multiprocessor by their registers.</param>
/// <param name="SharedBytes">Dynamic shared memory of a block in bytes; 0 where the launch decides.</param>
/// <param name="Registers">Most registers of a thread, on any architecture.</param>
/// <param name="ParameterBytes">Size of its argument structure.</param>
/// <param name="Targets">PTX targets that it is there for, lowest first.</param>
public sealed record KernelInfo(
    string Name, int Threads, int MinBlocks, int SharedBytes, int Registers, int ParameterBytes, IReadOnlyList<string> Targets);

/// <summary>The kernels that this build carries as PTX, embedded by the build as <c>KernelAD.Kernels.zip</c>. Thread-safe.</summary>
public sealed class KernelLibrary
{
    private const string ResourceName = "KernelAD.Kernels.zip";

    private static readonly Lazy<KernelLibrary> Shared = new(() => new KernelLibrary());

    private readonly Dictionary<string, KernelInfo> _kernels = new(StringComparer.Ordinal);

    private KernelLibrary()
    {
        using ZipArchive archive = Open();
        using Stream stream = archive.GetEntry("manifest.json")!.Open();
        using JsonDocument manifest = JsonDocument.Parse(stream);
        foreach (JsonElement kernel in manifest.RootElement.GetProperty("kernels").EnumerateArray())
        {
            string name = kernel.GetProperty("name").GetString()!;
            _kernels.Add(name, new KernelInfo(
                name,
                kernel.GetProperty("threads").GetInt32(),
                kernel.GetProperty("min_blocks").GetInt32(),
                kernel.GetProperty("shared_bytes").GetInt32(),
                kernel.GetProperty("registers").GetInt32(),
                kernel.GetProperty("parameter_bytes").GetInt32(),
                [.. kernel.GetProperty("targets").EnumerateArray().Select(t => t.GetString()!)]));
        }
    }

    /// <summary>The kernels of this build.</summary>
    public static KernelLibrary Embedded => Shared.Value;

    /// <summary>All kernels, by name.</summary>
    public IReadOnlyDictionary<string, KernelInfo> Kernels => _kernels;

    /// <summary>A kernel.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="KeyNotFoundException">There is none of that name: the engine and its kernels are not from the same build.</exception>
    public KernelInfo this[string name] => _kernels[name];

    /// <summary>The PTX targets, lowest first.</summary>
    public IReadOnlyList<string> Targets => [.. _kernels.Values.SelectMany(k => k.Targets).Distinct().OrderBy(Number)];

    /// <summary>A kernel's PTX.</summary>
    /// <param name="name">The kernel.</param>
    /// <param name="target">The target, e.g. <c>sm_80</c>.</param>
    /// <exception cref="DeviceNotAvailableException">The kernel needs a newer one.</exception>
    public string Ptx(string name, string target)
    {
        if (!this[name].Targets.Contains(target))
        {
            throw new DeviceNotAvailableException($"kernel {name} needs {this[name].Targets[0]} or newer; this device runs {target}");
        }

        using ZipArchive archive = Open();
        using StreamReader reader = new(archive.GetEntry($"{target}/{name}.ptx")!.Open(), Encoding.UTF8);
        return reader.ReadToEnd();
    }

    /// <summary>The best target that a device can run.</summary>
    /// <param name="device">The device.</param>
    /// <exception cref="DeviceNotAvailableException">The device is older than all of them.</exception>
    public string TargetFor(CudaDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        int architecture = (10 * device.ComputeMajor) + device.ComputeMinor;
        return Targets.LastOrDefault(t => Number(t) <= architecture) ?? throw new DeviceNotAvailableException(
            $"CUDA device {device.Ordinal}, {device.Name}, is of architecture {device.Architecture}; this build's kernels need {Targets[0]} or newer: use --device cpu");
    }

    private static int Number(string target) => int.Parse(target.AsSpan("sm_".Length), provider: System.Globalization.CultureInfo.InvariantCulture);

    private static ZipArchive Open() => new(typeof(KernelLibrary).Assembly.GetManifestResourceStream(ResourceName)!, ZipArchiveMode.Read);
}
