using System.Diagnostics;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;
using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Evaluation;

/// <summary>
/// Measures a model on the test pictures of a data set: every category by itself, image by image. Labels come from the data set, never from masks; metrics are
/// computed on raw maps and scores. A picture or mask that cannot be read is named, and the rest is done.
/// </summary>
/// <param name="pipeline">The model.</param>
/// <param name="model">What the result says about it.</param>
/// <param name="data">The data set.</param>
/// <param name="options">How to measure.</param>
/// <exception cref="ConfigurationException">The mask rule does not go with the model.</exception>
public sealed class EvaluationRun(PicturePipeline pipeline, EvaluatedModel model, DataSet data, EvaluationOptions options)
{
    private readonly MaskReader _masks = new(pipeline.Detector.Preprocessing, options.MaskRule, options.MaskThreshold);
    private readonly PicturePreprocessor _geometry = new(pipeline.Detector.Preprocessing);
    private readonly List<string> _problems = [.. data.Problems];
    private readonly List<string> _remarks = [];

    /// <summary>Number of pictures to judge.</summary>
    public int PictureCount => data.Categories.Sum(c => c.Test.Count);

    /// <summary>Runs.</summary>
    /// <param name="done">Sees every picture's result as it comes, in order.</param>
    /// <param name="cancellation">Ends the run after the pictures in hand.</param>
    /// <exception cref="DataSetException">There is no test picture, or none that can be read.</exception>
    public async Task<EvaluationResult> RunAsync(Action<PictureResult>? done = null, CancellationToken cancellation = default)
    {
        if (PictureCount == 0)
        {
            throw new DataSetException($"{data.Root}: no test pictures, so there is nothing to measure on; expected good and anomalous ones beside those for training");
        }

        long start = Stopwatch.GetTimestamp();
        List<CategoryResult> categories = [];
        foreach (Category category in data.Categories)
        {
            if (category.Test.Count == 0)
            {
                _problems.Add($"{category.Name}: no test pictures; the category is left out");
                continue;
            }

            categories.Add(await RunAsync(category, done, cancellation).ConfigureAwait(false));
        }

        EvaluationResult result = new()
        {
            Data = data,
            Options = options,
            Model = model,
            Categories = categories,
            Problems = _problems,
            Remarks = _remarks,
            Elapsed = Stopwatch.GetElapsedTime(start),
            Date = DateTimeOffset.Now,
        };
        return result.Judged > 0
            ? result
            : throw new DataSetException($"{data.Root}: none of the {PictureCount} test pictures could be judged; the first: {_problems.FirstOrDefault()}");
    }

    private async Task<CategoryResult> RunAsync(Category category, Action<PictureResult>? done, CancellationToken cancellation)
    {
        MetricsCollector collector = new(options.Variant);
        GallerySelection gallery = new(options.GalleryPictures);
        List<PictureResult> pictures = [];
        await foreach (Judged judged in pipeline.RunAsync(category.Test, s => PictureFile.Read(s.PicturePath), Judge, cancellation).ConfigureAwait(false))
        {
            PictureResult picture = Collect(judged, collector);
            if (judged.Shown is not null)
            {
                gallery.Add(judged.Shown, picture.Sample.IsAnomalous, picture.Score);
            }

            pictures.Add(picture);
            done?.Invoke(picture);
        }

        return new CategoryResult(category.Name, collector.Compute(), pictures, gallery.Finish());
    }

    /// <summary>What a lane makes of a picture while it has pixels and map at hand.</summary>
    private Judged Judge(Sample sample, PictureOutcome outcome)
    {
        if (outcome.Picture is not Picture picture || outcome.Error is not null)
        {
            return Failed(sample, outcome.Error ?? "no picture");
        }

        long start = Stopwatch.GetTimestamp();
        float[] map = outcome.Map.ToArray();
        if (Array.Exists(map, v => !float.IsFinite(v)))
        {
            return Failed(sample, "the network's map holds NaN or infinities: its weights overflow float32 on this picture");
        }

        (Mask? mask, string? problem) = ReadMask(sample, picture);
        GalleryPicture? shown = options.GalleryPictures == 0 ? null : GalleryPicture.Of(
            sample.Name, picture, map, _geometry.Height, _geometry.Width, _geometry.Region(picture.Height, picture.Width), mask);
        PictureResult result = new(sample)
        {
            Score = outcome.Score,
            Width = picture.Width,
            Height = picture.Height,
            Decode = outcome.Decode,
            Preprocess = outcome.Preprocess,
            Network = outcome.Network,
        };
        if (mask is not null && (mask.Height, mask.Width) != (_geometry.Height, _geometry.Width))
        {
            float[] enlarged = new float[mask.Height * mask.Width];
            new MapView(map, _geometry.Height, _geometry.Width).Resize(mask.Height, mask.Width, enlarged);
            map = enlarged;
        }

        return new Judged(result with { Truth = Stopwatch.GetElapsedTime(start) }, map, mask, problem, shown);
    }

    /// <summary>Errors of the network do not know the picture's name.</summary>
    private static Judged Failed(Sample sample, string error) => new(new PictureResult(sample)
    {
        Error = error.Contains(sample.PicturePath, StringComparison.Ordinal) ? error : $"{sample.PicturePath}: {error}",
    });

    private (Mask? Mask, string? Problem) ReadMask(Sample sample, Picture picture)
    {
        if (!sample.HasPixelTruth)
        {
            return (null, null);
        }

        try
        {
            return (_masks.Read(sample, picture.Height, picture.Width), null);
        }
        catch (BadInputException e)
        {
            return (null, $"{e.Message}; its pixels are left out");
        }
    }

    /// <summary>Takes a picture into the metrics and notes what has to be said about it.</summary>
    private PictureResult Collect(Judged judged, MetricsCollector collector)
    {
        PictureResult picture = judged.Picture;
        if (picture.Error is not null)
        {
            _problems.Add(picture.Error);
            return picture;
        }

        collector.AddImage(picture.Sample.Name, picture.Sample.IsAnomalous, picture.Score);
        if (judged.Problem is not null)
        {
            _problems.Add(judged.Problem);
            return picture with { Remark = judged.Problem };
        }

        if (judged.Mask is not Mask mask)
        {
            return picture with { Remark = "anomalous without a mask: its pixels are left out" };
        }

        string? remark = mask.Remark switch
        {
            MaskRemark.Vanished => "the mask vanishes when it is brought to the size of the map: the defect counts for the image metrics only",
            MaskRemark.Empty => $"the mask marks nothing above {options.MaskThreshold}",
            _ => null,
        };
        if (remark is not null)
        {
            _remarks.Add($"{picture.Sample.Name}: {remark}");
        }

        int anomalous = collector.AddPixels(picture.Sample.Name, judged.Map, mask.Pixels, mask.Height, mask.Width);
        return picture with { AnomalousPixels = anomalous, Remark = remark };
    }

    /// <summary>A picture on its way from a lane to the metrics.</summary>
    private sealed record Judged(PictureResult Picture, float[]? Map = null, Mask? Mask = null, string? Problem = null, GalleryPicture? Shown = null);
}
