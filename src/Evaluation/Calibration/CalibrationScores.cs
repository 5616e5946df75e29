using KernelAD.Weights;

namespace KernelAD.Evaluation.Calibration;

/// <summary>What a model says about one picture of a calibration.</summary>
/// <param name="Path">The picture file.</param>
/// <param name="Score">The raw image score.</param>
/// <param name="MapMaximum">The highest value of the raw map.</param>
/// <param name="IsAnomalous">What is known about the picture.</param>
public sealed record CalibrationScore(string Path, float Score, float MapMaximum, bool IsAnomalous);

/// <summary>The scores of a calibration, and what follows from them.</summary>
public sealed class CalibrationScores
{
    private readonly CalibrationScore[] _all;

    /// <summary>Takes the scores.</summary>
    /// <exception cref="CalibrationException">There is no good picture.</exception>
    public CalibrationScores(IEnumerable<CalibrationScore> scores)
    {
        _all = [.. scores];
        if (Good == 0)
        {
            throw new CalibrationException("no good pictures: a calibration needs some that were not used in training");
        }
    }

    /// <summary>Number of good pictures.</summary>
    public int Good => _all.Count(s => !s.IsAnomalous);

    /// <summary>Number of anomalous pictures.</summary>
    public int Anomalous => _all.Length - Good;

    /// <summary>Chooses thresholds for image scores and, by each map's maximum, for pixels.</summary>
    /// <param name="method">How.</param>
    /// <param name="preprocessingHash">What the scores were computed with, see <see cref="ModelFile.PreprocessingHash"/>.</param>
    /// <param name="date">The day of the calibration.</param>
    /// <exception cref="CalibrationException">The method needs more pictures.</exception>
    public ModelCalibration Calibrate(ThresholdMethod method, string preprocessingHash, DateOnly date)
    {
        ArgumentNullException.ThrowIfNull(method);
        float[] good = Values(s => s.Score, anomalous: false), maxima = Values(s => s.MapMaximum, anomalous: false);
        return new ModelCalibration
        {
            Method = method.Name,
            Parameter = method.Parameter,
            GoodPictures = good.Length,
            AnomalousPictures = method.Kind == ThresholdMethodKind.F1 ? Anomalous : 0,
            Threshold = method.Find(good, Values(s => s.Score, anomalous: true)),
            PixelThreshold = method.Find(maxima, Values(s => s.MapMaximum, anomalous: true)),
            ScoreLow = good.Min(),
            ScoreMedian = Thresholds.Median(good),
            ScoreHigh = good.Max(),
            ScorePooling = "model",
            Date = date.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture),
            PreprocessingHash = preprocessingHash,
        };
    }

    /// <summary>Number of pictures, good or anomalous, that a threshold calls anomalous.</summary>
    /// <param name="threshold">The threshold of image scores.</param>
    /// <param name="anomalous">Which pictures are counted.</param>
    public int CountAtLeast(double threshold, bool anomalous) => _all.Count(s => s.IsAnomalous == anomalous && s.Score >= threshold);

    /// <summary>The threshold of the highest F1 on these pictures, and that F1.</summary>
    /// <exception cref="CalibrationException">There is no anomalous picture.</exception>
    public (double Threshold, double F1) HighestF1() => Thresholds.HighestF1(Values(s => s.Score, anomalous: false), Values(s => s.Score, anomalous: true));

    private float[] Values(Func<CalibrationScore, float> value, bool anomalous) => [.. _all.Where(s => s.IsAnomalous == anomalous).Select(value)];
}
