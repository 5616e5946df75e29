using System.Text.Json;
using KernelAD.Backends.Cuda;
using KernelAD.Cli.Output;
using KernelAD.Emulator;
using Spectre.Console;

namespace KernelAD.Cli;

/// <summary>
/// What one inference does on the emulated device, kernel by kernel: counters that are the same on every machine, and a roofline estimate for a real one.
/// </summary>
internal sealed class EmulatedProfile
{
    private const int SectorBytes = 32;

    private readonly IReadOnlyList<LaunchRecord> _launches;
    private readonly GpuModel _gpu;
    private readonly Precision _precision;

    /// <param name="launches">The launches of one inference.</param>
    /// <param name="gpu">The GPU to estimate for.</param>
    /// <param name="precision">The plan's arithmetic.</param>
    public EmulatedProfile(IReadOnlyList<LaunchRecord> launches, GpuModel gpu, Precision precision)
    {
        _launches = launches;
        _gpu = gpu;
        _precision = precision;
    }

    /// <summary>Bytes of the 32-byte sectors that global accesses touch: what caches and memory have to deliver.</summary>
    public static double GlobalBytes(LaunchCounters counters) =>
        (double)SectorBytes * (counters[CounterNames.GlobalLoadSectors] + counters[CounterNames.GlobalStoreSectors]);

    /// <summary>Prints a line per kernel, the most expensive ones first, and the sum.</summary>
    public void PrintTable()
    {
        Table table = Human.Table(
            "kernel", ">launches", ">µs est.", ">share", ">blocks", ">threads", ">registers", ">shared", ">occupancy", ">Minst", ">FFMA", ">mma", ">MFLOP", ">MB global", ">FLOP/B", ">sect/ld",
            ">sect/st", ">conflicts");
        foreach (KernelSum kernel in Kernels())
        {
            LaunchCounters c = kernel.Counters;
            table.Row(
                kernel.Name,
                $"{kernel.Launches}",
                $"{kernel.Seconds * 1e6:F1}",
                $"{100 * kernel.Seconds / TotalSeconds:F1} %",
                $"{kernel.Blocks}",
                $"{kernel.Threads}",
                $"{kernel.Registers}",
                $"{kernel.SharedBytes}",
                $"{100 * kernel.Occupancy:F0} %",
                $"{c[CounterNames.Instructions] / 1e6:F3}",
                $"{100 * kernel.FfmaShare:F1} %",
                $"{100 * kernel.TensorShare:F1} %",
                $"{kernel.Flops / 1e6:F2}",
                $"{GlobalBytes(c) / 1e6:F2}",
                $"{kernel.Flops / Math.Max(GlobalBytes(c), 1):F1}",
                Ratio(c, CounterNames.GlobalLoadSectors, CounterNames.GlobalLoadRequests, CounterNames.AsyncCopies),
                Ratio(c, CounterNames.GlobalStoreSectors, CounterNames.GlobalStoreRequests),
                $"{c[CounterNames.SharedLoadConflicts] + c[CounterNames.SharedStoreConflicts]}");
        }

        Human.Print(table);
        LaunchCounters sum = _launches.Aggregate(LaunchCounters.None, (total, launch) => total + launch.Counters);
        Human.Line(
            $"{_launches.Count} launches, {sum[CounterNames.Instructions] / 1e6:F1} M warp instructions, {(sum[CounterNames.Flops] + sum[CounterNames.TensorOperations]) / 1e9:F3} GFLOP, "
            + $"{GlobalBytes(sum) / 1e6:F1} MB of global accesses; emulated in {_launches.Sum(l => l.EmulationTime.TotalSeconds):F1} s");
        Human.Line(
            $"µs est.: least time on {_gpu.Name} ({_gpu.Fp32} TFLOP/s fp32, {_gpu.Fp16} fp16, {_gpu.Bandwidth} GB/s), no access cached, without launch overhead; in all {TotalSeconds * 1e6:F1} µs. "
            + "An estimate, not a measurement.");
    }

    /// <summary>Prints an object per kernel, with every counter under its name.</summary>
    public void PrintJson()
    {
        foreach (KernelSum kernel in Kernels())
        {
            JsonLine.Print(json =>
            {
                json.WriteString("kernel", kernel.Name);
                json.WriteNumber("launches", kernel.Launches);
                json.WriteNumber("blocks", kernel.Blocks);
                json.WriteNumber("threads", kernel.Threads);
                json.WriteNumber("registers", kernel.Registers);
                json.WriteNumber("shared_bytes", kernel.SharedBytes);
                json.WriteNumber("occupancy", kernel.Occupancy);
                json.WriteNumber("flops", kernel.Flops);
                json.WriteNumber("global_bytes", GlobalBytes(kernel.Counters));
                json.WriteString("estimated_for", _gpu.Name);
                json.WriteNumber("estimated_seconds", kernel.Seconds);
                WriteCounters(json, kernel.Counters);
            });
        }
    }

    private double TotalSeconds => _launches.Sum(l => _gpu.RooflineSeconds(l.Counters, _precision));

    private static void WriteCounters(Utf8JsonWriter json, LaunchCounters counters)
    {
        json.WriteStartObject("counters");
        foreach ((string name, long value) in counters.Values)
        {
            json.WriteNumber(name, value);
        }

        json.WriteEndObject();
    }

    private static string Ratio(LaunchCounters counters, string sectors, params ReadOnlySpan<string> requests)
    {
        long all = 0;
        foreach (string request in requests)
        {
            all += counters[request];
        }

        return all == 0 ? "" : $"{(double)counters[sectors] / all:F1}";
    }

    private IEnumerable<KernelSum> Kernels() => _launches.GroupBy(l => l.Kernel, StringComparer.Ordinal).Select(g =>
    {
        LaunchRecord[] launches = [.. g];
        int threads = launches[0].Block.X, shared = launches.Max(l => l.StaticSharedMemory + l.DynamicSharedMemory);
        int registers = KernelLibrary.Embedded[g.Key].Registers;
        return new KernelSum(
            g.Key,
            launches.Length,
            launches.Sum(l => (long)l.Grid.X * l.Grid.Y * l.Grid.Z),
            threads,
            registers,
            shared,
            _gpu.Occupancy(threads, registers, shared),
            launches.Sum(l => _gpu.RooflineSeconds(l.Counters, _precision)),
            launches.Aggregate(LaunchCounters.None, (sum, launch) => sum + launch.Counters));
    }).OrderByDescending(k => k.Seconds);

    /// <summary>All launches of a kernel.</summary>
    private sealed record KernelSum(
        string Name, int Launches, long Blocks, int Threads, int Registers, int SharedBytes, double Occupancy, double Seconds, LaunchCounters Counters)
    {
        public double Flops => Counters[CounterNames.Flops] + Counters[CounterNames.TensorOperations];

        public double FfmaShare => (double)Counters[CounterNames.ThreadFfma] / Math.Max(Counters[CounterNames.ThreadInstructions], 1);

        public double TensorShare => (double)Counters[CounterNames.TensorPipe] / Math.Max(Counters[CounterNames.Instructions], 1);
    }
}
