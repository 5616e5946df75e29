using System.CommandLine;
using System.Globalization;
using KernelAD.Cli.Output;
using KernelAD.Evaluation.Metrics;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad metrics</c>: metrics of maps, masks, labels and scores that lie in a file.</summary>
internal static class MetricsCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> input = new("FILE") { Description = "safetensors file with maps and masks (N,H,W), scores and labels (N)" };
        Option<string> metrics = MetricOptions.Variant();
        Option<byte> threshold = MetricOptions.MaskThreshold();
        Option<int> threads = Options.Positive("--threads", "Threads; results do not depend on it", Environment.ProcessorCount);
        Option<bool> json = Options.Json();
        Command command = new("metrics", "Compute AUROC, AP, F1-max and AUPRO of anomaly maps and scores in a file, exactly") { input, metrics, threshold, threads, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(input);
            MetricVariant variant = MetricVariants.Parse(parsed.GetRequiredValue(metrics)) ?? default;
            byte maskThreshold = parsed.GetValue(threshold);
            using MetricsFile file = MetricsFile.Open(path);
            MetricsResult result = file.Compute(variant, maskThreshold, parsed.GetValue(threads), cancellation);
            if (parsed.GetValue(json))
            {
                JsonLine.Print(w =>
                {
                    w.WriteString("file", path);
                    w.WriteNumber("images", file.Count);
                    w.WriteString("metrics", variant.Name());
                    w.WriteNumber("mask_threshold", maskThreshold);
                    w.WriteMetrics(result.Values);
                });
            }
            else
            {
                Human.Line($"{path}: {file.Count} images, metrics {variant.Name()}, mask > {maskThreshold} is anomalous");
                PrintTable(result);
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void PrintTable(MetricsResult result)
    {
        Table table = Human.Table("metric", ">value", "");
        foreach ((string name, MetricValue value) in result.Values)
        {
            table.Row(name, value.IsDefined ? value.Value.ToString("0.000000", CultureInfo.InvariantCulture) : "n/a", value.Reason ?? "");
        }

        Human.Print(table);
    }
}
