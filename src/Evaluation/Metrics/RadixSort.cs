using System.Numerics;

namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// Sorts unsigned integers in ascending order: least significant digit first, one byte a pass. In each pass every thread counts the digits of its part, and
/// then moves its elements to places that nobody else writes to. The time does not depend on how the values are distributed.
/// </summary>
internal static class RadixSort
{
    private const int Digits = 256;

    /// <summary>Below this length a comparison sort is faster than the passes' set-up.</summary>
    private const int ShortLength = 1 << 12;

    /// <summary>Sorts an array; the result is that array, or another one of the same length while the first holds rubbish.</summary>
    public static T[] Sort<T>(T[] values, int threads)
        where T : unmanaged, IBinaryInteger<T>, IUnsignedNumber<T>
    {
        if (values.Length < ShortLength)
        {
            Array.Sort(values);
            return values;
        }

        int parts = Math.Clamp(threads, 1, values.Length / ShortLength);
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = parts };
        int[][] places = [.. Enumerable.Range(0, parts).Select(_ => new int[Digits])];
        T[] from = values;
        T[] to = GC.AllocateUninitializedArray<T>(values.Length);
        for (int shift = 0; shift < 8 * T.Zero.GetByteCount(); shift += 8)
        {
            Parallel.For(0, parts, parallel, part => Count(Part(from, part, parts), shift, places[part]));
            if (ToPlaces(places, values.Length))
            {
                Parallel.For(0, parts, parallel, part => Move(Part(from, part, parts), shift, places[part], to));
                (from, to) = (to, from);
            }
        }

        return from;
    }

    private static ReadOnlySpan<T> Part<T>(T[] values, int part, int parts)
    {
        int start = (int)((long)values.Length * part / parts);
        int end = (int)((long)values.Length * (part + 1) / parts);
        return values.AsSpan(start, end - start);
    }

    private static void Count<T>(ReadOnlySpan<T> values, int shift, int[] counts)
        where T : unmanaged, IBinaryInteger<T>
    {
        Array.Clear(counts);
        foreach (T value in values)
        {
            counts[byte.CreateTruncating(value >>> shift)]++;
        }
    }

    /// <summary>
    /// Turns counts into each part's first place for each digit: digits in ascending order, within a digit the parts in theirs. False if all values have
    /// one digit, so that nothing would move.
    /// </summary>
    private static bool ToPlaces(int[][] counts, int length)
    {
        int place = 0;
        for (int digit = 0; digit < Digits; digit++)
        {
            int start = place;
            foreach (int[] part in counts)
            {
                (part[digit], place) = (place, place + part[digit]);
            }

            if (place - start == length)
            {
                return false;
            }
        }

        return true;
    }

    private static void Move<T>(ReadOnlySpan<T> values, int shift, int[] places, Span<T> destination)
        where T : unmanaged, IBinaryInteger<T>
    {
        foreach (T value in values)
        {
            destination[places[byte.CreateTruncating(value >>> shift)]++] = value;
        }
    }
}
