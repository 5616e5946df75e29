namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// F1-max: the highest of 2 TP_j / (TP_j + FP_j + P). Of several equal ones the lowest threshold wins, as with scikit-learn and torchmetrics. It is always
/// reached at a score of an anomalous sample: passing only good ones lowers F1.
/// </summary>
/// <param name="positives">Number of anomalous samples, P.</param>
internal struct HighestF1(long positives)
{
    /// <summary>The value.</summary>
    public double Value { get; private set; }

    /// <summary>The threshold t_j: F1 has its maximum at "score ≥ At".</summary>
    public float At { get; private set; } = float.NaN;

    /// <summary>Takes the next step of the curve.</summary>
    public void Add(in CurveStep step)
    {
        double f1 = 2.0 * step.TruePositives / (step.TruePositives + step.FalsePositives + positives);
        if (f1 >= Value)
        {
            (Value, At) = (f1, step.Score);
        }
    }
}
