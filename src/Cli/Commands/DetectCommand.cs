using System.CommandLine;
using KernelAD.Imaging;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad detect</c>: scores, verdicts and overlays for picture files and folders.</summary>
internal static class DetectCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string[]> pictures = new("PICTURE|FOLDER") { Description = "Picture files, folders that are searched with all folders below, patterns with * ? **, or - for a list of files on stdin", Arity = ArgumentArity.OneOrMore };
        Option<string?> output = new("--output", "-o") { Description = "Write overlays NAME.heat.png into this folder, mirroring the input's tree", HelpName = "DIR" };
        Option<string> scale = new("--scale")
        {
            Description = "Values of the lowest and highest colour: LO,HI; or run (lowest and highest of all pictures), image (of each picture by itself); auto: 0 to twice the threshold, without one as run",
            HelpName = "SCALE",
            DefaultValueFactory = _ => "auto",
        };
        scale.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && HeatMapScales.Parse(result.Tokens[0].Value) is null)
            {
                result.AddError($"--scale: \"{result.Tokens[0].Value}\" is not auto, run, image, or two numbers LO,HI with LO below HI");
            }
        });
        Option<double?> threshold = Options.Number("--threshold", "Scores at or above it are anomalous [default: the model file's]");
        Option<bool> fail = new("--fail-on-anomaly") { Description = "Exit with code 10 if a picture is anomalous" };
        Option<int> batch = Options.Positive("--batch", "Pictures per run of the network; results do not depend on it", 1);
        Option<bool> orientation = new("--exif-orientation") { Description = "Turn pictures upright as their EXIF data say" };
        Option<string?> csv = new("--csv") { Description = "Write the results as a table to this file", HelpName = "FILE" };
        Option<bool> resume = new("--resume") { Description = "Go on with the table of --csv: pictures that have a row are skipped" };
        Option<bool> json = Options.Json();
        Command command = new("detect", "Judge pictures: score, verdict, overlay. A bad picture is reported and the others are done; the exit code is then 3.")
        {
            model, pictures, output, scale, threshold, fail, batch, orientation, csv, resume, json,
        };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            DetectorOptions options = engine.Read(parsed) with { Threshold = parsed.GetValue(threshold) };
            string[] paths = parsed.GetRequiredValue(pictures);
            if (parsed.GetValue(resume) && parsed.GetValue(csv) is null)
            {
                throw new UsageException("--resume needs --csv: the table says which pictures are done");
            }

            // What stdin names is taken as it comes; everything else is listed now, which makes its number known.
            bool streamed = paths.Contains(PictureList.Stdin);
            IEnumerable<PictureEntry> entries = streamed ? PictureList.Expand(paths) : [.. PictureList.Expand(paths)];
            int? count = streamed ? null : entries.Count();
            using PicturePipeline pipeline = PicturePipeline.Load(parsed.GetRequiredValue(model), options, count, parsed.GetValue(batch));
            if (parsed.GetValue(fail) && pipeline.Detector.Threshold is null)
            {
                throw new UsageException("--fail-on-anomaly needs a threshold, and the model file has none: give one with --threshold");
            }

            Detection run = new(pipeline, options)
            {
                ModelPath = parsed.GetRequiredValue(model),
                Reading = new PictureReadOptions { ApplyOrientation = parsed.GetValue(orientation) },
                OverlayFolder = parsed.GetValue(output),
                Scale = HeatMapScales.Parse(parsed.GetRequiredValue(scale))!.Value,
                CsvPath = parsed.GetValue(csv),
                Resume = parsed.GetValue(resume),
                Json = parsed.GetValue(json),
            };
            (int failed, int anomalous) = run.Run(entries, count ?? 0, cancellation);
            return failed > 0 ? ExitCode.BadInput : parsed.GetValue(fail) && anomalous > 0 ? ExitCode.AnomalyFound : ExitCode.Done;
        });
        return command;
    }
}
