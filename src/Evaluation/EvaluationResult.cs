using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation;

/// <summary>What came of one picture.</summary>
/// <param name="Sample">The picture and what is known about it.</param>
public sealed record PictureResult(Sample Sample)
{
    /// <summary>Why there is no score; null if there is one.</summary>
    public string? Error { get; init; }

    /// <summary>The raw image score.</summary>
    public float Score { get; init; }

    /// <summary>Width of the picture.</summary>
    public int Width { get; init; }

    /// <summary>Height of the picture.</summary>
    public int Height { get; init; }

    /// <summary>Anomalous pixels of the mask in the size of the map; null if the pixels were left out.</summary>
    public int? AnomalousPixels { get; init; }

    /// <summary>Something worth saying about the mask; null if there is nothing.</summary>
    public string? Remark { get; init; }

    /// <summary>Time to read and decode the picture.</summary>
    public TimeSpan Decode { get; init; }

    /// <summary>Time to resize, crop and normalise it.</summary>
    public TimeSpan Preprocess { get; init; }

    /// <summary>Its part of the time in the network.</summary>
    public TimeSpan Network { get; init; }

    /// <summary>Time to read the mask and to prepare what the report shows.</summary>
    public TimeSpan Truth { get; init; }
}

/// <summary>What came of one category.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Metrics">Its metrics.</param>
/// <param name="Pictures">Its test pictures, in their order.</param>
/// <param name="Gallery">What the report shows of them.</param>
public sealed record CategoryResult(string Name, MetricsResult Metrics, IReadOnlyList<PictureResult> Pictures, IReadOnlyList<GalleryPicture> Gallery);

/// <summary>A whole evaluation: what was measured, how, and what came of it.</summary>
public sealed record EvaluationResult
{
    /// <summary>The data set.</summary>
    public required DataSet Data { get; init; }

    /// <summary>How it was measured.</summary>
    public required EvaluationOptions Options { get; init; }

    /// <summary>The model and what it ran on.</summary>
    public required EvaluatedModel Model { get; init; }

    /// <summary>The categories that have test pictures.</summary>
    public required IReadOnlyList<CategoryResult> Categories { get; init; }

    /// <summary>What was left out or could not be read, each with its name.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>What should be known about masks: defects too small for the map, for instance. Nothing was left out.</summary>
    public required IReadOnlyList<string> Remarks { get; init; }

    /// <summary>Time from the first picture to the last metric.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>When it ended.</summary>
    public required DateTimeOffset Date { get; init; }

    /// <summary>Means over the categories.</summary>
    public IReadOnlyList<CategoryMean> Means => CategoryMean.Of([.. Categories.Select(c => c.Metrics)]);

    /// <summary>Number of pictures that have a score.</summary>
    public int Judged => Categories.Sum(c => c.Pictures.Count(p => p.Error is null));

    /// <summary>
    /// Share of the time that was not spent in the network: decoding, resizing, masks, metrics, waiting. The lanes' times count together.
    /// </summary>
    public double ShareOutsideNetwork =>
        1 - (Categories.Sum(c => c.Pictures.Sum(p => p.Network.TotalSeconds)) / Math.Max(Elapsed.TotalSeconds * Model.Lanes, 1e-9));
}
