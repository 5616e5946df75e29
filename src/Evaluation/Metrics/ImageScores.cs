namespace KernelAD.Evaluation.Metrics;

/// <summary>Collects one score per image.</summary>
internal sealed class ImageScores
{
    private readonly KeyList<ulong> _anomalous = new();
    private readonly KeyList<uint> _good = new();

    /// <summary>Number of images.</summary>
    public long Count => _anomalous.Count + _good.Count;

    /// <summary>Adds an image.</summary>
    /// <param name="anomalous">Whether it shows an anomaly.</param>
    /// <param name="score">Its score; not NaN.</param>
    public void Add(bool anomalous, float score)
    {
        uint key = ScoreKey.Of(score);
        if (anomalous)
        {
            _anomalous.Add(Ranking.Anomalous(key, area: 1));
        }
        else
        {
            _good.Add(key);
        }
    }

    /// <summary>Sorts what was collected; the collection is empty afterwards.</summary>
    public Ranking Rank() => new(_anomalous.Drain(), _good.Drain(), regions: 0, threads: 1);
}
