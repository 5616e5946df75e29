namespace KernelAD.Evaluation.Metrics;

/// <summary>How well scores tell anomalous samples (images, or the pixels of all images together) from good ones.</summary>
/// <param name="Positives">Number of anomalous samples.</param>
/// <param name="Negatives">Number of good samples.</param>
/// <param name="Auroc">Area under the ROC curve.</param>
/// <param name="AveragePrecision">Average precision, a sum of steps.</param>
/// <param name="HighestF1">Highest F1 over all thresholds.</param>
/// <param name="HighestF1At">The score at which "score ≥ t" has the highest F1; NaN if there is none.</param>
/// <param name="Threshold">
/// The threshold to use for it: in the middle between that score and the next lower one, so that a difference in the last digit does not lose the sample that
/// the score belongs to. The score itself if there is no lower one or the middle is not finite; NaN if there is none.
/// </param>
public sealed record DetectionMetrics(
    long Positives, long Negatives, MetricValue Auroc, MetricValue AveragePrecision, MetricValue HighestF1, double HighestF1At, double Threshold)
{
    /// <summary>The reason for undefined metrics where there are no anomalous samples.</summary>
    internal static string NoPositives(string sample) => $"no anomalous {sample}";

    /// <summary>Computes the metrics in one walk along the curve.</summary>
    /// <param name="ranking">The scores.</param>
    /// <param name="sample">What a sample is, for the reasons: "image".</param>
    /// <param name="visit">Sees every step too.</param>
    internal static DetectionMetrics Of(Ranking ranking, string sample, Action<CurveStep>? visit = null)
    {
        (long positives, long negatives) = (ranking.Positives, ranking.Negatives);
        RocArea roc = default;
        AveragePrecision precision = default;
        HighestF1 f1 = new(positives);
        foreach (CurveStep step in ranking)
        {
            roc.Add(step);
            precision.Add(step);
            f1.Add(step);
            visit?.Invoke(step);
        }

        MetricValue auroc = new MetricValue(roc.Value(positives, negatives)).UndefinedIf(negatives == 0, $"no good {sample}");
        return new DetectionMetrics(
            positives,
            negatives,
            auroc.UndefinedIf(positives == 0, NoPositives(sample)),
            new MetricValue(precision.Value(positives)).UndefinedIf(positives == 0, NoPositives(sample)),
            new MetricValue(f1.Value).UndefinedIf(positives == 0, NoPositives(sample)),
            f1.At,
            Middle(f1.At, ranking));
    }

    private static double Middle(float score, Ranking ranking)
    {
        if (!float.IsFinite(score) || ranking.NextBelow(score) is not float below)
        {
            return score;
        }

        double middle = ((double)score + below) / 2;
        return double.IsFinite(middle) ? middle : score;
    }
}
