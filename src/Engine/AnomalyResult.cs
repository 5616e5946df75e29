using KernelAD.Preprocessing;

namespace KernelAD;

/// <summary>Where the time of one call went.</summary>
/// <param name="Preprocess">Resizing, cropping, normalising.</param>
/// <param name="Network">The plan, from the normalised picture to map and score.</param>
public readonly record struct DetectionTimings(TimeSpan Preprocess, TimeSpan Network);

/// <summary>The verdict on one picture. Raw score, threshold and decision are separate things; nothing is normalised behind the user's back.</summary>
public sealed class AnomalyResult
{
    private readonly float[] _map;

    internal AnomalyResult(
        float score,
        double? threshold,
        double? pixelThreshold,
        double? normalizedScore,
        float[] map,
        int mapWidth,
        int mapHeight,
        DetectionTimings timings,
        PictureRegion region)
    {
        Score = score;
        Threshold = threshold;
        PixelThreshold = pixelThreshold;
        NormalizedScore = normalizedScore;
        _map = map;
        MapWidth = mapWidth;
        MapHeight = mapHeight;
        Timings = timings;
        Region = region;
    }

    private AnomalyResult(AnomalyResult other, string source)
        : this(
            other.Score,
            other.Threshold,
            other.PixelThreshold,
            other.NormalizedScore,
            other._map,
            other.MapWidth,
            other.MapHeight,
            other.Timings,
            other.Region)
    {
        Source = source;
    }

    /// <summary>The model's raw image score: the larger, the more anomalous. Its unit is the model's own.</summary>
    public float Score { get; }

    /// <summary>The decision threshold in units of the raw score: from the options, otherwise from the model file; null if neither has one.</summary>
    public double? Threshold { get; }

    /// <summary>
    /// The score on the scale that has the threshold at 0.5 and the median good score at 0, not limited to it: at least 0.5 exactly if anomalous. Null without
    /// threshold or calibration.
    /// </summary>
    public double? NormalizedScore { get; }

    /// <summary>Map values at or above it are anomalous; null if the model file does not say from where on.</summary>
    public double? PixelThreshold { get; }

    /// <summary>Whether the score reaches the threshold.</summary>
    /// <exception cref="InvalidOperationException">There is no threshold: neither the model file nor <see cref="DetectorOptions.Threshold"/> gives
    /// one.</exception>
    public bool IsAnomalous => Threshold is double t
        ? Score >= t
        : throw new InvalidOperationException("there is no threshold to decide by: the model file has no calibration, set DetectorOptions.Threshold");

    /// <summary>The raw anomaly map, row by row, <see cref="MapHeight"/> × <see cref="MapWidth"/> values, in the model's resolution.</summary>
    public ReadOnlyMemory<float> Map => _map;

    /// <summary>Width of the map.</summary>
    public int MapWidth { get; }

    /// <summary>Height of the map.</summary>
    public int MapHeight { get; }

    /// <summary>Where the time went.</summary>
    public DetectionTimings Timings { get; }

    /// <summary>The part of the picture that the map covers; all of it unless the model crops or pads.</summary>
    public PictureRegion Region { get; }

    /// <summary>The picture's file, if it was read from one.</summary>
    public string? Source { get; }

    /// <summary>The same result, said to be of a file.</summary>
    public AnomalyResult From(string source) => new(this, source);
}
