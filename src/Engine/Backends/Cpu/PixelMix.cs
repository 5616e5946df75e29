namespace KernelAD.Backends.Cpu;

/// <summary>What a pixel of a resized row or column is made of: (1 − Weight) · [Lower] + Weight · [Upper].</summary>
internal readonly record struct PixelMix(int Lower, int Upper, float Weight)
{
    /// <summary>The mixes of all pixels.</summary>
    /// <param name="input">Pixels of the source.</param>
    /// <param name="output">Pixels of the result.</param>
    /// <param name="alignCorners">Whether the centres of the corner pixels coincide.</param>
    public static PixelMix[] Table(int input, int output, bool alignCorners)
    {
        PixelMix[] table = new PixelMix[output];
        float scale = !alignCorners ? (float)input / output : output > 1 ? (float)(input - 1) / (output - 1) : 0;
        for (int i = 0; i < output; i++)
        {
            float position = alignCorners ? scale * i : MathF.Max((scale * (i + 0.5f)) - 0.5f, 0);
            int lower = Math.Min((int)position, input - 1);
            table[i] = new PixelMix(lower, Math.Min(lower + 1, input - 1), Math.Clamp(position - lower, 0, 1));
        }

        return table;
    }
}
