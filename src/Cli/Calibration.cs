using KernelAD.Cli.Output;
using KernelAD.Evaluation.Calibration;
using KernelAD.Imaging;
using KernelAD.Models;
using KernelAD.Weights;
using Spectre.Console;

namespace KernelAD.Cli;

/// <summary>One run of <c>kernelad calibrate</c>.</summary>
internal sealed class Calibration
{
    private int _failed;

    /// <summary>The model file.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Where the calibrated model goes.</summary>
    public required string OutputPath { get; init; }

    /// <summary>How thresholds are chosen.</summary>
    public required ThresholdMethod Method { get; init; }

    /// <summary>Whether too few pictures for a conformal threshold are no error.</summary>
    public required bool FallBackToMax { get; init; }

    /// <summary>File that says which pictures are anomalous; null: none is.</summary>
    public required string? LabelPath { get; init; }

    /// <summary>Whether InTra's mean map is fitted.</summary>
    public required bool MeanMap { get; init; }

    /// <summary>Pictures per run of the network.</summary>
    public required int Batch { get; init; }

    /// <summary>How picture files are read.</summary>
    public required PictureReadOptions Reading { get; init; }

    /// <summary>Whether the result is printed as JSON.</summary>
    public required bool Json { get; init; }

    /// <summary>Scores the pictures, finds the thresholds, writes the model file, prints.</summary>
    /// <returns>How many pictures could not be used.</returns>
    public int Run(IEnumerable<PictureEntry> entries, DetectorOptions options, CancellationToken cancellation)
    {
        List<CalibrationPicture> pictures = Label(entries);
        ThresholdMethod method = Check(Method, pictures.Count(p => !p.IsAnomalous), pictures.Count(p => p.IsAnomalous));
        (List<CalibrationScore> measured, TensorSource[] replaced, string device) = MeanMap ? FitMeanMap(pictures, options, cancellation) : Score(pictures, options, cancellation);
        CalibrationScores scores = new(measured);
        method = Check(method, scores.Good, scores.Anomalous);
        ModelCalibration calibration;
        using (ModelFile file = ModelFile.Open(ModelPath))
        {
            calibration = scores.Calibrate(method, file.PreprocessingHash, DateOnly.FromDateTime(DateTime.Now));
            file.Rewrite(OutputPath, calibration, replaced, cancellation);
        }

        if (Json)
        {
            PrintJson(calibration, scores, device);
        }
        else
        {
            PrintText(calibration, scores, device);
        }

        return _failed;
    }

    /// <summary>Every picture with what is known about it; entries that are none are reported.</summary>
    private List<CalibrationPicture> Label(IEnumerable<PictureEntry> entries)
    {
        IReadOnlyDictionary<string, bool>? labels = LabelPath is null ? null : LabelFile.Read(LabelPath);
        List<CalibrationPicture> pictures = [];
        foreach (PictureEntry entry in entries)
        {
            bool anomalous = false;
            if (entry.Error is not null)
            {
                Report(entry.Error);
            }
            else if (labels is not null && !labels.TryGetValue(Path.GetFullPath(entry.Path), out anomalous))
            {
                Report($"{entry.Path}: {LabelPath} has no label for it");
            }
            else
            {
                pictures.Add(new CalibrationPicture(entry.Path, anomalous));
            }
        }

        return pictures;
    }

    /// <summary>Fails before the work where the number of pictures will not do.</summary>
    private ThresholdMethod Check(ThresholdMethod method, int good, int anomalous)
    {
        if (good == 0)
        {
            throw new CalibrationException("no good pictures: a calibration needs some that were not used in training");
        }

        if (method.Kind == ThresholdMethodKind.F1 && anomalous == 0)
        {
            throw new CalibrationException("--method f1 needs anomalous pictures: name some and say which with --labels");
        }

        int needed = method.Kind == ThresholdMethodKind.Conformal ? Thresholds.NeededFor(method.Parameter!.Value) : 0;
        if (good >= needed)
        {
            return method;
        }

        string tooFew = $"{good} good pictures are too few for at most {100 * method.Parameter:0.####} % false rejects: at least {needed} are needed";
        if (!FallBackToMax)
        {
            throw new CalibrationException($"{tooFew}. Give more, allow more with --alpha {1.0 / (good + 1):0.####} or above, or take the highest score with --fallback max.");
        }

        Console.Error.WriteLine($"kernelad: warning: {tooFew}; the threshold is the highest score instead, and promises nothing");
        return new ThresholdMethod(ThresholdMethodKind.Max);
    }

    private (List<CalibrationScore> Scores, TensorSource[] Replaced, string Device) Score(
        List<CalibrationPicture> pictures, DetectorOptions options, CancellationToken cancellation)
    {
        using ProgressLine progress = new("scoring", pictures.Count);
        using PicturePipeline pipeline = PicturePipeline.Load(ModelPath, options, pictures.Count, Batch);
        List<CalibrationScore> scores = CalibrationPictures.Score(pipeline, pictures, Reading, error => Advance(progress, error), cancellation);
        return (scores, [], pipeline.Lanes > 1 ? $"{pipeline.Detector.Device}, {pipeline.Lanes} pictures at a time" : pipeline.Detector.Device);
    }

    private (List<CalibrationScore> Scores, TensorSource[] Replaced, string Device) FitMeanMap(
        List<CalibrationPicture> pictures, DetectorOptions options, CancellationToken cancellation)
    {
        if (pictures.Any(p => p.IsAnomalous))
        {
            throw new UsageException("--mean-map takes normal pictures only; calibrate with --labels afterwards");
        }

        using ProgressLine progress = new("fitting", pictures.Count);
        using AnomalyDetector detector = AnomalyDetector.Load(ModelPath, options);
        using InTraMeanMap fit = new(detector);
        foreach (CalibrationPicture entry in pictures)
        {
            string? error = null;
            try
            {
                using Picture picture = PictureFile.Read(entry.Path, Reading);
                fit.Add(entry.Path, picture.View, cancellation);
            }
            catch (BadInputException e)
            {
                error = e.Message;
            }

            Advance(progress, error);
        }

        return ([.. fit.Scores()], [TensorSource.Of(InTra.MeanMapKey, fit.Mean())], detector.Device);
    }

    private void Advance(ProgressLine progress, string? error)
    {
        if (error is not null)
        {
            progress.Clear();
            Report(error);
        }

        progress.Advance();
    }

    private void Report(string error)
    {
        _failed++;
        Console.Error.WriteLine($"kernelad: {error.ReplaceLineEndings(" ")}");
    }

    private void PrintText(ModelCalibration calibration, CalibrationScores scores, string device)
    {
        double threshold = calibration.Threshold!.Value;
        Table table = Human.Table("what", "value");
        table.Row("device", device);
        table.Row("method", CalibrationText.Method(calibration));
        table.Row("pictures", $"{scores.Good} good{(scores.Anomalous > 0 ? $", {scores.Anomalous} anomalous" : "")}");
        table.Row("threshold", $"{threshold:G6} of scores from {calibration.ScoreLow:G6} to {calibration.ScoreHigh:G6}, median {calibration.ScoreMedian:G6}");
        table.Row("pixel threshold", $"{calibration.PixelThreshold:G6}");
        table.Row("false rejects", $"{scores.CountAtLeast(threshold, anomalous: false)} of {scores.Good} on these pictures");
        if (scores.Anomalous > 0)
        {
            table.Row("found", $"{scores.CountAtLeast(threshold, anomalous: true)} of {scores.Anomalous} anomalous ones");
            (double best, double f1) = scores.HighestF1();
            table.Row("highest F1", $"{f1:F4} at threshold {best:G6} on these pictures");
        }

        if (MeanMap)
        {
            table.Row("mean map", $"of {scores.Good} pictures; each was scored by the mean of the others");
        }

        Human.Print(table);
        if (calibration.ScoreMedian == threshold)
        {
            Human.Line("warning: the threshold equals the median score of the good pictures: half of them are rejected, and normalised scores are all 0.5");
        }

        Human.Line($"written to {OutputPath}");
    }

    private void PrintJson(ModelCalibration calibration, CalibrationScores scores, string device) => JsonLine.Print(json =>
    {
        json.WriteString("file", OutputPath);
        json.WriteString("device", device);
        json.WriteCalibration("calibration", calibration);
        json.WriteNumber("false_rejects", scores.CountAtLeast(calibration.Threshold!.Value, anomalous: false));
        json.WriteNumber("good_pictures", scores.Good);
        if (scores.Anomalous > 0)
        {
            (double best, double f1) = scores.HighestF1();
            json.WriteNumber("found", scores.CountAtLeast(calibration.Threshold!.Value, anomalous: true));
            json.WriteNumber("anomalous_pictures", scores.Anomalous);
            json.WriteNumber("f1_max", f1);
            json.WriteNumber("f1_max_threshold", best);
        }

        json.WriteNumber("failed", _failed);
    });
}
