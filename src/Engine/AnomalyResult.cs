namespace KernelAD;

/// <summary>Where the time of one call went.</summary>
/// <param name="Preprocess">Resizing, cropping, normalising.</param>
/// <param name="Network">The plan, from the normalised picture to map and score.</param>
public readonly record struct DetectionTimings(TimeSpan Preprocess, TimeSpan Network);

/// <summary>The verdict on one picture. Raw score, threshold and decision are separate things; nothing is normalised behind the user's back.</summary>
public sealed class AnomalyResult
{
    internal AnomalyResult(float score, double? threshold, float[] map, int mapWidth, int mapHeight, DetectionTimings timings)
    {
        Score = score;
        Threshold = threshold;
        Map = map;
        MapWidth = mapWidth;
        MapHeight = mapHeight;
        Timings = timings;
    }

    /// <summary>The model's raw image score: the larger, the more anomalous. Its unit is the model's own.</summary>
    public float Score { get; }

    /// <summary>The decision threshold in units of the raw score: from the options, otherwise from the model file; null if neither has one.</summary>
    public double? Threshold { get; }

    /// <summary>Whether the score reaches the threshold.</summary>
    /// <exception cref="InvalidOperationException">There is no threshold: neither the model file nor <see cref="DetectorOptions.Threshold"/> gives one.</exception>
    public bool IsAnomalous => Threshold is double t
        ? Score >= t
        : throw new InvalidOperationException("there is no threshold to decide by: the model file has no calibration, set DetectorOptions.Threshold");

    /// <summary>The raw anomaly map, row by row, <see cref="MapHeight"/> × <see cref="MapWidth"/> values, in the model's resolution.</summary>
    public ReadOnlyMemory<float> Map { get; }

    /// <summary>Width of the map.</summary>
    public int MapWidth { get; }

    /// <summary>Height of the map.</summary>
    public int MapHeight { get; }

    /// <summary>Where the time went.</summary>
    public DetectionTimings Timings { get; }
}
