namespace KernelAD.Evaluation.Metrics;

/// <summary>The metrics of one category.</summary>
public sealed class MetricsResult
{
    internal MetricsResult(
        MetricVariant variant, IReadOnlyList<NamedMetric> values, DetectionMetrics image, MetricCurves imageCurves, MetricCurves pixelCurves)
    {
        Variant = variant;
        Values = values;
        Image = image;
        ImageCurves = imageCurves;
        PixelCurves = pixelCurves;
    }

    /// <summary>Whose definitions were used.</summary>
    public MetricVariant Variant { get; }

    /// <summary>
    /// The metrics in a fixed order. <see cref="MetricVariant.Default"/>: <c>image_auroc</c>, <c>image_ap</c>, <c>image_f1max</c>, <c>image_f1max_at</c>,
    /// <c>image_threshold</c>, the same for <c>pixel_</c>, <c>aupro_0.3</c>, <c>aupro_0.05</c>, <c>aupro_1.0</c>, <c>regions_8</c>;
    /// <see cref="MetricVariant.Ader"/>: the names of ADer's evaluator.
    /// </summary>
    public IReadOnlyList<NamedMetric> Values { get; }

    /// <summary>The image metrics on the scores that were added, by the default definitions in every variant.</summary>
    public DetectionMetrics Image { get; }

    /// <summary>Curves of the image scores.</summary>
    public MetricCurves ImageCurves { get; }

    /// <summary>Curves of the pixels.</summary>
    public MetricCurves PixelCurves { get; }

    /// <summary>A metric by its name.</summary>
    /// <exception cref="KeyNotFoundException">There is none of this name.</exception>
    public MetricValue this[string name]
    {
        get
        {
            foreach (NamedMetric metric in Values)
            {
                if (metric.Name == name)
                {
                    return metric.Value;
                }
            }

            throw new KeyNotFoundException($"there is no metric \"{name}\"");
        }
    }
}
