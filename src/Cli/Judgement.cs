using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>A picture on its way through <c>kernelad detect</c>.</summary>
/// <param name="Entry">The picture.</param>
/// <param name="Index">How many were taken before it.</param>
/// <param name="Overlay">Where its overlay goes; null: none is drawn.</param>
internal sealed record PictureTask(PictureEntry Entry, int Index, string? Overlay);

/// <summary>What came of one picture.</summary>
/// <param name="Task">The picture.</param>
internal sealed record Judgement(PictureTask Task)
{
    /// <summary>Why there is no score; null if there is one.</summary>
    public string? Error { get; init; }

    /// <summary>Pixels in a row of the picture.</summary>
    public int Width { get; init; }

    /// <summary>Rows of the picture.</summary>
    public int Height { get; init; }

    /// <summary>The raw image score.</summary>
    public float Score { get; init; }

    /// <summary>Lowest and highest value of the map.</summary>
    public (float Low, float High) Range { get; init; }

    /// <summary>The scale of the colours of its overlay, if one was drawn.</summary>
    public HeatMapScale? Scale { get; init; }

    /// <summary>Time to read and decode the file.</summary>
    public TimeSpan Decode { get; init; }

    /// <summary>Time to resize, crop and normalise.</summary>
    public TimeSpan Preprocess { get; init; }

    /// <summary>This picture's part of its batch's time in the network.</summary>
    public TimeSpan Network { get; init; }

    /// <summary>What a pipeline found.</summary>
    public static Judgement Of(PictureTask task, PictureOutcome outcome) => outcome.Error is string error
        ? new Judgement(task) { Error = error.Contains(task.Entry.Path, StringComparison.Ordinal) ? error : $"{task.Entry.Path}: {error}" }
        : new Judgement(task)
        {
            Width = outcome.Picture!.Width,
            Height = outcome.Picture.Height,
            Score = outcome.Score,
            Range = HeatMapScales.Range(outcome.Map.Span),
            Decode = outcome.Decode,
            Preprocess = outcome.Preprocess,
            Network = outcome.Network,
        };
}
