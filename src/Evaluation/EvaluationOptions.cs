using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation;

/// <summary>How an evaluation measures.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Whose definitions of the metrics are used.</summary>
    public MetricVariant Variant { get; init; }

    /// <summary>How masks are brought to the size of maps.</summary>
    public MaskRule MaskRule { get; init; }

    /// <summary>The highest mask value of an anomaly-free pixel.</summary>
    public byte MaskThreshold { get; init; }

    /// <summary>
    /// Pictures that the report shows at most, half of them the highest-scoring good ones and half the lowest-scoring anomalous ones: whatever the threshold,
    /// the worst errors are among them. Each takes some 400 kB of memory until the report is written.
    /// </summary>
    public int GalleryPictures { get; init; } = 300;
}
