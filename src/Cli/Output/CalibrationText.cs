using System.Globalization;
using System.Text.Json;
using KernelAD.Weights;

namespace KernelAD.Cli.Output;

/// <summary>What a model file says about its thresholds, for people and as JSON.</summary>
internal static class CalibrationText
{
    /// <summary>"conformal 0.01, 2026-01-31".</summary>
    public static string Method(ModelCalibration calibration) => string.Join(
        ", ",
        new[] { calibration.Method is string method ? string.Create(CultureInfo.InvariantCulture, $"{method} {calibration.Parameter}").TrimEnd() : null, calibration.Date }.Where(t => t is not null));

    /// <summary>"0.0123 (conformal 0.01, 2026-01-31, from 120 good pictures)".</summary>
    public static string Describe(ModelCalibration calibration) => calibration.Threshold is double threshold
        ? string.Create(CultureInfo.InvariantCulture, $"{threshold:G6}, of pixels {calibration.PixelThreshold:G6} ({Method(calibration)}, from {calibration.GoodPictures} good pictures)")
        : "none in the file; find one with `kernelad calibrate`, or give one with --threshold";

    /// <summary>Writes everything that is known, or null.</summary>
    public static void WriteCalibration(this Utf8JsonWriter json, string name, ModelCalibration? calibration)
    {
        if (calibration is null)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartObject(name);
        json.WriteString("method", calibration.Method);
        json.WriteNumberOrNull("parameter", calibration.Parameter);
        json.WriteNumber("good_pictures", calibration.GoodPictures);
        json.WriteNumber("anomalous_pictures", calibration.AnomalousPictures);
        json.WriteNumberOrNull("threshold", calibration.Threshold);
        json.WriteNumberOrNull("pixel_threshold", calibration.PixelThreshold);
        json.WriteNumberOrNull("score_low", calibration.ScoreLow);
        json.WriteNumberOrNull("score_median", calibration.ScoreMedian);
        json.WriteNumberOrNull("score_high", calibration.ScoreHigh);
        json.WriteString("score_pooling", calibration.ScorePooling);
        json.WriteString("date", calibration.Date);
        json.WriteString("preprocessing_sha256", calibration.PreprocessingHash);
        json.WriteEndObject();
    }
}
