using System.Runtime.InteropServices;
using KernelAD.Cli.Output;
using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>
/// One run of <c>kernelad detect</c>. Pictures are read, judged and drawn in the lanes of a pipeline; rows and lines come in order. Where the colours depend on
/// all maps of the run, maps wait in a temporary file until the last picture is judged, so that memory does not grow with the number of pictures.
/// </summary>
internal sealed class Detection(PicturePipeline pipeline, DetectorOptions options)
{
    private readonly AnomalyDetector _detector = pipeline.Detector;
    private readonly OverlayPainter _painter = new(pipeline.Detector);
    private int _failed;
    private int _anomalous;
    private int _judged;

    /// <summary>The model file, for the header.</summary>
    public required string ModelPath { get; init; }

    /// <summary>How picture files are read.</summary>
    public required PictureReadOptions Reading { get; init; }

    /// <summary>Where overlays go; null: none are drawn.</summary>
    public required string? OverlayFolder { get; init; }

    /// <summary>The colours' scale.</summary>
    public required (ScaleMode Mode, HeatMapScale Scale) Scale { get; init; }

    /// <summary>Where the table goes; null: none is written.</summary>
    public required string? CsvPath { get; init; }

    /// <summary>Whether to go on with the table that is there.</summary>
    public required bool Resume { get; init; }

    /// <summary>Whether results are printed as JSON.</summary>
    public required bool Json { get; init; }

    /// <summary>Judges all pictures; prints and writes the results.</summary>
    /// <param name="entries">The pictures.</param>
    /// <param name="count">How many there are, for the progress bar; 0: not known.</param>
    /// <param name="cancellation">Takes no further pictures; those in hand are finished and written.</param>
    /// <returns>How many pictures could not be judged, and how many are anomalous; with <see cref="Resume"/> those of earlier runs included.</returns>
    public (int Failed, int Anomalous) Run(IEnumerable<PictureEntry> entries, int count, CancellationToken cancellation)
    {
        HeatMapScale? scale = KnownScale();
        bool deferred = OverlayFolder is not null && scale is null && Scale.Mode != ScaleMode.Image;
        if (deferred && Resume)
        {
            throw new UsageException("--resume cannot go on with overlays whose colours depend on the whole run: give --scale LO,HI or image, or a threshold");
        }

        if (OverlayFolder is not null)
        {
            OutputFile.PrepareFolder(OverlayFolder);
        }

        using ResultTable? table = CsvPath is null ? null : Resume ? ResultTable.Resume(CsvPath, _detector.Threshold) : ResultTable.Create(CsvPath);
        (_failed, _anomalous, _judged) = (table?.Failed ?? 0, table?.Anomalous ?? 0, table?.Judged ?? 0);
        if (!Json)
        {
            Human.Header(_detector, options, ModelPath, pipeline.Lanes > 1 ? $", {pipeline.Lanes} pictures at a time" : "");
            if (_judged + _failed > 0)
            {
                Human.Line($"{_judged + _failed} pictures are in {CsvPath} already");
            }
        }

        using (ProgressLine progress = new("judging", count - _judged - _failed))
        {
            IEnumerable<Judgement> judgements = deferred ? JudgeDeferred(entries, table, progress, cancellation) : Judge(entries, table, scale, cancellation);
            foreach (Judgement judgement in judgements)
            {
                progress.Clear();
                Report(judgement, table);
                if (!deferred)
                {
                    progress.Advance();
                }
            }
        }

        if (!Json)
        {
            PrintSummary();
        }

        return (_failed, _anomalous);
    }

    private HeatMapScale? KnownScale() => Scale.Mode switch
    {
        ScaleMode.Fixed => Scale.Scale,
        ScaleMode.Automatic when (_detector.PixelThreshold ?? _detector.Threshold) is double t and > 0 => HeatMapScales.Around(t),
        _ => null,
    };

    /// <summary>The pictures that are still to do. Names of overlays are the same, whether or not earlier ones are.</summary>
    private IEnumerable<PictureTask> Tasks(IEnumerable<PictureEntry> entries, ResultTable? table)
    {
        OverlayNames? names = OverlayFolder is null ? null : new OverlayNames(OverlayFolder);
        int index = 0;
        foreach (PictureEntry entry in entries)
        {
            string? overlay = entry.Error is null ? names?.Next(entry) : null;
            if (table?.Skip(entry.Path) != true)
            {
                yield return new PictureTask(entry, index++, overlay);
            }
        }
    }

    private IEnumerable<Judgement> Run(
        IEnumerable<PictureEntry> entries, ResultTable? table, Func<PictureTask, PictureOutcome, Judgement> finish, CancellationToken cancellation) =>
        pipeline.RunAsync(Tasks(entries, table), task => Read(task.Entry), finish, cancellation).ToBlockingEnumerable(CancellationToken.None);

    private Picture Read(PictureEntry entry) => entry.Error is string error ? throw new PictureException(error) : PictureFile.Read(entry.Path, Reading);

    private IEnumerable<Judgement> Judge(IEnumerable<PictureEntry> entries, ResultTable? table, HeatMapScale? scale, CancellationToken cancellation) =>
        Run(entries, table, (task, outcome) => Draw(Judgement.Of(task, outcome), outcome.Picture, outcome.Map.Span, scale), cancellation);

    private IEnumerable<Judgement> JudgeDeferred(IEnumerable<PictureEntry> entries, ResultTable? table, ProgressLine progress, CancellationToken cancellation)
    {
        using FileStream maps = new(
            Path.Combine(Path.GetTempPath(), $"kernelad-{Path.GetRandomFileName()}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 0, FileOptions.DeleteOnClose);
        float[] map = new float[_detector.MapWidth * _detector.MapHeight];
        List<Judgement> waiting = [];
        foreach (Judgement judgement in Run(entries, table, Store, cancellation))
        {
            waiting.Add(judgement);
            progress.Advance();
        }

        (float low, float high) = (float.PositiveInfinity, float.NegativeInfinity);
        foreach (Judgement judgement in waiting.Where(j => j.Error is null))
        {
            (low, high) = (Math.Min(low, judgement.Range.Low), Math.Max(high, judgement.Range.High));
        }

        foreach (Judgement judgement in waiting)
        {
            cancellation.ThrowIfCancellationRequested();
            yield return judgement.Error is null ? DrawStored(judgement, HeatMapScales.Of(low, high)) : judgement;
        }

        Judgement Store(PictureTask task, PictureOutcome outcome)
        {
            if (outcome.Error is null)
            {
                RandomAccess.Write(maps.SafeFileHandle, MemoryMarshal.AsBytes(outcome.Map.Span), Position(task));
            }

            return Judgement.Of(task, outcome);
        }

        Judgement DrawStored(Judgement judgement, HeatMapScale scale)
        {
            maps.Position = Position(judgement.Task);
            maps.ReadExactly(MemoryMarshal.AsBytes(map.AsSpan()));
            try
            {
                using Picture picture = Read(judgement.Task.Entry);
                return Draw(judgement, picture, map, scale);
            }
            catch (PictureException e)
            {
                return judgement with { Error = $"{e.Message} (it could be read before)" };
            }
        }

        long Position(PictureTask task) => (long)task.Index * map.Length * sizeof(float);
    }

    /// <summary>Draws the overlay, if one is wanted.</summary>
    private Judgement Draw(Judgement judgement, Picture? picture, ReadOnlySpan<float> map, HeatMapScale? scale)
    {
        if (judgement.Error is not null || judgement.Task.Overlay is not string path)
        {
            return judgement;
        }

        if (Path.GetDirectoryName(path) is { Length: > 0 } folder)
        {
            OutputFile.PrepareFolder(folder);
        }

        HeatMapScale used = scale ?? HeatMapScales.Of(judgement.Range.Low, judgement.Range.High);
        using Picture overlay = _painter.Draw(picture!, map, used);
        PictureFile.WritePng(path, overlay.View);
        return judgement with { Scale = used };
    }

    /// <summary>Counts and prints what came of a picture; the table's row comes last, since it says that the picture is done.</summary>
    private void Report(Judgement judgement, ResultTable? table)
    {
        string path = judgement.Task.Entry.Path;
        if (judgement.Error is string error)
        {
            _failed++;
            Console.Error.WriteLine($"kernelad: {error.ReplaceLineEndings(" ")}");
            if (Json)
            {
                JsonLine.Print(json =>
                {
                    json.WriteString("picture", path);
                    json.WriteString("error", error);
                });
            }

            table?.AddError(path, error);
            return;
        }

        bool? anomalous = _detector.Threshold is double threshold ? judgement.Score >= threshold : null;
        _judged++;
        _anomalous += anomalous == true ? 1 : 0;
        if (Json)
        {
            PrintJson(judgement, anomalous);
        }
        else
        {
            Human.Line($"{judgement.Score,12:G6}  {anomalous switch { true => "NOK", false => "OK ", null => "   " }}  {Human.Printable(path)}");
        }

        table?.Add(path, judgement.Width, judgement.Height, judgement.Score, _detector.Threshold, anomalous);
    }

    private void PrintJson(Judgement judgement, bool? anomalous) => JsonLine.Print(json =>
    {
        json.WriteString("picture", judgement.Task.Entry.Path);
        json.WriteNumber("width", judgement.Width);
        json.WriteNumber("height", judgement.Height);
        json.WriteNumber("score", judgement.Score);
        json.WriteNumberOrNull("normalized_score", _detector.NormalizedScore(judgement.Score));
        json.WriteNumberOrNull("threshold", _detector.Threshold);
        if (anomalous is bool known)
        {
            json.WriteBoolean("is_anomalous", known);
        }
        else
        {
            json.WriteNull("is_anomalous");
        }

        if (judgement.Scale is HeatMapScale scale)
        {
            json.WriteString("heat_map", judgement.Task.Overlay);
            json.WriteNumbers("heat_map_scale", [scale.Min, scale.Max]);
        }

        json.WriteStartObject("timings_ms");
        json.WriteNumber("decode", judgement.Decode.TotalMilliseconds);
        json.WriteNumber("preprocess", judgement.Preprocess.TotalMilliseconds);
        json.WriteNumber("network", judgement.Network.TotalMilliseconds);
        json.WriteEndObject();
        json.WriteRun(_detector, options);
    });

    private void PrintSummary()
    {
        string verdict = _detector.Threshold is double t
            ? $"{_anomalous} anomalous at threshold {t:G6}"
            : "no threshold, so no verdicts: find one with `kernelad calibrate`, or give one with --threshold";
        Human.Line($"{_judged} judged, {verdict}{(_failed > 0 ? $"; {_failed} could not be read" : "")}");
        if (OverlayFolder is not null && _judged > 0)
        {
            Human.Line($"overlays in {OverlayFolder}, colours {ScaleCaption()}");
        }
    }

    private string ScaleCaption() => (Scale.Mode, KnownScale()) switch
    {
        (ScaleMode.Image, _) => "scaled for each picture by itself: they cannot be compared, and good pictures light up too",
        (ScaleMode.Automatic, HeatMapScale s) => $"from {HeatMapScales.Describe(s)}: the threshold is in the middle",
        (_, HeatMapScale s) => $"from {HeatMapScales.Describe(s)}",
        _ => "from the lowest to the highest value of this run",
    };
}
