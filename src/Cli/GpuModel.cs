using KernelAD.Emulator;

namespace KernelAD.Cli;

/// <summary>
/// A GPU's published figures, for estimates. Dense rates at boost clock, tensor cores accumulating in fp32; sources are NVIDIA's data sheets.
/// </summary>
/// <param name="Key">The name on the command line.</param>
/// <param name="Name">The product's name.</param>
/// <param name="Architecture">Its architecture.</param>
/// <param name="Multiprocessors">How many multiprocessors it has.</param>
/// <param name="Fp32">TFLOP/s of FFMA.</param>
/// <param name="Fp16">TFLOP/s of fp16 on tensor cores.</param>
/// <param name="Tf32">TFLOP/s of tf32 on tensor cores; 0 where there are none.</param>
/// <param name="Bandwidth">GB/s of its memory.</param>
/// <param name="SharedBytes">Shared memory of a multiprocessor in bytes.</param>
/// <param name="Warps">Warps that a multiprocessor holds.</param>
/// <param name="Blocks">Blocks that a multiprocessor holds.</param>
internal sealed record GpuModel(
    string Key,
    string Name,
    string Architecture,
    int Multiprocessors,
    double Fp32,
    double Fp16,
    double Tf32,
    double Bandwidth,
    int SharedBytes,
    int Warps,
    int Blocks)
{
    private const int Registers = 65536;
    private const int ReservedSharedBytes = 1024;

    /// <summary>The GPUs that estimates are made for.</summary>
    public static IReadOnlyList<GpuModel> All { get; } =
    [
        new("orin", "Jetson AGX Orin", "sm_87", 16, 5.3, 42.5, 21.2, 205, 164 << 10, 48, 16),
        new("t4", "Tesla T4", "sm_75", 40, 8.1, 65, 0, 320, 64 << 10, 32, 16),
        new("a100", "A100 SXM 40 GB", "sm_80", 108, 19.5, 312, 156, 1555, 164 << 10, 64, 32),
        new("4090", "GeForce RTX 4090", "sm_89", 128, 82.6, 165.2, 82.6, 1008, 100 << 10, 48, 24),
        new("h100", "H100 SXM", "sm_90", 132, 66.9, 989.4, 494.7, 3350, 228 << 10, 64, 32),
    ];

    /// <summary>Share of the warps that a multiprocessor holds that can be resident at once, by registers, shared memory and limits.</summary>
    public double Occupancy(int threads, int registers, int sharedBytes)
    {
        int warps = (threads + 31) / 32, byRegisters = Registers / ((registers + 7) / 8 * 8 * 32 * warps);
        int byShared = sharedBytes == 0 ? int.MaxValue : SharedBytes / (sharedBytes + (Architecture == "sm_75" ? 0 : ReservedSharedBytes));
        int blocks = new[] { byRegisters, byShared, Warps / warps, Blocks }.Min();
        return (double)(blocks * warps) / Warps;
    }

    /// <summary>
    /// Least seconds for a launch: the longest of its arithmetic at peak rates and its global accesses at the memory's bandwidth, as if no cache held anything.
    /// Launch overhead and latency are not in it.
    /// </summary>
    public double RooflineSeconds(LaunchCounters counters, Precision precision)
    {
        double tensor = precision == Precision.Tf32 && Tf32 > 0 ? Tf32 : Fp16;
        double arithmetic = (counters[CounterNames.Flops] / (Fp32 * 1e12)) + (counters[CounterNames.TensorOperations] / (tensor * 1e12));
        return Math.Max(arithmetic, EmulatedProfile.GlobalBytes(counters) / (Bandwidth * 1e9));
    }
}
