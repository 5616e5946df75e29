using System.Globalization;
using System.Text;
using System.Text.Json;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;
using KernelAD.Imaging;

namespace KernelAD.Evaluation.Report;

/// <summary>
/// An evaluation as one HTML page that holds everything in itself and loads nothing: <c>report.html</c> with <c>report.css</c>, <c>report.js</c> and the
/// results as JSON.
/// </summary>
public static class ReportPage
{
    private static readonly string[] DefaultHeadline = ["image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro_0.3"];

    private static readonly string[] AderHeadline =
    [
        "mAUROC_sp_max (pooling_ks=[16,16])", "mAP_sp_max (pooling_ks=[16,16])", "mF1_max_sp_max (pooling_ks=[16,16])",
        "mAUROC_px", "mAP_px", "mF1_max_px", "mAUPRO_px (max_step_aupro=200)",
    ];

    private static readonly (string Name, string Label)[] Labels =
    [
        ("image_auroc", "image AUROC"), ("image_ap", "image AP"), ("image_f1max", "image F1-max"), ("pixel_auroc", "pixel AUROC"), ("pixel_ap", "pixel AP"),
        ("pixel_f1max", "pixel F1-max"), ("aupro_0.3", "AUPRO (0.3)"), ("aupro_0.05", "AUPRO (0.05)"), ("aupro_1.0", "AUPRO (1)"),
    ];

    /// <summary>The names of the metrics that tables and cards show, in their order.</summary>
    public static IReadOnlyList<string> Headline(MetricVariant variant) => variant == MetricVariant.Ader ? AderHeadline : DefaultHeadline;

    /// <summary>Renders the page.</summary>
    /// <returns>The file, in UTF-8.</returns>
    public static byte[] Render(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        string page = Resource("report.html")
            .Replace("{{style}}", Resource("report.css").TrimEnd(), StringComparison.Ordinal)
            .Replace("{{script}}", Resource("report.js").TrimEnd(), StringComparison.Ordinal)
            .Replace("{{data}}", Data(result), StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(page);
    }

    private static string Resource(string name)
    {
        using Stream stream = typeof(ReportPage).Assembly.GetManifestResourceStream($"KernelAD.Evaluation.Report.{name}")
            ?? throw new InvalidOperationException($"{name} was not built into the program");
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }

    /// <summary>What the page's script works from. The writer's encoder leaves no '&lt;' that could end the element that holds it.</summary>
    private static string Data(EvaluationResult result)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            WriteHeader(json, result);
            json.WriteStartArray("categories");
            foreach (CategoryResult category in result.Categories.Where(c => c.Pictures.Any(p => p.Error is null)))
            {
                WriteCategory(json, result, category);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    private static void WriteHeader(Utf8JsonWriter json, EvaluationResult result)
    {
        json.WriteString("model", result.Model.Name);
        json.WriteString("dataSet", Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(result.Data.Root))));
        json.WriteString("date", result.Date.ToString("d MMMM yyyy, HH:mm", CultureInfo.InvariantCulture));
        json.WriteNumber("images", result.Judged);
        json.WriteStartArray("facts");
        foreach ((string name, string value) in Facts(result))
        {
            json.WriteStartArray();
            json.WriteStringValue(name);
            json.WriteStringValue(value);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteString("ran", string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Elapsed.TotalSeconds:F1} s for {result.Judged} pictures, {result.ShareOutsideNetwork:P0} of it outside the network. "
            + $"Colours and curves show raw scores; nothing is normalised per picture."));
        WriteStrings(json, "headline", Headline(result.Options.Variant));
        json.WriteStartObject("labels");
        foreach ((string name, string label) in Labels)
        {
            json.WriteString(name, label);
        }

        json.WriteEndObject();
        json.WriteStartArray("means");
        foreach (CategoryMean mean in result.Means)
        {
            json.WriteStartObject();
            json.WriteString("name", mean.Name);
            json.WriteNumberOrNull("value", mean.Value.Value);
            json.WriteNumber("skipped", mean.Skipped);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteStrings(json, "problems", result.Problems);
        WriteStrings(json, "remarks", result.Remarks);
    }

    private static IEnumerable<(string Name, string Value)> Facts(EvaluationResult result)
    {
        (EvaluatedModel model, EvaluationOptions options) = (result.Model, result.Options);
        yield return ("Model", $"{model.Name}, {model.File}");
        yield return ("SHA-256", model.Sha256);
        yield return ("Preprocessing", model.Preprocessing);
        yield return ("Device", $"{model.Device}, {model.Precision}");
        yield return ("Data set", $"{result.Data.Root} (layout {result.Data.Layout.Name()})");
        yield return ("Resolution", options.MaskRule == MaskRule.Original ? "that of each picture; maps enlarged bilinearly" : $"{model.MapWidth}×{model.MapHeight}, the model's");
        yield return ("Metrics", options.Variant == MetricVariant.Ader
            ? "ader: the definitions of ADer's evaluator; image labels from masks"
            : "default: exact, definitions of scikit-learn and MVTec (8-connected regions)");
        yield return ("Masks", $"{options.MaskRule.Name()}; source values above {options.MaskThreshold} are anomalous");
        if (model.Calibration is not null)
        {
            yield return ("Calibration", model.Calibration);
        }

        yield return ("Image scores", options.Variant == MetricVariant.Ader ? "the model's own; ader metrics take theirs from the maps" : "the model's own (image_score), raw");
        foreach (string warning in model.Warnings)
        {
            yield return ("Note", warning);
        }
    }

    private static void WriteCategory(Utf8JsonWriter json, EvaluationResult result, CategoryResult category)
    {
        MetricsResult metrics = category.Metrics;
        double? own = result.Model.Threshold;
        HeatMapScale scale = Scale(category, result.Model.PixelThreshold);
        json.WriteStartObject();
        json.WriteString("name", category.Name);
        json.WriteNumber("good", metrics.Image.Negatives);
        json.WriteNumber("anomalous", metrics.Image.Positives);
        json.WriteNumberOrNull("threshold", own ?? metrics.Image.Threshold);
        json.WriteString("thresholdOrigin", own is not null
            ? "Initially the model file’s own threshold, or the one given. A picture is judged NOK if its score is at least the threshold."
            : "Initially the threshold with the highest F1 on these very pictures, which flatters the model: calibrate on other ones. "
                + "A picture is judged NOK if its score is at least the threshold.");
        json.WriteStartArray("metrics");
        foreach ((string name, MetricValue value) in metrics.Values)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteNumberOrNull("value", value.Value);
            if (value.Reason is not null)
            {
                json.WriteString("reason", value.Reason);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("image");
        json.WriteNumberOrNull("auroc", metrics.Image.Auroc.Value);
        json.WriteNumberOrNull("ap", metrics.Image.AveragePrecision.Value);
        json.WriteEndObject();
        WritePixelCaptions(json, metrics);
        json.WriteStartObject("curves");
        WriteCurve(json, "imageRoc", metrics.ImageCurves.Roc);
        WriteCurve(json, "imagePr", FromZero(metrics.ImageCurves.PrecisionRecall));
        WriteCurve(json, "pixelRoc", metrics.PixelCurves.Roc);
        WriteCurve(json, "pixelPr", FromZero(metrics.PixelCurves.PrecisionRecall));
        WriteCurve(json, "pro", metrics.PixelCurves.RegionOverlap);
        json.WriteEndObject();
        json.WriteStartObject("scale");
        json.WriteNumber("low", scale.Min);
        json.WriteNumber("high", scale.Max);
        json.WriteString("bar", ColorBar());
        json.WriteEndObject();
        WritePictures(json, category, scale);
        json.WriteEndObject();
    }

    private static void WritePixelCaptions(Utf8JsonWriter json, MetricsResult metrics)
    {
        (string Key, string Title, string Name)[] captions = metrics.Variant == MetricVariant.Ader
            ? [("roc", "AUROC", "mAUROC_px"), ("pr", "AP", "mAP_px"), ("pro", "AUPRO", "mAUPRO_px (max_step_aupro=200)")]
            : [("roc", "AUROC", "pixel_auroc"), ("pr", "AP", "pixel_ap"), ("pro", "AUPRO", "aupro_0.3")];
        json.WriteStartObject("pixel");
        foreach ((string key, string title, string name) in captions)
        {
            NamedMetric metric = metrics.Values.FirstOrDefault(v => v.Name == name);
            bool defined = metric.Name is not null && metric.Value.IsDefined;
            json.WriteString(key, defined ? string.Create(CultureInfo.InvariantCulture, $"{title} {metric.Value.Value:F4}") : $"{title} n/a");
        }

        json.WriteEndObject();
    }

    private static void WritePictures(Utf8JsonWriter json, CategoryResult category, HeatMapScale scale)
    {
        Dictionary<string, GalleryPicture> views = category.Gallery.ToDictionary(g => g.Name, StringComparer.Ordinal);
        json.WriteStartArray("pictures");
        foreach (PictureResult picture in category.Pictures.Where(p => p.Error is null))
        {
            json.WriteStartObject();
            json.WriteString("name", picture.Sample.Name);

            // In double: the shortest decimal of a float32 may lie on the other side of a threshold.
            json.WriteNumber("score", (double)picture.Score);
            json.WriteBoolean("anomalous", picture.Sample.IsAnomalous);
            json.WriteString("defect", picture.Sample.Defect);
            if (picture.Remark is not null)
            {
                json.WriteString("remark", picture.Remark);
            }

            if (views.TryGetValue(picture.Sample.Name, out GalleryPicture? view))
            {
                json.WriteStartObject("view");
                json.WriteNumber("width", view.Width);
                json.WriteNumber("height", view.Height);
                json.WriteString("picture", view.PictureUri());
                json.WriteString("overlay", view.OverlayUri(scale));
                json.WriteString("outline", view.Outline);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>
    /// One scale for all maps of a category: from their lowest value, with the pixel threshold (the model file's, or the one with the highest F1) in the middle
    /// of the colours. Where that would paint most pictures in the highest colour, or there is no threshold, the scale ends at the median or the highest of the
    /// pictures' highest values.
    /// </summary>
    private static HeatMapScale Scale(CategoryResult category, double? threshold)
    {
        if (category.Gallery.Count == 0)
        {
            return new HeatMapScale(0, 1);
        }

        float low = category.Gallery.Min(g => g.Range.Low);
        float[] maxima = [.. category.Gallery.Select(g => g.Range.High).Order()];
        float high = maxima[^1];
        NamedMetric best = category.Metrics.Values.FirstOrDefault(v => v.Name == "pixel_threshold");
        double? middle = threshold ?? (best.Name is not null && best.Value.IsDefined ? best.Value.Value : null);
        if (middle > low)
        {
            high = Math.Max((float)((2 * middle.Value) - low), maxima[maxima.Length / 2]);
        }

        return low < high ? new HeatMapScale(low, high) : new HeatMapScale(low, low + Math.Max(1e-6f, Math.Abs(low) * 1e-6f));
    }

    private static IReadOnlyList<CurvePoint> FromZero(IReadOnlyList<CurvePoint> curve) => curve.Count == 0 ? curve : [new CurvePoint(0, curve[0].Y), .. curve];

    private static void WriteCurve(Utf8JsonWriter json, string name, IReadOnlyList<CurvePoint> curve)
    {
        json.WriteStartArray(name);
        foreach ((double x, double y) in curve)
        {
            json.WriteStartArray();
            json.WriteNumberValue(Math.Round(x, 5));
            json.WriteNumberValue(Math.Round(y, 5));
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    private static string ColorBar()
    {
        float[] ramp = [.. Enumerable.Range(0, 256).Select(i => (float)i)];
        using Picture bar = HeatMap.Draw(new MapView(ramp, height: 1, ramp.Length), new HeatMapScale(0, 255));
        return PngEncoder.ToDataUri(bar.View);
    }
}
