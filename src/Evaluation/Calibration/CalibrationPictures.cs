using KernelAD.Imaging;

namespace KernelAD.Evaluation.Calibration;

/// <summary>A picture to calibrate with.</summary>
/// <param name="Path">The file.</param>
/// <param name="IsAnomalous">What is known about it.</param>
public sealed record CalibrationPicture(string Path, bool IsAnomalous);

/// <summary>Scores the pictures of a calibration.</summary>
public static class CalibrationPictures
{
    /// <summary>Scores pictures with the model as it is.</summary>
    /// <param name="pipeline">The model.</param>
    /// <param name="pictures">The pictures.</param>
    /// <param name="reading">How files are read.</param>
    /// <param name="done">Called for every picture in order, with what is wrong with it, or null.</param>
    /// <param name="cancellation">Stops the calibration.</param>
    /// <returns>The scores of all pictures that could be read, in order.</returns>
    public static List<CalibrationScore> Score(
        PicturePipeline pipeline, IEnumerable<CalibrationPicture> pictures, PictureReadOptions reading, Action<string?> done, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(done);
        IAsyncEnumerable<(CalibrationScore? Score, string? Error)> results = pipeline.RunAsync(
            pictures,
            picture => PictureFile.Read(picture.Path, reading),
            (picture, outcome) => outcome.Error is string error
                ? ((CalibrationScore?)null, error)
                : (new CalibrationScore(picture.Path, outcome.Score, Highest(outcome.Map.Span), picture.IsAnomalous), null),
            cancellation);
        List<CalibrationScore> scores = [];
        foreach ((CalibrationScore? score, string? error) in results.ToBlockingEnumerable(CancellationToken.None))
        {
            if (score is not null)
            {
                scores.Add(score);
            }

            done(error);
        }

        return scores;
    }

    private static float Highest(ReadOnlySpan<float> map)
    {
        float highest = float.NegativeInfinity;
        foreach (float value in map)
        {
            highest = Math.Max(highest, value);
        }

        return highest;
    }
}
