namespace KernelAD.Evaluation.Metrics;

/// <summary>A point of a curve, both coordinates between 0 and 1.</summary>
/// <param name="X">False-positive rate; recall for a precision-recall curve.</param>
/// <param name="Y">Recall; precision; per-region overlap.</param>
public readonly record struct CurvePoint(double X, double Y);

/// <summary>
/// Curves to draw, each monotone in X. A point is left out where it lies within <see cref="Resolution"/> of its neighbour in X and Y together; of a few
/// samples every step is kept.
/// </summary>
/// <param name="Roc">Recall over false-positive rate, from (0, 0) to (1, 1). Empty if one of the two kinds of samples is missing.</param>
/// <param name="PrecisionRecall">Precision over recall. Empty if there is no anomalous sample.</param>
/// <param name="RegionOverlap">Per-region overlap over false-positive rate, from (0, 0). Empty if there are no regions or no anomaly-free pixels.</param>
public sealed record MetricCurves(IReadOnlyList<CurvePoint> Roc, IReadOnlyList<CurvePoint> PrecisionRecall, IReadOnlyList<CurvePoint> RegionOverlap)
{
    /// <summary>Distance below which points are left out: finer than a pixel of any plot.</summary>
    public const double Resolution = 1.0 / 512;
}

/// <summary>Draws the curves while their steps go by.</summary>
internal sealed class CurveTracer(Ranking ranking)
{
    private readonly List<CurvePoint> _roc = [];
    private readonly List<CurvePoint> _precision = [];
    private readonly List<CurvePoint> _overlap = [];
    private CurveStep _last;

    /// <summary>Takes the next step of the curve.</summary>
    public void Add(CurveStep step)
    {
        (double positives, double negatives) = (ranking.Positives, ranking.Negatives);
        if (negatives > 0)
        {
            AddStep(_roc, step, _last.TruePositives / positives, step.TruePositives / positives);
        }

        if (negatives > 0 && ranking.Regions > 0)
        {
            AddStep(_overlap, step, _last.Overlap, step.Overlap);
        }

        Append(_precision, new CurvePoint(step.TruePositives / positives, (double)step.TruePositives / (step.TruePositives + step.FalsePositives)));
        _last = step;
    }

    /// <summary>The curves, closed at their ends.</summary>
    public MetricCurves Finish() => new(Close(_roc), _precision, Close(_overlap));

    private static List<CurvePoint> Close(List<CurvePoint> curve) => curve.Count == 0 ? curve : [new(0, 0), .. curve, new(1, 1)];

    private static void Append(List<CurvePoint> curve, CurvePoint point)
    {
        if (curve.Count == 0 || Math.Abs(point.X - curve[^1].X) + Math.Abs(point.Y - curve[^1].Y) > MetricCurves.Resolution)
        {
            curve.Add(point);
        }
    }

    private void AddStep(List<CurvePoint> curve, CurveStep step, double from, double to)
    {
        Append(curve, new CurvePoint((double)step.FalsePositivesAbove / ranking.Negatives, from));
        Append(curve, new CurvePoint((double)step.FalsePositives / ranking.Negatives, to));
    }
}
