namespace KernelAD.Evaluation.Metrics;

/// <summary>What lies at or above a threshold.</summary>
/// <param name="TruePositives">Anomalous samples.</param>
/// <param name="FalsePositives">Good samples.</param>
/// <param name="Overlap">Mean over all regions of the share of their pixels; 0 where there are no regions.</param>
internal readonly record struct ThresholdCount(long TruePositives, long FalsePositives, double Overlap);
