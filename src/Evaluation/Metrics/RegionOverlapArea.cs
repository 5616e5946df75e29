namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// AUPRO: the area under the per-region overlap (mean share of a region's pixels that are found) over the false-positive rate of the anomaly-free pixels, from
/// 0 to a limit, divided by the limit; linear between the steps (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021).
/// </summary>
/// <param name="limit">Highest false-positive rate, in (0, 1].</param>
/// <param name="negatives">Number of anomaly-free pixels.</param>
internal struct RegionOverlapArea(double limit, long negatives)
{
    private double _area;
    private double _rate;
    private double _overlap;

    /// <summary>Takes the next step of the curve.</summary>
    public void Add(in CurveStep step)
    {
        Extend((double)step.FalsePositivesAbove / negatives, _overlap);
        Extend((double)step.FalsePositives / negatives, step.Overlap);
    }

    /// <summary>The value.</summary>
    public double Value()
    {
        Extend(1, _overlap);
        return _area / limit;
    }

    private void Extend(double rate, double overlap)
    {
        if (rate > limit)
        {
            // Beyond the limit nothing counts; what crosses it is cut there.
            overlap = _rate < limit ? _overlap + ((overlap - _overlap) * (limit - _rate) / (rate - _rate)) : _overlap;
            rate = limit;
        }

        _area += (rate - _rate) * (overlap + _overlap) / 2;
        (_rate, _overlap) = (rate, overlap);
    }
}
