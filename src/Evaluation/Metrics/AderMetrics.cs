using System.Globalization;

namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// The metrics of ADer's evaluator under its own names, where they are not those of <see cref="DetectionMetrics"/>: coarse threshold grids on the maps as they
/// are, or on maps that are normalised to [0, 1] over the category. Computed from the same ranking: normalising is monotone, so a threshold on normalised maps
/// is one on raw maps.
/// </summary>
internal static class AderMetrics
{
    /// <summary>Keeps quotients finite, as ADer does.</summary>
    private const double Epsilon = 1e-8;

    /// <summary>AUPRO keeps false-positive rates below this.</summary>
    private const double RateLimit = 0.3;

    private static readonly int[] OverlapSteps = [100, 200];

    /// <summary>The pixel metrics under ADer's names.</summary>
    public static IEnumerable<NamedMetric> Pixels(Ranking ranking)
    {
        if (ranking.Positives + ranking.Negatives == 0)
        {
            yield break;
        }

        DetectionMetrics exact = DetectionMetrics.Of(ranking, "pixel");
        yield return new NamedMetric("mAUROC_px", exact.Auroc);
        yield return new NamedMetric("mAP_px", OrZero(exact.AveragePrecision));
        Counts[] grid = OnNormalisedMaps(ranking, [.. Enumerable.Range(0, 21).Select(k => (float)(k * 0.05))]);
        yield return new NamedMetric("mF1_max_px", new MetricValue(grid.Max(c => c.F1)));
        yield return new NamedMetric("mIoU_max_px", new MetricValue(grid.Max(c => c.IntersectionOverUnion)));
        Counts[] middle = OnNormalisedMaps(ranking, [.. Enumerable.Range(0, 7).Select(k => (float)(0.2 + (k * 0.1)))]);
        yield return new NamedMetric("mF1_px_0.2_0.8_0.1", new MetricValue(middle.Average(c => c.F1)));
        yield return new NamedMetric("mAcc_px_0.2_0.8_0.1", new MetricValue(middle.Average(c => c.Recall)));
        yield return new NamedMetric("mIoU_px_0.2_0.8_0.1", new MetricValue(middle.Average(c => c.IntersectionOverUnion)));
        foreach (int steps in OverlapSteps)
        {
            yield return new NamedMetric(string.Create(CultureInfo.InvariantCulture, $"mAUPRO_px (max_step_aupro={steps})"), RegionOverlap(ranking, steps));
        }
    }

    /// <summary>The image metrics under ADer's names.</summary>
    /// <param name="ranking">One score per image.</param>
    /// <param name="pooling">How the scores were taken from the maps: <c>None</c> or <c>[16,16]</c>.</param>
    public static IEnumerable<NamedMetric> Images(Ranking ranking, string pooling)
    {
        DetectionMetrics exact = DetectionMetrics.Of(ranking, "image");
        yield return new NamedMetric($"mAUROC_sp_max (pooling_ks={pooling})", exact.Auroc);
        yield return new NamedMetric($"mAP_sp_max (pooling_ks={pooling})", OrZero(exact.AveragePrecision));
        yield return new NamedMetric($"mF1_max_sp_max (pooling_ks={pooling})", OrZero(exact.HighestF1));
    }

    /// <summary>
    /// AUPRO over a sweep of thresholds from the lowest to the highest value, "&gt;" in float32 on a grid in double: points with FPR &lt; 0.3, their
    /// rates stretched to [0, 1], trapezoid rule; no point is added at either end.
    /// </summary>
    internal static MetricValue RegionOverlap(Ranking ranking, int steps)
    {
        if (ranking.Regions == 0 || ranking.Negatives == 0)
        {
            return MetricValue.Undefined(ranking.Regions == 0 ? "no anomalous region" : "no good pixel");
        }

        (double Rate, double Overlap)[] kept = [.. ranking.CountAtLeast(SweepKeys(ranking, steps))
            .Select(c => ((double)c.FalsePositives / ranking.Negatives, c.Overlap))
            .Where(p => p.Item1 < RateLimit)];
        if (kept.Length == 0 || kept[0].Rate == kept[^1].Rate)
        {
            return MetricValue.Undefined("fewer than two distinct false-positive rates below 0.3 in ADer's sweep");
        }

        // Thresholds ascend, so rates and overlaps descend.
        double area = 0;
        for (int i = 1; i < kept.Length; i++)
        {
            area += (kept[i - 1].Rate - kept[i].Rate) * (kept[i - 1].Overlap + kept[i].Overlap) / 2;
        }

        return new MetricValue(area / (kept[0].Rate - kept[^1].Rate));
    }

    /// <summary>The lowest keys above the thresholds lo + i · δ of the sweep, as numpy.arange makes them.</summary>
    private static uint[] SweepKeys(Ranking ranking, int steps)
    {
        float low = ranking.Lowest;
        double range = ranking.Highest - low;
        double step = range / steps;
        if (!(step > 0) || !double.IsFinite(step))
        {
            return [];
        }

        double second = low + step;
        int count = (int)Math.Ceiling(range / step);
        uint[] keys = new uint[count];
        for (int i = 0; i < count; i++)
        {
            keys[i] = ScoreKey.Of((float)(low + (i * (second - low)))) + 1;
        }

        return keys;
    }

    /// <summary>What lies above thresholds on (map − lo) / (hi − lo) in float32.</summary>
    private static Counts[] OnNormalisedMaps(Ranking ranking, float[] thresholds)
    {
        float low = ranking.Lowest;
        float range = ranking.Highest - low;
        uint[] keys = [.. thresholds.Select(t => FirstKeyAbove(t, low, range, ScoreKey.Of(ranking.Highest)))];
        return [.. ranking.CountAtLeast(keys).Select(c => new Counts(c, ranking.Positives))];
    }

    /// <summary>The lowest key whose normalised score exceeds a threshold; one above <paramref name="highest"/> if none does.</summary>
    private static uint FirstKeyAbove(float threshold, float low, float range, uint highest)
    {
        (uint first, uint end) = (ScoreKey.Of(low), highest + 1);
        while (first < end)
        {
            uint middle = first + ((end - first) / 2);
            bool above = (ScoreKey.ToScore(middle) - low) / range > threshold;
            (first, end) = above ? (first, middle) : (middle + 1, end);
        }

        return first;
    }

    /// <summary>Where there is nothing to find scikit-learn returns 0, and so does ADer.</summary>
    private static MetricValue OrZero(MetricValue value) => value.IsDefined ? value : new MetricValue(0);

    /// <summary>ADer's quotients at one threshold.</summary>
    private readonly struct Counts(ThresholdCount count, long positives)
    {
        private double Precision => count.TruePositives / (count.TruePositives + count.FalsePositives + Epsilon);

        public double Recall => count.TruePositives / (positives + Epsilon);

        public double F1 => 2 * Precision * Recall / (Precision + Recall + Epsilon);

        public double IntersectionOverUnion => count.TruePositives / (positives + count.FalsePositives + Epsilon);
    }
}
