namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// AP: Σ (TP_j − TP_{j−1}) / P · TP_j / (TP_j + FP_j), a sum of steps as scikit-learn has it, not a trapezoid (which would be too optimistic).
/// </summary>
internal struct AveragePrecision
{
    private double _sum;

    /// <summary>Takes the next step of the curve.</summary>
    public void Add(in CurveStep step) => _sum += step.NewPositives * ((double)step.TruePositives / (step.TruePositives + step.FalsePositives));

    /// <summary>The value.</summary>
    /// <param name="positives">Number of anomalous samples, P.</param>
    public readonly double Value(long positives) => _sum / positives;
}
