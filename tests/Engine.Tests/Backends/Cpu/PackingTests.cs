using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

public sealed unsafe class PackingTests
{
    [Test]
    public void Weights_are_transposed_into_panels([Values(1, 3, 31, 32, 33, 257)] int n, [Values(1, 5, 16, 63)] int k)
    {
        Random random = new(n * k);
        float[] weight = [.. Enumerable.Range(0, n * k).Select(_ => random.NextSingle())];
        float[] bias = [.. Enumerable.Range(0, n).Select(_ => random.NextSingle())];
        using MemoryPool memory = new();
        PackedWeights packed = Packing.Pack(memory, weight, n, k, bias);
        for (int column = 0; column < packed.Panels * SimdTier.PanelColumns; column++)
        {
            float* panel = packed.Panel(column / SimdTier.PanelColumns);
            Assert.That(packed.Bias[column], Is.EqualTo(column < n ? bias[column] : 0f));
            for (int i = 0; i < k; i++)
                Assert.That(panel[(i * SimdTier.PanelColumns) + (column % SimdTier.PanelColumns)], Is.EqualTo(column < n ? weight[(column * k) + i] : 0f));
        }
    }

    [Test]
    public void Weights_that_do_not_fit_their_dimensions_are_refused()
    {
        using MemoryPool memory = new();
        Assert.That(() => Packing.Pack(memory, new float[12], 3, 4, new float[4]), Throws.ArgumentException.With.Message.Contains("bias"));
        Assert.That(() => Packing.Pack(memory, [], 0, 4, default), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Rows_are_copied_into_row_tiles([Values(1, 12, 13, 257)] int m, [Values(1, 15, 16, 49)] int k)
    {
        using GuardedMatrix x = GuardedMatrix.Random(new Random(m + k), m, k, stride: k + 3);
        using GuardedMatrix y = new(m, k, rowTiles: true);
        WorkerTeam.Shared.RunAll([new PackRowsStep(m, k, x.Ref, y.Ref)], default, 2);
        Assert.That(y.ToArray(), Is.EqualTo(x.ToArray()));
        y.AssertNothingWrittenOutside();
    }
}
