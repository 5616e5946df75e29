using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Tensors;
using KernelAD.Weights;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad run</c>: raw tensors in, raw tensors out.</summary>
internal static class RunCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Option<string> input = new("--input") { Description = "safetensors file with the normalised input (N,3,H,W)", HelpName = "FILE", Required = true };
        Option<string?> tensor = new("--tensor") { Description = "Its tensor [default: input, or the only one in the file]", HelpName = "NAME" };
        Option<string?> output = new("--output", "-o") { Description = "Write the results to this safetensors file", HelpName = "FILE" };
        Option<string?> taps = new("--taps") { Description = "Intermediates wanted beside anomaly_map and image_score: all, or names separated by commas", HelpName = "all|NAME,…" };
        Option<int> batch = Options.Positive("--batch", "Pictures per run; results do not depend on it", 1);
        Option<bool> json = Options.Json();
        Command command = new("run", "Run the network on a raw input tensor") { model, input, tensor, output, taps, batch, json };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            DetectorOptions options = engine.Read(parsed);
            string path = parsed.GetRequiredValue(model), inputPath = parsed.GetRequiredValue(input);
            using AnomalyDetector detector = AnomalyDetector.Load(path, options);
            string[] wanted = Wanted(detector, parsed.GetValue(taps));
            (string name, Tensor values) = Read(inputPath, parsed.GetValue(tensor));
            IReadOnlyDictionary<string, Tensor> results;
            try
            {
                results = detector.Run(values, wanted, parsed.GetValue(batch), cancellation);
            }
            catch (TensorException e)
            {
                throw new TensorException($"{inputPath}: tensor \"{name}\": {e.Message}", e);
            }

            if (parsed.GetValue(output) is string file)
            {
                SafetensorsWriter.Write(file, [.. results.Select(r => TensorSource.Of(r.Key, r.Value))], Metadata, cancellation);
            }

            Print(detector, options, path, results, parsed.GetValue(json));
            return ExitCode.Done;
        });
        return command;
    }

    private static Dictionary<string, string> Metadata { get; } = new() { ["format"] = "pt" };

    private static string[] Wanted(AnomalyDetector detector, string? taps)
    {
        string[] wanted = taps switch
        {
            null => [],
            "all" => [.. detector.Taps],
            _ => taps.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
        };
        string[] unknown = [.. wanted.Except(detector.Taps)];
        return unknown.Length == 0
            ? wanted
            : throw new BadInputException($"--taps: {detector.Model.Name} has no {string.Join(", ", unknown)}; it has {string.Join(", ", detector.Taps)}");
    }

    private static (string Name, Tensor Values) Read(string path, string? wanted)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        string name = wanted ?? (file.Entries.Count == 1 ? file.Entries.Keys.First() : "input");
        if (!file.Entries.TryGetValue(name, out SafetensorsEntry? entry))
        {
            throw new BadInputException($"{path}: there is no tensor \"{name}\"; it holds {string.Join(", ", file.Entries.Keys.Order(StringComparer.Ordinal).Take(20))}. Choose one with --tensor.");
        }

        if (entry.Shape.Count > Array.MaxLength)
        {
            throw new TensorException($"{path}: tensor \"{name}\" {entry.Shape} is too large for one run; cut it into several files");
        }

        Tensor values = new(entry.Shape);
        file.ReadFloat32(name, values.Data);
        return (name, values);
    }

    private static void Print(AnomalyDetector detector, DetectorOptions options, string path, IReadOnlyDictionary<string, Tensor> results, bool json)
    {
        if (json)
        {
            JsonLine.Print(w =>
            {
                w.WriteRun(detector, options);
                w.WriteNumbers("image_score", results["image_score"].Data);
                w.WriteStartArray("results");
                foreach ((string name, Tensor tensor) in results)
                {
                    (float low, double mean, float high) = Statistics(tensor.Data);
                    w.WriteStartObject();
                    w.WriteString("name", name);
                    w.WriteShape("shape", tensor.Shape);
                    w.WriteNumberOrNull("min", low);
                    w.WriteNumberOrNull("mean", mean);
                    w.WriteNumberOrNull("max", high);
                    w.WriteEndObject();
                }

                w.WriteEndArray();
            });
            return;
        }

        Human.Header(detector, options, path);
        Table table = Human.Table("tensor", "shape", ">min", ">mean", ">max");
        foreach ((string name, Tensor tensor) in results)
        {
            (float low, double mean, float high) = Statistics(tensor.Data);
            table.Row(name, tensor.Shape.ToString(), $"{low:G7}", $"{mean:G7}", $"{high:G7}");
        }

        Human.Print(table);
    }

    private static (float Low, double Mean, float High) Statistics(float[] values)
    {
        float low = float.PositiveInfinity, high = float.NegativeInfinity;
        double sum = 0;
        foreach (float value in values)
        {
            low = Math.Min(low, value);
            high = Math.Max(high, value);
            sum += value;
        }

        return (low, sum / values.Length, high);
    }
}
