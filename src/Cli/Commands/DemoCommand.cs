using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Imaging;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad demo</c>: the sample model over the sample pictures; a table, overlays, and one HTML page.</summary>
internal static class DemoCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Option<string> output = new("--output", "-o") { Description = "Folder for overlays and the page", HelpName = "DIR", DefaultValueFactory = _ => "kernelad-demo" };
        Command command = new("demo", "Run the sample model over the sample pictures: a table, heat-map overlays and one HTML page") { output };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            SampleSet samples = SampleSet.Open();
            DetectorOptions options = engine.Read(parsed) with { Threshold = samples.Threshold };
            string folder = parsed.GetRequiredValue(output);
            using PicturePipeline pipeline = PicturePipeline.Load(samples.ModelPath, options, samples.Pictures.Count);
            OutputFile.PrepareFolder(folder);
            HeatMapScale scale = HeatMapScales.Around(samples.Threshold);
            List<DemoResult> results = Judge(pipeline, samples, folder, scale, cancellation);

            Human.Header(pipeline.Detector, options, Path.GetFileName(samples.ModelPath));
            PrintTable(results);
            double auroc = Auroc(results);
            string page = Path.Combine(folder, "index.html");
            string ran = $"{pipeline.Detector.Device}, {options.Precision.ToString().ToLowerInvariant()}";
            OutputFile.WriteText(page, DemoPage.Render(samples, results, ran, auroc, scale));

            Human.Line();
            Human.Line(samples.Origin);
            Human.Line(samples.Quality);
            Human.Line($"Threshold {samples.Threshold:G4}: {samples.ThresholdOrigin}");
            Human.Line($"Measured now, on the {results.Count} pictures shown: image AUROC {auroc:F3}; largest relative difference from PyTorch's scores {results.Max(Difference):E1}.");
            Human.Line(samples.Attribution);
            Human.Line();
            Human.Line($"Page:     {Path.GetFullPath(page)}");
            Human.Line($"Overlays: {Path.GetFullPath(folder)}, colours from {HeatMapScales.Describe(scale)}, the same for all pictures");
            return ExitCode.Done;
        });
        return command;
    }

    private static List<DemoResult> Judge(PicturePipeline pipeline, SampleSet samples, string folder, HeatMapScale scale, CancellationToken cancellation)
    {
        OverlayPainter painter = new(pipeline.Detector);
        using ProgressLine progress = new("judging", samples.Pictures.Count);
        List<DemoResult> results = [];
        IAsyncEnumerable<DemoResult> judged = pipeline.RunAsync(samples.Pictures, picture => PictureFile.Read(picture.Entry.Path), Draw, cancellation);
        foreach (DemoResult result in judged.ToBlockingEnumerable(CancellationToken.None))
        {
            results.Add(result);
            progress.Advance();
        }

        return results;

        DemoResult Draw(SamplePicture sample, PictureOutcome outcome)
        {
            if (outcome.Error is string error)
            {
                throw new BadInputException(error);
            }

            using Picture overlay = painter.Draw(outcome.Picture!, outcome.Map.Span, scale);
            string name = Path.GetFileNameWithoutExtension(sample.Entry.Path) + PictureList.OverlaySuffix;
            PictureFile.WritePng(Path.Combine(folder, name), overlay.View);
            return new DemoResult(
                sample,
                outcome.Score,
                outcome.Score >= samples.Threshold,
                PngEncoder.ToDataUri(outcome.Picture!.View),
                PngEncoder.ToDataUri(overlay.View));
        }
    }

    private static void PrintTable(List<DemoResult> results)
    {
        Table table = Human.Table("picture", "truth", ">score", ">PyTorch", "verdict", "");
        foreach (DemoResult result in results)
        {
            table.Row(
                Path.GetFileName(result.Sample.Entry.RelativePath),
                result.Sample.IsDefective ? "defective" : "good",
                $"{result.Score:F6}",
                $"{result.Sample.PyTorchScore:F6}",
                result.IsAnomalous ? "NOK" : "OK",
                result.Outcome);
        }

        Human.Print(table);
    }

    private static double Difference(DemoResult result) => Math.Abs(result.Score - result.Sample.PyTorchScore) / result.Sample.PyTorchScore;

    /// <summary>Chance that a defective picture scores above a good one, ties counting half: the area under the ROC curve.</summary>
    private static double Auroc(List<DemoResult> results)
    {
        float[] defective = [.. results.Where(r => r.Sample.IsDefective).Select(r => r.Score)];
        float[] good = [.. results.Where(r => !r.Sample.IsDefective).Select(r => r.Score)];
        double wins = defective.Sum(d => good.Sum(g => d > g ? 1 : d == g ? 0.5 : 0));
        return wins / (defective.Length * good.Length);
    }
}
