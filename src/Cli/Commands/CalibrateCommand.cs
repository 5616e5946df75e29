using System.CommandLine;
using KernelAD.Evaluation.Calibration;
using KernelAD.Imaging;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad calibrate</c>: thresholds from good pictures, written into the model file.</summary>
internal static class CalibrateCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string[]> pictures = new("PICTURE|FOLDER")
        {
            Description = "Good pictures that were not used in training: files, folders with all folders below, patterns, or - for a list of files on stdin",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string> method = new("--method")
        {
            Description = "conformal: at most the share --alpha of good pictures is rejected; max: none of these; quantile: --quantile of their scores; sigma: --sigmas standard deviations above the mean; "
                + "f1: highest F1, needs --labels",
            HelpName = "METHOD",
            DefaultValueFactory = _ => "conformal",
        };
        method.AcceptOnlyFromAmong("conformal", "max", "quantile", "sigma", "f1");
        Option<double> alpha = Options.Between("--alpha", "Share of false rejects that conformal allows", 1e-6, 0.999999, 0.01);
        Option<double> quantile = Options.Between("--quantile", "The quantile", 0, 1, 0.99);
        Option<string> rule = new("--rule") { Description = "What a quantile between two scores is: linear, higher, lower or nearest", HelpName = "RULE", DefaultValueFactory = _ => "linear" };
        rule.AcceptOnlyFromAmong("linear", "higher", "lower", "nearest");
        Option<double> sigmas = Options.Between("--sigmas", "Number of standard deviations", -100, 100, 3);
        Option<string?> fallback = new("--fallback") { Description = "max: take that method if there are too few pictures for conformal; without it that is an error", HelpName = "METHOD" };
        fallback.AcceptOnlyFromAmong("max");
        Option<string?> labels = new("--labels") { Description = "File of lines PATH,LABEL that says which of the pictures are anomalous (label 1) and which good (0)", HelpName = "FILE" };
        Option<bool> meanMap = new("--mean-map") { Description = "InTra: fit the mean map of the normal pictures first, and store it" };
        Option<int> batch = Options.Positive("--batch", "Pictures per run of the network; results do not depend on it", 1);
        Option<bool> orientation = new("--exif-orientation") { Description = "Turn pictures upright as their EXIF data say" };
        Option<string?> output = new("--output", "-o") { Description = "Write the calibrated model to this file [default: the model file itself]", HelpName = "FILE" };
        Option<bool> json = Options.Json();
        Command command = new("calibrate", "Find thresholds from good pictures and store them in the model file. A bad picture is reported and the others are used; the exit code is then 3.")
        {
            model, pictures, method, alpha, quantile, rule, sigmas, fallback, labels, meanMap, batch, orientation, output, json,
        };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(model);
            Calibration run = new()
            {
                ModelPath = path,
                OutputPath = parsed.GetValue(output) ?? path,
                Method = parsed.GetRequiredValue(method) switch
                {
                    "max" => new ThresholdMethod(ThresholdMethodKind.Max),
                    "quantile" => new ThresholdMethod(ThresholdMethodKind.Quantile, parsed.GetValue(quantile), Enum.Parse<QuantileRule>(parsed.GetRequiredValue(rule), ignoreCase: true)),
                    "sigma" => new ThresholdMethod(ThresholdMethodKind.Sigma, parsed.GetValue(sigmas)),
                    "f1" => new ThresholdMethod(ThresholdMethodKind.F1),
                    _ => new ThresholdMethod(ThresholdMethodKind.Conformal, parsed.GetValue(alpha)),
                },
                FallBackToMax = parsed.GetValue(fallback) is not null,
                LabelPath = parsed.GetValue(labels),
                MeanMap = parsed.GetValue(meanMap),
                Batch = parsed.GetValue(batch),
                Reading = new PictureReadOptions { ApplyOrientation = parsed.GetValue(orientation) },
                Json = parsed.GetValue(json),
            };
            int failed = run.Run(PictureList.Expand(parsed.GetRequiredValue(pictures)), engine.Read(parsed) with { UseCalibration = false }, cancellation);
            return failed > 0 ? ExitCode.BadInput : ExitCode.Done;
        });
        return command;
    }
}
