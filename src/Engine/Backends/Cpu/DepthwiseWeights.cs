namespace KernelAD.Backends.Cpu;

/// <summary>
/// The weight of a depthwise convolution, (C, 1, kh, kw), repacked as [⌈C / 16⌉][kh · kw][16], and its bias (C). Channels beyond C are zero.
/// </summary>
internal sealed unsafe class DepthwiseWeights
{
    /// <param name="memory">Where the weights go; they live as long as it does.</param>
    /// <param name="weight">(C, 1, kh, kw).</param>
    /// <param name="bias">(C), or empty.</param>
    /// <param name="channels">C.</param>
    public DepthwiseWeights(MemoryPool memory, float[] weight, float[] bias, int channels)
    {
        TapCount = weight.Length / channels;
        int padded = Split.Most(channels, BlockChannels) * BlockChannels;
        Taps = (float*)memory.Take((TapCount + 1L) * padded * sizeof(float));
        Bias = Taps + ((long)TapCount * padded);
        new Span<float>(Taps, (TapCount + 1) * padded).Clear();
        for (int i = 0; i < weight.Length; i++)
            *Tap(i / TapCount, i % TapCount) = weight[i];
        bias.CopyTo(new Span<float>(Bias, padded));
    }

    /// <summary>Channels whose taps lie side by side: a cache line of them.</summary>
    public const int BlockChannels = RowTiles.BlockColumns;

    /// <summary>Taps of a channel.</summary>
    public int TapCount { get; }

    /// <summary>The bias; zeros if there is none.</summary>
    public float* Bias { get; }

    private float* Taps { get; }

    /// <summary>Address of a channel's tap; the next tap lies <see cref="BlockChannels"/> floats further on.</summary>
    public float* Tap(int channel, int tap) =>
        Taps + (((((long)channel / BlockChannels) * TapCount) + tap) * BlockChannels) + (channel % BlockChannels);
}
