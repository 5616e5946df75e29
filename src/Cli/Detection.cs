using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KernelAD.Cli.Output;
using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>
/// One run of <c>kernelad detect</c>. Where the colours depend on all maps of the run, maps wait in a temporary file until the last picture is judged,
/// so that memory does not grow with the number of pictures.
/// </summary>
internal sealed class Detection(AnomalyDetector detector, DetectorOptions options)
{
    private readonly OverlayPainter _painter = new(detector);
    private readonly StringBuilder _csv = new("picture,width,height,score,threshold,is_anomalous,error\r\n");
    private Dictionary<PictureEntry, string> _overlays = [];
    private int _failed;
    private int _anomalous;
    private int _judged;

    /// <summary>The model file, for the header.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Pictures per run of the network.</summary>
    public required int Batch { get; init; }

    /// <summary>How picture files are read.</summary>
    public required PictureReadOptions Reading { get; init; }

    /// <summary>Where overlays go; null: none are drawn.</summary>
    public required string? OverlayFolder { get; init; }

    /// <summary>The colours' scale.</summary>
    public required (ScaleMode Mode, HeatMapScale Scale) Scale { get; init; }

    /// <summary>Where the table goes; null: none is written.</summary>
    public required string? CsvPath { get; init; }

    /// <summary>Whether results are printed as JSON.</summary>
    public required bool Json { get; init; }

    /// <summary>Judges all pictures; prints and writes the results.</summary>
    /// <returns>How many pictures could not be judged, and how many are anomalous.</returns>
    public (int Failed, int Anomalous) Run(IReadOnlyList<PictureEntry> entries, CancellationToken cancellation)
    {
        if (OverlayFolder is not null)
        {
            OutputFile.PrepareFolder(OverlayFolder);
            _overlays = PictureList.OverlayPaths(entries, OverlayFolder);
        }

        if (!Json)
        {
            Human.Header(detector, options, ModelPath);
        }

        using ProgressLine progress = new("judging", entries.Count);
        PictureJudge judge = new(detector, Math.Min(Batch, Math.Max(entries.Count, 1)), Reading);
        HeatMapScale? scale = KnownScale();
        if (OverlayFolder is not null && scale is null && Scale.Mode != ScaleMode.Image)
        {
            RunDeferred(judge.Judge(entries, cancellation), progress, cancellation);
        }
        else
        {
            foreach (Judgement judgement in judge.Judge(entries, cancellation))
            {
                Finish(judgement, scale, progress);
                progress.Advance();
            }
        }

        progress.Clear();
        if (CsvPath is not null)
        {
            OutputFile.WriteText(CsvPath, _csv.ToString());
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
        ScaleMode.Automatic when (detector.PixelThreshold ?? detector.Threshold) is double t and > 0 => HeatMapScales.Around(t),
        _ => null,
    };

    private void RunDeferred(IEnumerable<Judgement> judgements, ProgressLine progress, CancellationToken cancellation)
    {
        using FileStream maps = new(
            Path.Combine(Path.GetTempPath(), $"kernelad-{Path.GetRandomFileName()}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
        List<Judgement> waiting = [];
        (float low, float high) = (float.PositiveInfinity, float.NegativeInfinity);
        foreach (Judgement judgement in judgements)
        {
            if (judgement.Error is null)
            {
                (float least, float most) = HeatMapScales.Range(judgement.Map.Span);
                (low, high) = (Math.Min(low, least), Math.Max(high, most));
                maps.Write(MemoryMarshal.AsBytes(judgement.Map.Span));
            }

            waiting.Add(judgement with { Picture = null, Map = default });
            progress.Advance();
        }

        maps.Position = 0;
        float[] map = new float[detector.MapWidth * detector.MapHeight];
        foreach (Judgement judgement in waiting)
        {
            cancellation.ThrowIfCancellationRequested();
            if (judgement.Error is not null)
            {
                Finish(judgement, null, progress);
                continue;
            }

            maps.ReadExactly(MemoryMarshal.AsBytes(map.AsSpan()));
            Judgement whole;
            try
            {
                whole = judgement with { Picture = PictureFile.Read(judgement.Entry.Path, Reading), Map = map };
            }
            catch (BadInputException e)
            {
                whole = judgement with { Error = $"{e.Message} (it could be read before)" };
            }

            using (whole.Picture)
            {
                Finish(whole, HeatMapScales.Of(low, high), progress);
            }
        }
    }

    /// <summary>Draws one picture's overlay and reports it.</summary>
    private void Finish(Judgement judgement, HeatMapScale? scale, ProgressLine progress)
    {
        progress.Clear();
        string path = judgement.Entry.Path;
        if (judgement.Error is string error)
        {
            _failed++;
            _csv.Append(CultureInfo.InvariantCulture, $"{Quoted(path)},,,,,,{Quoted(error)}\r\n");
            Console.Error.WriteLine($"kernelad: {error.ReplaceLineEndings(" ")}");
            if (Json)
            {
                JsonLine.Print(json =>
                {
                    json.WriteString("picture", path);
                    json.WriteString("error", error);
                });
            }

            return;
        }

        bool? anomalous = detector.Threshold is double threshold ? judgement.Score >= threshold : null;
        _judged++;
        _anomalous += anomalous == true ? 1 : 0;
        Picture picture = judgement.Picture!;
        _csv.Append(CultureInfo.InvariantCulture, $"{Quoted(path)},{picture.Width},{picture.Height},{judgement.Score:R},{detector.Threshold:R},{Lower(anomalous)},\r\n");
        HeatMapScale? used = null;
        if (_overlays.TryGetValue(judgement.Entry, out string? overlay))
        {
            (float low, float high) = HeatMapScales.Range(judgement.Map.Span);
            used = scale ?? HeatMapScales.Of(low, high);
            WriteOverlay(overlay, picture, judgement.Map.Span, used.Value);
        }

        if (Json)
        {
            PrintJson(judgement, picture, anomalous, overlay, used);
        }
        else
        {
            Human.Line($"{judgement.Score,12:G6}  {anomalous switch { true => "NOK", false => "OK ", null => "   " }}  {Human.Printable(path)}");
        }
    }

    private void WriteOverlay(string path, Picture picture, ReadOnlySpan<float> map, HeatMapScale scale)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder)
        {
            OutputFile.PrepareFolder(folder);
        }

        using Picture overlay = _painter.Draw(picture, map, scale);
        PictureFile.WritePng(path, overlay.View);
    }

    private void PrintJson(Judgement judgement, Picture picture, bool? anomalous, string? overlay, HeatMapScale? scale) => JsonLine.Print(json =>
    {
        json.WriteString("picture", judgement.Entry.Path);
        json.WriteNumber("width", picture.Width);
        json.WriteNumber("height", picture.Height);
        json.WriteNumber("score", judgement.Score);
        json.WriteNumberOrNull("normalized_score", detector.NormalizedScore(judgement.Score));
        json.WriteNumberOrNull("threshold", detector.Threshold);
        if (anomalous is bool known)
        {
            json.WriteBoolean("is_anomalous", known);
        }
        else
        {
            json.WriteNull("is_anomalous");
        }

        if (overlay is not null && scale is HeatMapScale used)
        {
            json.WriteString("heat_map", overlay);
            json.WriteNumbers("heat_map_scale", [used.Min, used.Max]);
        }

        json.WriteStartObject("timings_ms");
        json.WriteNumber("decode", judgement.Decode.TotalMilliseconds);
        json.WriteNumber("preprocess", judgement.Preprocess.TotalMilliseconds);
        json.WriteNumber("network", judgement.Network.TotalMilliseconds);
        json.WriteEndObject();
        json.WriteRun(detector, options);
    });

    private void PrintSummary()
    {
        string verdict = detector.Threshold is double t
            ? $"{_anomalous} anomalous at threshold {t:G6}"
            : "no threshold, so no verdicts: the model file has none, give one with --threshold";
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

    private static string Lower(bool? value) => value switch
    {
        true => "true",
        false => "false",
        null => "",
    };

    private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
