using System.Text.Json;
using System.Text.Json.Nodes;

namespace KernelAD.Weights;

/// <summary>
/// What is known about a model's scores from pictures of its own product: thresholds, and how they were found. Scores are raw, in the model's unit.
/// </summary>
public sealed record ModelCalibration
{
    /// <summary>Image scores at or above it are anomalous.</summary>
    public double? Threshold { get; init; }

    /// <summary>Map values at or above it are anomalous.</summary>
    public double? PixelThreshold { get; init; }

    /// <summary>How the thresholds were found: conformal, max, quantile-linear and so on, sigma, f1.</summary>
    public string? Method { get; init; }

    /// <summary>The method's parameter: the rate of false rejects, the quantile, the number of standard deviations. Null if it has none.</summary>
    public double? Parameter { get; init; }

    /// <summary>Number of good pictures used.</summary>
    public int GoodPictures { get; init; }

    /// <summary>Number of anomalous pictures used; only F1 needs any.</summary>
    public int AnomalousPictures { get; init; }

    /// <summary>The lowest score of a good picture.</summary>
    public double? ScoreLow { get; init; }

    /// <summary>The median score of the good pictures: 0 on the scale of normalised scores.</summary>
    public double? ScoreMedian { get; init; }

    /// <summary>The highest score of a good picture.</summary>
    public double? ScoreHigh { get; init; }

    /// <summary>Where image scores come from; "model" for what the model itself computes.</summary>
    public string? ScorePooling { get; init; }

    /// <summary>The day, as 2026-01-31.</summary>
    public string? Date { get; init; }

    /// <summary>The <see cref="ModelFile.PreprocessingHash"/> that the scores were computed with. A file that says another one now is refused.</summary>
    public string? PreprocessingHash { get; init; }

    /// <summary>
    /// A score on a scale of people's liking: n = 0.5 + 0.5 (s − t) / |t − a|, so that n ≥ 0.5 means anomalous and a typical good picture has 0. Not limited to
    /// 0 … 1. Where t = a there is no such scale: 0.5.
    /// </summary>
    /// <param name="score">The raw score s.</param>
    /// <param name="threshold">The threshold t.</param>
    /// <param name="median">The median good score a.</param>
    public static double Normalize(double score, double threshold, double median) =>
        threshold == median ? 0.5 : 0.5 + (0.5 * (score - threshold) / Math.Abs(threshold - median));

    internal JsonObject ToJson()
    {
        JsonObject o = [];
        Add("method", Method);
        Add("parameter", Parameter);
        Add("good_pictures", GoodPictures > 0 ? GoodPictures : null);
        Add("anomalous_pictures", AnomalousPictures > 0 ? AnomalousPictures : null);
        Add("threshold", Threshold);
        Add("pixel_threshold", PixelThreshold);
        Add("score_low", ScoreLow);
        Add("score_median", ScoreMedian);
        Add("score_high", ScoreHigh);
        Add("score_pooling", ScorePooling);
        Add("date", Date);
        Add("preprocessing_sha256", PreprocessingHash);
        return o;

        void Add(string key, JsonNode? value)
        {
            if (value is not null)
            {
                o.Add(key, value);
            }
        }
    }

    /// <exception cref="JsonException">A number is not finite.</exception>
    /// <exception cref="InvalidOperationException">A value is of another kind than expected.</exception>
    internal static ModelCalibration FromJson(JsonObject o)
    {
        return new ModelCalibration
        {
            Method = o["method"]?.GetValue<string>(),
            Parameter = Number("parameter"),
            GoodPictures = o["good_pictures"]?.GetValue<int>() ?? 0,
            AnomalousPictures = o["anomalous_pictures"]?.GetValue<int>() ?? 0,
            Threshold = Number("threshold"),
            PixelThreshold = Number("pixel_threshold"),
            ScoreLow = Number("score_low"),
            ScoreMedian = Number("score_median"),
            ScoreHigh = Number("score_high"),
            ScorePooling = o["score_pooling"]?.GetValue<string>(),
            Date = o["date"]?.GetValue<string>(),
            PreprocessingHash = o["preprocessing_sha256"]?.GetValue<string>(),
        };

        double? Number(string key) => o[key] is not JsonNode node
            ? null
            : node.GetValue<double>() is double value && double.IsFinite(value) ? value : throw new JsonException($"\"{key}\" is not finite");
    }
}
