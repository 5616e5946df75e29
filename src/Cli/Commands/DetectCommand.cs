using System.CommandLine;
using KernelAD.Imaging;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad detect</c>: scores, verdicts and overlays for picture files and folders.</summary>
internal static class DetectCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string[]> pictures = new("PICTURE|FOLDER") { Description = "Picture files, or folders that are searched with all folders below", Arity = ArgumentArity.OneOrMore };
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
        Option<bool> json = Options.Json();
        Command command = new("detect", "Judge pictures: score, verdict, overlay. A bad picture is reported and the others are done; the exit code is then 3.")
        {
            model, pictures, output, scale, threshold, fail, batch, orientation, csv, json,
        };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            DetectorOptions options = engine.Read(parsed) with { Threshold = parsed.GetValue(threshold) };
            using AnomalyDetector detector = AnomalyDetector.Load(parsed.GetRequiredValue(model), options);
            if (parsed.GetValue(fail) && detector.Threshold is null)
            {
                throw new UsageException("--fail-on-anomaly needs a threshold, and the model file has none: give one with --threshold");
            }

            Detection run = new(detector, options)
            {
                ModelPath = parsed.GetRequiredValue(model),
                Batch = parsed.GetValue(batch),
                Reading = new PictureReadOptions { ApplyOrientation = parsed.GetValue(orientation) },
                OverlayFolder = parsed.GetValue(output),
                Scale = HeatMapScales.Parse(parsed.GetRequiredValue(scale))!.Value,
                CsvPath = parsed.GetValue(csv),
                Json = parsed.GetValue(json),
            };
            (int failed, int anomalous) = run.Run(PictureList.Expand(parsed.GetRequiredValue(pictures)), cancellation);
            return failed > 0 ? ExitCode.BadInput : parsed.GetValue(fail) && anomalous > 0 ? ExitCode.AnomalyFound : ExitCode.Done;
        });
        return command;
    }
}
