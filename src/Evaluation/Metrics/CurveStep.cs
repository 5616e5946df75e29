namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// A point of the curve over all thresholds: what is counted at "score ≥ <paramref name="Score"/>". One step for all samples of equal score, and only where at
/// least one of them is anomalous: between two steps nothing but the false positives grows.
/// </summary>
/// <param name="Score">The threshold.</param>
/// <param name="TruePositives">Anomalous samples at or above it.</param>
/// <param name="FalsePositives">Good samples at or above it.</param>
/// <param name="NewPositives">Anomalous samples that have exactly this score.</param>
/// <param name="FalsePositivesAbove">Good samples strictly above it.</param>
/// <param name="Overlap">Mean over all regions of the share of their pixels at or above it, at most 1; 0 where samples have no regions.</param>
internal readonly record struct CurveStep(
    float Score, long TruePositives, long FalsePositives, long NewPositives, long FalsePositivesAbove, double Overlap);
