using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Evaluation;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;
using KernelAD.Evaluation.Report;
using KernelAD.Imaging;
using KernelAD.Weights;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad eval</c>: a model over a data set; a table, and on request JSON, CSV and a report.</summary>
internal static class EvalCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string> data = new("DATASET") { Description = "Folder of a data set, or the list of VisA, ADer or UniAD that describes it" };
        Option<string?> layout = new("--layout") { Description = $"How it is arranged: {string.Join(", ", DataSetLayouts.Names)} [default: found out]" };
        layout.AcceptOnlyFromAmong([.. DataSetLayouts.Names]);
        Option<string?> output = new("--out", "-o") { Description = "Write report.html, metrics.json and pictures.csv to this folder", HelpName = "DIR" };
        Option<string> metrics = MetricOptions.Variant();
        Option<string> maskRule = MetricOptions.MaskRule();
        Option<byte> maskThreshold = MetricOptions.MaskThreshold();
        Option<double?> threshold = Options.Number("--threshold", "Decision threshold of the report's start, instead of the model file's");
        Option<int> gallery = Options.Positive("--gallery", "Pictures of each category that the report shows at most", new EvaluationOptions().GalleryPictures);
        Option<int> batch = Options.Positive("--batch", "Pictures per run; results do not depend on it", 1);
        Option<bool> json = Options.Json();
        Command command = new("eval", "Measure a model on the test pictures of a data set: AUROC, AP, F1-max, AUPRO for each category; exit code 3 if something could not be read")
        {
            model, data, layout, output, metrics, maskRule, maskThreshold, threshold, gallery, batch, json,
        };
        EngineOptions engine = new(command);
        command.SetAction(async (parsed, _) =>
        {
            DetectorOptions options = engine.Read(parsed) with { Threshold = parsed.GetValue(threshold) };
            string path = parsed.GetRequiredValue(model);
            string? folder = parsed.GetValue(output);
            if (folder is not null)
            {
                OutputFile.PrepareFolder(folder);
            }

            DataSet set = DataSet.Open(parsed.GetRequiredValue(data), parsed.GetValue(layout) is string name ? DataSetLayouts.Parse(name) : null);
            using PicturePipeline pipeline = PicturePipeline.Load(path, options, set.Categories.Sum(c => c.Test.Count), parsed.GetValue(batch));
            EvaluationRun run = new(pipeline, EvaluatedModel.Of(pipeline, path, options.Precision), set, new EvaluationOptions
            {
                Variant = MetricVariants.Parse(parsed.GetRequiredValue(metrics)) ?? default,
                MaskRule = MaskRules.Parse(parsed.GetRequiredValue(maskRule)) ?? default,
                MaskThreshold = parsed.GetValue(maskThreshold),
                GalleryPictures = folder is null ? 0 : parsed.GetValue(gallery),
            });
            EvaluationResult result = await Run(run, cancellation).ConfigureAwait(false);
            foreach (string problem in result.Problems)
            {
                Console.Error.WriteLine($"kernelad: {problem.ReplaceLineEndings(" ")}");
            }

            if (folder is not null)
            {
                AtomicFile.WriteAllBytes(Path.Combine(folder, "metrics.json"), EvaluationFiles.Json(result));
                AtomicFile.WriteAllBytes(Path.Combine(folder, "pictures.csv"), EvaluationFiles.Csv(result));
                AtomicFile.WriteAllBytes(Path.Combine(folder, "report.html"), ReportPage.Render(result));
            }

            if (parsed.GetValue(json))
            {
                JsonLine.Print(w => EvaluationFiles.WriteMembers(w, result));
            }
            else
            {
                Human.Header(pipeline.Detector, options, path);
                Print(result, folder);
            }

            return result.Problems.Count == 0 ? ExitCode.Done : ExitCode.BadInput;
        });
        return command;
    }

    private static async Task<EvaluationResult> Run(EvaluationRun run, CancellationToken cancellation)
    {
        using ProgressLine progress = new("evaluating", run.PictureCount);
        return await run.RunAsync(_ => progress.Advance(), cancellation).ConfigureAwait(false);
    }

    private static void Print(EvaluationResult result, string? folder)
    {
        (EvaluatedModel model, EvaluationOptions options) = (result.Model, result.Options);
        string measured = $"metrics {options.Variant.Name()}, masks {options.MaskRule.Name()} > {options.MaskThreshold}, maps {model.MapWidth}×{model.MapHeight}";
        Human.Line($"{result.Data.Root}: layout {result.Data.Layout.Name()}, {result.Judged} test pictures; {measured}");
        IReadOnlyList<string> headline = ReportPage.Headline(options.Variant);
        Table table = Human.Table(["category", ">good", ">anomalous", .. headline.Select(h => $">{h}")]);
        foreach (CategoryResult category in result.Categories)
        {
            DetectionMetrics image = category.Metrics.Image;
            table.Row([category.Name, $"{image.Negatives}", $"{image.Positives}", .. headline.Select(h => Cell(category.Metrics.Values, h))]);
        }

        if (result.Categories.Count > 1)
        {
            NamedMetric[] means = [.. result.Means.Select(m => new NamedMetric(m.Name, m.Value))];
            table.Row(["mean", "", "", .. headline.Select(h => Cell(means, h))]);
        }

        Human.Print(table);
        foreach (IGrouping<string?, NamedMetric> missing in result.Categories.SelectMany(c => c.Metrics.Values).Where(v => !v.Value.IsDefined).GroupBy(v => v.Value.Reason))
        {
            Human.Line($"n/a, {missing.Key}: {string.Join(", ", missing.Select(m => m.Name).Distinct())}");
        }

        foreach (string remark in result.Remarks)
        {
            Human.Line($"note: {Human.Printable(remark)}");
        }

        double perPicture = 1000 * result.Elapsed.TotalSeconds / result.Judged;
        string problems = result.Problems.Count > 0 ? $"; {result.Problems.Count} problems, see above" : "";
        double outside = 100 * result.ShareOutsideNetwork;
        Human.Line($"{result.Elapsed.TotalSeconds:F1} s, {perPicture:F1} ms a picture, {outside:F0} % of the time outside the network{problems}");
        if (folder is not null)
        {
            Human.Line($"Report: {Path.GetFullPath(Path.Combine(folder, "report.html"))}");
        }
    }

    private static string Cell(IEnumerable<NamedMetric> metrics, string name) =>
        metrics.FirstOrDefault(m => m.Name == name) is { Name: not null, Value.IsDefined: true } metric ? $"{metric.Value.Value:F4}" : "n/a";
}
