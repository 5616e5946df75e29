namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// Collects what the metrics of one category need, one image at a time: the image's score and label, its raw map and mask. Takes 4 bytes for an anomaly-free
/// pixel and 8 for an anomalous one; computing takes the same again. Results do not depend on the order of the images, nor on the number of threads.
/// Not safe for concurrent use.
/// </summary>
/// <param name="variant">Whose definitions to use.</param>
/// <param name="maskThreshold">The highest mask value of an anomaly-free pixel.</param>
public sealed class MetricsCollector(MetricVariant variant = MetricVariant.Default, byte maskThreshold = 0)
{
    private readonly ImageScores _images = new();
    private readonly ImageScores _maxima = new();
    private readonly ImageScores _pooled = new();
    private readonly PixelScores _pixels = new();
    private bool _allPooled = true;
    private bool _computed;

    /// <summary>Adds an image's score.</summary>
    /// <param name="name">The image, for messages.</param>
    /// <param name="isAnomalous">Its label.</param>
    /// <param name="score">Its raw score; higher is more anomalous.</param>
    /// <exception cref="TensorException">The score is NaN.</exception>
    /// <exception cref="InvalidOperationException">The metrics have been computed.</exception>
    public void AddImage(string name, bool isAnomalous, float score)
    {
        ThrowIfComputed();
        if (float.IsNaN(score))
        {
            throw new TensorException($"{name}: the score is NaN, so it has no place among the others; check the model that made it");
        }

        _images.Add(isAnomalous, score);
    }

    /// <summary>Adds an image's pixels.</summary>
    /// <param name="name">The image, for messages.</param>
    /// <param name="map">height · width raw values of the anomaly map, row-major; infinities are allowed.</param>
    /// <param name="mask">As many values of the ground truth.</param>
    /// <param name="height">Number of rows.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <returns>Number of anomalous pixels: a mask may vanish when it is made smaller.</returns>
    /// <exception cref="TensorException">The map holds NaN, or the category has more pixels than fit into one array (some 2 thousand million).</exception>
    /// <exception cref="ArgumentException">Map or mask have another length.</exception>
    /// <exception cref="InvalidOperationException">The metrics have been computed.</exception>
    public int AddPixels(string name, ReadOnlySpan<float> map, ReadOnlySpan<byte> mask, int height, int width)
    {
        ThrowIfComputed();
        ArgumentOutOfRangeException.ThrowIfNotEqual(map.Length, (long)height * width, nameof(map));
        ArgumentOutOfRangeException.ThrowIfNotEqual(mask.Length, map.Length, nameof(mask));
        int bad = ScoreKey.FirstNaN(map);
        if (bad >= 0)
        {
            throw new TensorException(
                $"{name}: the anomaly map holds NaN at row {bad / width}, column {bad % width}, which has no place among the other values; check the model that made it");
        }

        if (_pixels.Count + map.Length > Array.MaxLength)
        {
            throw new TensorException($"{name}: with this image the category has more than {Array.MaxLength:N0} pixels; evaluate smaller maps, or fewer images at a time");
        }

        int anomalous = _pixels.Add(map, mask, height, width, maskThreshold);
        if (variant == MetricVariant.Ader && map.Length > 0)
        {
            AddPooled(map, height, width, anomalous > 0);
        }

        return anomalous;
    }

    /// <summary>Computes the metrics. Once only: the memory of what was collected is used up.</summary>
    /// <param name="threads">Threads to use at most; 0 means one per processor.</param>
    /// <exception cref="InvalidOperationException">The metrics have been computed.</exception>
    public MetricsResult Compute(int threads = 0)
    {
        ThrowIfComputed();
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        _computed = true;
        Ranking pixels = _pixels.Rank(threads == 0 ? Environment.ProcessorCount : threads);
        Ranking images = _images.Rank();
        CurveTracer imageCurves = new(images);
        CurveTracer pixelCurves = new(pixels);
        DetectionMetrics image = DetectionMetrics.Of(images, "image", imageCurves.Add);
        PixelMetrics pixel = PixelMetrics.Of(pixels, pixelCurves.Add);
        IEnumerable<NamedMetric> values = variant == MetricVariant.Ader ? AderValues(pixels) : DefaultValues(image, pixel);
        return new MetricsResult(variant, [.. values], image, imageCurves.Finish(), pixelCurves.Finish());
    }

    private static IEnumerable<NamedMetric> DefaultValues(DetectionMetrics image, PixelMetrics pixel) =>
    [
        .. Named("image", image),
        .. Named("pixel", pixel.Detection),
        new NamedMetric("aupro_0.3", pixel.Aupro30),
        new NamedMetric("aupro_0.05", pixel.Aupro5),
        new NamedMetric("aupro_1.0", pixel.Aupro100),
        new NamedMetric("regions_8", new MetricValue(pixel.Regions)),
    ];

    private static IEnumerable<NamedMetric> Named(string level, DetectionMetrics metrics)
    {
        bool none = metrics.Positives == 0;
        string reason = DetectionMetrics.NoPositives(level);
        return
        [
            new NamedMetric($"{level}_auroc", metrics.Auroc),
            new NamedMetric($"{level}_ap", metrics.AveragePrecision),
            new NamedMetric($"{level}_f1max", metrics.HighestF1),
            new NamedMetric($"{level}_f1max_at", new MetricValue(metrics.HighestF1At).UndefinedIf(none, reason)),
            new NamedMetric($"{level}_threshold", new MetricValue(metrics.Threshold).UndefinedIf(none, reason)),
        ];
    }

    private IEnumerable<NamedMetric> AderValues(Ranking pixels) =>
    [
        .. AderMetrics.Images(_maxima.Rank(), "None"),
        .. _allPooled ? AderMetrics.Images(_pooled.Rank(), "[16,16]") : [],
        .. AderMetrics.Pixels(pixels),
    ];

    /// <summary>ADer takes scores from the maps and labels from the masks.</summary>
    private void AddPooled(ReadOnlySpan<float> map, int height, int width, bool isAnomalous)
    {
        _maxima.Add(isAnomalous, ImagePooling.Max(map));
        float pooled = ImagePooling.AverageThenMax(map, height, width);
        if (float.IsNaN(pooled))
        {
            _allPooled = false;
        }
        else
        {
            _pooled.Add(isAnomalous, pooled);
        }
    }

    private void ThrowIfComputed()
    {
        if (_computed)
        {
            throw new InvalidOperationException("the metrics have been computed; use a new collector");
        }
    }
}
