namespace KernelAD.Evaluation.Metrics;

/// <summary>How well maps find the anomalous pixels of all images together, and how much of every region they find.</summary>
/// <param name="Detection">All pixels of all images as samples.</param>
/// <param name="Regions">Number of anomalous regions (8-connected).</param>
/// <param name="Aupro30">Area under the per-region overlap up to a false-positive rate of 0.3.</param>
/// <param name="Aupro5">The same up to 0.05, the limit of MVTec AD 2.</param>
/// <param name="Aupro100">The same over all rates.</param>
public sealed record PixelMetrics(DetectionMetrics Detection, long Regions, MetricValue Aupro30, MetricValue Aupro5, MetricValue Aupro100)
{
    /// <summary>Computes everything in one walk along the curve.</summary>
    internal static PixelMetrics Of(Ranking ranking, Action<CurveStep>? visit = null)
    {
        RegionOverlapArea third = new(0.3, ranking.Negatives);
        RegionOverlapArea twentieth = new(0.05, ranking.Negatives);
        RegionOverlapArea all = new(1, ranking.Negatives);
        DetectionMetrics detection = DetectionMetrics.Of(ranking, "pixel", step =>
        {
            third.Add(step);
            twentieth.Add(step);
            all.Add(step);
            visit?.Invoke(step);
        });
        return new PixelMetrics(detection, ranking.Regions, Checked(third.Value()), Checked(twentieth.Value()), Checked(all.Value()));

        MetricValue Checked(double area) => new MetricValue(area)
            .UndefinedIf(ranking.Negatives == 0, "no good pixel")
            .UndefinedIf(ranking.Regions == 0, "no anomalous region");
    }
}
