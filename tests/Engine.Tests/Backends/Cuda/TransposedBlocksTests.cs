using KernelAD.Backends.Cuda;
using KernelAD.Kernels;

namespace KernelAD.Engine.Tests.Backends.Cuda;

public sealed class TransposedBlocksTests
{
    [TestCase(1, 1, 0, 1)]
    [TestCase(3, 2, 1, 16)]
    [TestCase(9, 3, 1, 32)]
    [TestCase(7, 5, 1, 32)]
    [TestCase(4, 2, 1, 8)]
    [TestCase(11, 1, 0, 3)]
    [TestCase(2, 4, 0, 5)]
    [TestCase(1, 3, 2, 7)]
    [TestCase(4, 2, 6, 3)]
    public void A_block_holds_every_tap_for_each_of_its_pixels(int kernel, int stride, int padding, int outputs)
    {
        const int Channels = 3, PaddedChannels = 4;
        int taps = kernel * kernel;
        float[] weight = [.. Enumerable.Range(1, Channels * outputs * taps)];
        TransposedBlocks[] cuts = [.. TransposedBlocks.All(kernel, stride, padding, outputs)];
        Assert.That(cuts.Select(c => c.Pixels), Is.EqualTo(Enumerable.Range(1, cuts.Length)).And.Not.Empty);
        foreach (TransposedBlocks blocks in cuts)
        {
            int k = blocks.Window * blocks.Window * PaddedChannels;
            float[] rows = new float[blocks.Columns * k];
            rows.AsSpan().Fill(float.NaN);
            for (int column = 0; column < blocks.Columns; column++)
            {
                blocks.Weights(weight, column, rows.AsSpan(column * k, k), Channels);
                float[] row = rows[(column * k)..((column + 1) * k)];

                // A value's channel is its place's, and its output the column's.
                Assert.That(row.Select((v, i) => v == 0 || (int)(v - 1) / (outputs * taps) == i % PaddedChannels), Is.All.True);
                Assert.That(row.Where(v => v != 0).Select(v => (int?)((int)(v - 1) / taps % outputs)), Is.All.EqualTo(blocks.Output(column)));
            }

            int[] uses = new int[weight.Length + 1];
            foreach (float value in rows)
            {
                uses[(int)value]++;
            }

            Assert.That(blocks.Window, Is.LessThanOrEqualTo(ConvolutionArguments.MaxKernel));
            Assert.That(uses.Skip(1), Is.All.EqualTo(blocks.Pixels * blocks.Pixels), $"{blocks}");
        }
    }

    /// <summary>A result meets ⌈kernel / stride⌉ pixels at most, and so does a block whatever is cut off, if its border may lie anywhere.</summary>
    [Test]
    public void Windows_are_as_small_as_can_be([Range(1, 6)] int kernel, [Range(1, 4)] int stride, [Range(0, 3)] int padding)
    {
        foreach (TransposedBlocks blocks in TransposedBlocks.All(kernel, stride, padding, outputs: 4))
        {
            Assert.That(blocks.Window, Is.EqualTo(((kernel + stride - 1) / stride) + blocks.Pixels - 1), $"{blocks}");
        }
    }

    [Test]
    public void Windows_that_are_too_large_are_left_out()
    {
        Assert.That(TransposedBlocks.All(17, 1, 0, 8), Is.Empty);
        Assert.That(TransposedBlocks.All(15, 1, 0, 1).Select(b => b.Window), Is.EqualTo((int[])[15, 16]));
    }
}
