using System.Numerics;
using System.Runtime.InteropServices;

namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// The order of float32 scores as an order of integers: a &lt; b exactly if Of(a) &lt; Of(b). −0 and +0 have one key; infinities lie at the ends; NaN has none.
/// </summary>
internal static class ScoreKey
{
    private const uint SignBit = 0x8000_0000;

    /// <summary>The key of a score.</summary>
    public static uint Of(float score)
    {
        // Adding +0 turns −0 into +0 and leaves every other number as it is.
        int bits = BitConverter.SingleToInt32Bits(score + 0f);
        return (uint)bits ^ ((uint)(bits >> 31) | SignBit);
    }

    /// <summary>The score of a key.</summary>
    public static float ToScore(uint key) => BitConverter.UInt32BitsToSingle((key & SignBit) != 0 ? key ^ SignBit : ~key);

    /// <summary>The keys of several scores.</summary>
    /// <param name="scores">The scores; none is NaN.</param>
    /// <param name="keys">Receives as many keys.</param>
    public static void Of(ReadOnlySpan<float> scores, Span<uint> keys)
    {
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(scores);
        Span<Vector<uint>> results = MemoryMarshal.Cast<uint, Vector<uint>>(keys[..scores.Length]);
        Vector<uint> sign = new(SignBit);
        for (int i = 0; i < vectors.Length; i++)
        {
            Vector<int> bits = Vector.AsVectorInt32(vectors[i] + Vector<float>.Zero);
            results[i] = Vector.AsVectorUInt32(bits) ^ (Vector.AsVectorUInt32(bits >> 31) | sign);
        }

        for (int i = vectors.Length * Vector<float>.Count; i < scores.Length; i++)
        {
            keys[i] = Of(scores[i]);
        }
    }

    /// <summary>Index of the first NaN, or −1.</summary>
    public static int FirstNaN(ReadOnlySpan<float> scores)
    {
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(scores);
        int start = 0;
        while (start < vectors.Length && Vector.EqualsAll(vectors[start], vectors[start]))
        {
            start++;
        }

        for (int i = start * Vector<float>.Count; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
