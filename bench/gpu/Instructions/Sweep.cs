namespace KernelAD.GpuChecks.Instructions;

/// <summary>Input values of probes. Seeded: the same on every machine.</summary>
internal static class Sweep
{
    private const int Values = 16384;

    /// <summary>Values where floating-point instructions are most likely to differ.</summary>
    public static readonly float[] Special =
    [
        0, -0f, 1, -1, float.PositiveInfinity, float.NegativeInfinity, float.NaN, float.Epsilon, -float.Epsilon, 1e-40f, -1e-40f, 1.17549421e-38f, 1.17549435e-38f, -1.17549435e-38f,
        float.MaxValue, float.MinValue, 0.5f, -0.5f, 1.5f, 2.5f, -1.5f, -2.5f, 65504, 65519.99f, 65520, -65520, 6.1e-5f, 5.9e-8f, 2.98e-8f, 2.99e-8f, 2147483520f, 2147483648f, -2147483648f,
        -2147483904f, 4294967040f, 4294967296f, 127, -126, -127, -149, -150, 128, BitConverter.UInt32BitsToSingle(0x7F800001), BitConverter.UInt32BitsToSingle(0xFFC12345),
    ];

    /// <summary>The special values, then numbers spread evenly over an interval.</summary>
    public static uint[] Even(double from, double to) => Words(random => (float)(from + (random.NextDouble() * (to - from))));

    /// <summary>The special values, then numbers of all magnitudes between two powers of two.</summary>
    /// <param name="fromExponent">The least magnitude's exponent.</param>
    /// <param name="toExponent">The largest magnitude's exponent.</param>
    /// <param name="signed">Whether negative numbers come too.</param>
    public static uint[] Magnitudes(int fromExponent, int toExponent, bool signed = true) => Words(random =>
        (float)((signed && random.Next(2) == 0 ? -1 : 1) * Math.ScaleB(1 + random.NextDouble(), random.Next(fromExponent, toExponent + 1))));

    /// <summary>Every pair of special values, then pairs of numbers of all magnitudes.</summary>
    public static uint[] Pairs() => Groups(2);

    /// <summary>Every pair of special values with a third, then triples of numbers of similar magnitudes.</summary>
    public static uint[] Triples() => Groups(3);

    /// <summary>Any bits.</summary>
    public static uint[] Bits(int count, int seed = 1)
    {
        Random random = new(seed);
        uint[] words = new uint[count];
        for (int i = 0; i < count; i++)
        {
            words[i] = (uint)random.NextInt64(1L << 32);
        }

        return words;
    }

    private static uint[] Words(Func<Random, float> next)
    {
        Random random = new(1);
        return [.. Special.Concat(Enumerable.Range(Special.Length, Values - Special.Length).Select(_ => next(random))).Select(BitConverter.SingleToUInt32Bits)];
    }

    private static uint[] Groups(int size)
    {
        Random random = new(size);
        List<uint> words = [];
        foreach (float first in Special)
        {
            foreach (float second in Special)
            {
                words.AddRange(((float[])[first, second, Special[random.Next(Special.Length)]])[..size].Select(BitConverter.SingleToUInt32Bits));
            }
        }

        while (words.Count < size * Values)
        {
            int exponent = random.Next(-126, 127);
            for (int i = 0; i < size; i++)
            {
                double magnitude = Math.ScaleB(1 + random.NextDouble(), Math.Clamp(exponent + random.Next(-3, 4), -148, 127));
                words.Add(BitConverter.SingleToUInt32Bits((float)(random.Next(2) == 0 ? magnitude : -magnitude)));
            }
        }

        return [.. words];
    }
}
