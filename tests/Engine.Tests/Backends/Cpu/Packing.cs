using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

internal static class Packing
{
    /// <summary>Packs a weight that lies in an array, [N, K].</summary>
    public static PackedWeights Pack(MemoryPool memory, float[] weight, int n, int k, ReadOnlySpan<float> bias) =>
        new(memory, n, k, bias, (row, rows) => weight.AsSpan(row * k, rows.Length).CopyTo(rows));
}
