namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// AUROC: Σ (FP_j − FP_{j−1}) (TP_j + TP_{j−1}) / (2 P N), the trapezoid rule. Equal to the probability that an anomalous sample scores above a good one, plus
/// half of that of a tie. All but the final division is exact.
/// </summary>
internal struct RocArea
{
    private UInt128 _twiceArea;
    private long _truePositives;
    private long _falsePositives;

    /// <summary>Takes the next step of the curve.</summary>
    public void Add(in CurveStep step)
    {
        // Good samples between the last step and this one, then those of this very score.
        Extend(step.FalsePositivesAbove, _truePositives);
        Extend(step.FalsePositives, step.TruePositives);
    }

    /// <summary>The area.</summary>
    /// <param name="positives">Number of anomalous samples, P.</param>
    /// <param name="negatives">Number of good samples, N.</param>
    public double Value(long positives, long negatives)
    {
        Extend(negatives, positives);
        return (double)_twiceArea / (2.0 * positives * negatives);
    }

    private void Extend(long falsePositives, long truePositives)
    {
        _twiceArea += (UInt128)(ulong)(falsePositives - _falsePositives) * (ulong)(truePositives + _truePositives);
        (_falsePositives, _truePositives) = (falsePositives, truePositives);
    }
}
