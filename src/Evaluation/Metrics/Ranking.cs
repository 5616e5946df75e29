namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// Scores in order: every metric follows from it. Good samples are keys alone; an anomalous one carries the size of its region in the lower half of its 64
/// bits, so that sorting leaves nothing to chance and sums come out the same for any order of the samples.
/// </summary>
internal sealed class Ranking
{
    private readonly ulong[] _anomalous;
    private readonly uint[] _good;

    /// <summary>Sorts.</summary>
    /// <param name="anomalous">See <see cref="Anomalous"/>; used up.</param>
    /// <param name="good">Keys of the good samples; used up.</param>
    /// <param name="regions">Number of regions that the anomalous samples belong to.</param>
    /// <param name="threads">Threads to use at most; the result does not depend on it.</param>
    public Ranking(ulong[] anomalous, uint[] good, long regions, int threads)
    {
        _anomalous = RadixSort.Sort(anomalous, threads);
        _good = RadixSort.Sort(good, threads);
        Regions = regions;
    }

    /// <summary>Number of anomalous samples, P.</summary>
    public long Positives => _anomalous.Length;

    /// <summary>Number of good samples, N.</summary>
    public long Negatives => _good.Length;

    /// <summary>Number of regions, R.</summary>
    public long Regions { get; }

    /// <summary>The lowest score; there must be a sample.</summary>
    public float Lowest => ScoreKey.ToScore(Math.Min(
        _anomalous.Length > 0 ? Key(_anomalous[0]) : uint.MaxValue, _good.Length > 0 ? _good[0] : uint.MaxValue));

    /// <summary>The highest score; there must be a sample.</summary>
    public float Highest => ScoreKey.ToScore(Math.Max(
        _anomalous.Length > 0 ? Key(_anomalous[^1]) : 0, _good.Length > 0 ? _good[^1] : 0));

    /// <summary>An anomalous sample as it is sorted: its key above the area of its region.</summary>
    public static ulong Anomalous(uint key, int area) => ((ulong)key << 32) | (uint)area;

    /// <summary>The highest score below <paramref name="score"/>, if there is one.</summary>
    public float? NextBelow(float score)
    {
        uint key = ScoreKey.Of(score);
        int good = FirstAtLeast(key);
        int anomalous = FirstAnomalousAtLeast(key);
        return (good, anomalous) switch
        {
            (0, 0) => null,
            (0, _) => ScoreKey.ToScore(Key(_anomalous[anomalous - 1])),
            (_, 0) => ScoreKey.ToScore(_good[good - 1]),
            _ => ScoreKey.ToScore(Math.Max(_good[good - 1], Key(_anomalous[anomalous - 1]))),
        };
    }

    /// <summary>What is counted at several thresholds.</summary>
    /// <param name="keys">Keys of the lowest scores that count, ascending.</param>
    public ThresholdCount[] CountAtLeast(ReadOnlySpan<uint> keys)
    {
        ThresholdCount[] counts = new ThresholdCount[keys.Length];
        int left = _anomalous.Length;
        double overlap = 0;
        for (int i = keys.Length - 1; i >= 0; i--)
        {
            int first = FirstAnomalousAtLeast(keys[i]);
            while (left > first)
            {
                overlap += 1.0 / (uint)_anomalous[--left];
            }

            counts[i] = new ThresholdCount(_anomalous.Length - first, _good.Length - FirstAtLeast(keys[i]), Regions > 0 ? overlap / Regions : 0);
        }

        return counts;
    }

    /// <summary>The curve's steps, from the highest score to the lowest.</summary>
    public Enumerator GetEnumerator() => new(this);

    private static uint Key(ulong anomalous) => (uint)(anomalous >> 32);

    /// <summary>Index of the first good sample whose key is not below.</summary>
    private int FirstAtLeast(uint key) => ~_good.AsSpan().BinarySearch(new LowerBound<uint>(key));

    private int FirstAnomalousAtLeast(uint key) => ~_anomalous.AsSpan().BinarySearch(new LowerBound<ulong>((ulong)key << 32));

    /// <summary>Never equal to anything, so that a binary search ends at the first element that is not below.</summary>
    private readonly struct LowerBound<T>(T bound) : IComparable<T>
        where T : IComparable<T>
    {
        public int CompareTo(T? other) => bound.CompareTo(other!) > 0 ? 1 : -1;
    }

    /// <summary>Walks down the two sorted lists at once.</summary>
    internal struct Enumerator(Ranking ranking)
    {
        private readonly ulong[] _anomalous = ranking._anomalous;
        private readonly uint[] _good = ranking._good;
        private readonly double _regions = ranking.Regions;
        private int _anomalousLeft = ranking._anomalous.Length;
        private int _goodLeft = ranking._good.Length;
        private double _overlap;

        /// <summary>The step.</summary>
        public CurveStep Current { get; private set; }

        /// <summary>Goes on to the next step, if there is one.</summary>
        public bool MoveNext()
        {
            if (_anomalousLeft == 0)
            {
                return false;
            }

            uint key = Key(_anomalous[_anomalousLeft - 1]);
            int before = _anomalousLeft;
            while (_anomalousLeft > 0 && Key(_anomalous[_anomalousLeft - 1]) == key)
            {
                _overlap += 1.0 / (uint)_anomalous[--_anomalousLeft];
            }

            _goodLeft = key == uint.MaxValue ? _goodLeft : Skip(key + 1);
            int above = _good.Length - _goodLeft;
            _goodLeft = Skip(key);
            Current = new CurveStep(
                ScoreKey.ToScore(key),
                _anomalous.Length - _anomalousLeft,
                _good.Length - _goodLeft,
                before - _anomalousLeft,
                above,
                _regions > 0 ? Math.Min(_overlap / _regions, 1) : 0);
            return true;
        }

        /// <summary>Number of good samples left when those with this key or a higher one are passed over: doubling steps, then bisection.</summary>
        private readonly int Skip(uint key)
        {
            int high = _goodLeft;
            int step = 1;
            while (step <= high && _good[high - step] >= key)
            {
                high -= step;
                step *= 2;
            }

            // What lies at or above `high` is passed over; what lies below `low` is not.
            int low = Math.Max(high - step + 1, 0);
            while (low < high)
            {
                int middle = (int)(((uint)low + (uint)high) / 2);
                (low, high) = _good[middle] >= key ? (low, middle) : (middle + 1, high);
            }

            return low;
        }
    }
}
