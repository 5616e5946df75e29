using System.Globalization;
using System.Security.Cryptography;
using KernelAD.Imaging;
using KernelAD.Weights;

namespace KernelAD.Evaluation;

/// <summary>The model of an evaluation, and what it ran on.</summary>
/// <param name="Name">The kind of model.</param>
/// <param name="File">Its file, without folder.</param>
/// <param name="Sha256">SHA-256 of the file, in lower-case hexadecimal.</param>
/// <param name="Preprocessing">How pictures are prepared, in words.</param>
/// <param name="MapHeight">Height of its maps.</param>
/// <param name="MapWidth">Width of its maps.</param>
/// <param name="Device">What it ran on.</param>
/// <param name="Precision">fp32, tf32 or fp16.</param>
/// <param name="Lanes">Pictures, or batches, that were worked on at the same time.</param>
/// <param name="Threshold">The model's own decision threshold, or the one given; null: there is none.</param>
/// <param name="PixelThreshold">Map values at or above it are anomalous; null if the model file does not say.</param>
/// <param name="Calibration">How the model file's thresholds were found, in words; null if it has none.</param>
/// <param name="Warnings">What its user should know.</param>
public sealed record EvaluatedModel(
    string Name,
    string File,
    string Sha256,
    string Preprocessing,
    int MapHeight,
    int MapWidth,
    string Device,
    string Precision,
    int Lanes,
    double? Threshold,
    double? PixelThreshold,
    string? Calibration,
    IReadOnlyList<string> Warnings)
{
    /// <summary>Describes a loaded model.</summary>
    /// <param name="pipeline">The model.</param>
    /// <param name="path">The file it was loaded from.</param>
    /// <param name="precision">The precision asked for.</param>
    /// <exception cref="IOException">The file cannot be read again.</exception>
    public static EvaluatedModel Of(PicturePipeline pipeline, string path, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        AnomalyDetector detector = pipeline.Detector;
        using FileStream file = System.IO.File.OpenRead(path);
        return new EvaluatedModel(
            detector.Model.Name,
            Path.GetFileName(path),
            Convert.ToHexStringLower(SHA256.HashData(file)),
            detector.Preprocessing.Describe(),
            detector.MapHeight,
            detector.MapWidth,
            detector.Device,
            precision.ToString().ToLowerInvariant(),
            pipeline.Lanes,
            detector.Threshold,
            detector.PixelThreshold,
            detector.Calibration is { } calibration ? Describe(calibration) : null,
            detector.Warnings);
    }

    private static string Describe(ModelCalibration c)
    {
        string parameter = c.Parameter is double p ? string.Create(CultureInfo.InvariantCulture, $" {p:G4}") : "";
        string date = c.Date is null ? "" : $", {c.Date}";
        return string.Create(CultureInfo.InvariantCulture, $"{c.Method ?? "threshold"}{parameter} on {c.GoodPictures} good pictures{date}");
    }
}
