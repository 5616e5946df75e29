using System.Runtime.InteropServices;
using KernelAD.Backends.Cuda;
using KernelAD.Kernels;

namespace KernelAD.Engine.Tests.Backends.Cuda;

public sealed class LinearPanelsTests
{
    [Test]
    public void Every_weight_is_where_its_kernel_looks_and_the_rest_is_zero(
        [Values] Precision precision, [Values(1, 17, 63, 64)] int rows, [Values(1, 8, 31, 33, 100)] int k)
    {
        StorageType type = precision.OperandType();
        Random random = new(7);
        float[] weight = [.. Enumerable.Range(0, rows * k).Select(_ => (random.NextSingle() * 2) - 1)];
        byte[] panel = new byte[LinearPanels.PanelBytes(k, type)];
        panel.AsSpan().Fill(0xFF);
        Assert.That(LinearPanels.Pack(weight, k, type, panel), Is.True);
        int depth = type == StorageType.Half ? 32 : 16;
        for (int column = 0; column < 64; column++)
        {
            for (int i = 0; i < (k + depth - 1) / depth * depth; i++)
            {
                double expected = column < rows && i < k ? weight[(column * k) + i] : 0;
                int tile = i / depth, inTile = i % depth;
                double found = type switch
                {
                    StorageType.Float => MemoryMarshal.Cast<byte, float>(panel)[(tile * 1024) + (inTile * 64) + column],
                    StorageType.Tf32 => MemoryMarshal.Cast<byte, float>(panel)[(tile * 1024) + (column * 16) + inTile],
                    _ => (double)MemoryMarshal.Cast<byte, Half>(panel)[(tile * 2048) + (column * 32) + inTile],
                };
                // 11 bits of mantissa: half a unit in the last place.
                Assert.That(found, Is.EqualTo(expected).Within(type == StorageType.Float ? 0 : Math.Abs(expected) / 2048 + 1e-8), $"column {column}, k {i}");
            }
        }
    }

    [Test]
    public void Values_beyond_float16_are_told()
    {
        byte[] panel = new byte[LinearPanels.PanelBytes(1, StorageType.Half)];
        Assert.That(LinearPanels.Pack([65504f], 1, StorageType.Half, panel), Is.True);
        Assert.That(LinearPanels.Pack([65536f], 1, StorageType.Half, panel), Is.False);
    }

    [TestCase(1.0f, 1.0f)]
    [TestCase(1.00048828125f, 1.0009765625f, Description = "half way, away from zero")]
    [TestCase(-1.00048828125f, -1.0009765625f)]
    [TestCase(1.0004f, 1.0f)]
    public void Tf32_rounds_to_nearest(float value, float expected) => Assert.That(LinearPanels.RoundToTf32(value), Is.EqualTo(expected));
}
