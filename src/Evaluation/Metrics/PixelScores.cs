namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// Collects the pixels of all images of a category, one image at a time: 4 bytes for an anomaly-free pixel, 8 for an anomalous one, no matter how the maps are
/// stored.
/// </summary>
internal sealed class PixelScores
{
    private readonly KeyList<ulong> _anomalous = new();
    private readonly KeyList<uint> _good = new();
    private readonly MaskRegions _mask = new();
    private long _regions;

    /// <summary>Number of pixels.</summary>
    public long Count => _anomalous.Count + _good.Count;

    /// <summary>Adds an image.</summary>
    /// <param name="map">height · width raw values, row-major; none is NaN.</param>
    /// <param name="mask">As many values; those above <paramref name="threshold"/> are anomalous.</param>
    /// <param name="height">Number of rows.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="threshold">The highest value of an anomaly-free pixel.</param>
    /// <returns>Number of anomalous pixels.</returns>
    public int Add(ReadOnlySpan<float> map, ReadOnlySpan<byte> mask, int height, int width, byte threshold)
    {
        _mask.Find(mask, height, width, threshold);
        _regions += _mask.Count;
        int next = 0;
        int anomalous = 0;
        for (int run = 0; run < _mask.Runs.Count; run++)
        {
            (int start, int length) = _mask.Runs[run];
            AddGood(map[next..start]);
            AddAnomalous(map.Slice(start, length), _mask.AreaOf(run));
            next = start + length;
            anomalous += length;
        }

        AddGood(map[next..]);
        return anomalous;
    }

    /// <summary>Sorts what was collected; the collection is empty afterwards.</summary>
    /// <param name="threads">Threads to use at most; the result does not depend on it.</param>
    public Ranking Rank(int threads) => new(_anomalous.Drain(), _good.Drain(), _regions, threads);

    private void AddGood(ReadOnlySpan<float> scores)
    {
        while (scores.Length > 0)
        {
            Span<uint> room = _good.Room();
            int count = Math.Min(room.Length, scores.Length);
            ScoreKey.Of(scores[..count], room);
            _good.Advance(count);
            scores = scores[count..];
        }
    }

    private void AddAnomalous(ReadOnlySpan<float> scores, int area)
    {
        foreach (float score in scores)
        {
            _anomalous.Add(Ranking.Anomalous(ScoreKey.Of(score), area));
        }
    }
}
