using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Cli.Output;
using KernelAD.Models;
using KernelAD.Weights;
using KernelAD.WeightsConverter;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad convert</c>: the front of the weights converter.</summary>
internal static class ConvertCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string[]> checkpoints = new("CHECKPOINT")
        {
            Description = "PyTorch checkpoint (.pth, .pt, .tar); a second file may hold InTra's mean map, ViTAD's teacher, VT-ADL's mixture network, or the backbone of ADTR, UniAD or UTRAD",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string> output = new("--output", "-o") { Description = "Model file to write", HelpName = "M.safetensors", Required = true };
        Option<string?> model = new("--model") { Description = $"{string.Join(", ", ModelRegistry.Names)} [default: the checkpoint's keys tell]", HelpName = "NAME" };
        Option<string[]> set = new("--set") { Description = "A configuration value that the checkpoint does not show; may be repeated", HelpName = "key=value" };
        Option<string?> config = new("--config") { Description = "JSON file with configuration values, plain or under \"config\"", HelpName = "FILE.json" };
        Option<bool> json = Options.Json();
        Command command = new("convert", "Convert a PyTorch checkpoint to a model file; nothing in the checkpoint is executed") { checkpoints, output, model, set, config, json };
        command.SetAction(parsed =>
        {
            (string? name, JsonObject told) = Told(parsed.GetValue(config), parsed.GetValue(set) ?? []);
            ConversionReport report = CheckpointConverter.Convert(
                parsed.GetRequiredValue(checkpoints),
                parsed.GetRequiredValue(output),
                new ConversionOptions { Model = parsed.GetValue(model) ?? name, Told = told, Cancellation = cancellation });
            if (parsed.GetValue(json))
            {
                PrintJson(report);
            }
            else
            {
                PrintText(report);
            }

            foreach (string warning in report.Warnings)
            {
                Console.Error.WriteLine($"kernelad: warning: {warning}");
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static (string? Model, JsonObject Told) Told(string? configFile, string[] settings)
    {
        JsonObject told = [];
        string? model = null;
        if (configFile is not null)
        {
            JsonObject file = ReadConfig(configFile);
            model = file["config"] is JsonObject && file["model"] is JsonValue value && value.TryGetValue(out string? name) ? name : null;
            told = (JsonObject)(file["config"] as JsonObject ?? file).DeepClone();
        }

        foreach (string setting in settings)
        {
            int equals = setting.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
            {
                throw new UsageException($"--set: \"{setting}\" is not of the form key=value");
            }

            told[setting[..equals]] = Value(setting[(equals + 1)..]);
        }

        return (model, told);
    }

    /// <summary>A JSON value, or else a bare word.</summary>
    private static JsonNode? Value(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }

    private static JsonObject ReadConfig(string path)
    {
        try
        {
            JsonDocumentOptions options = new() { AllowDuplicateProperties = false };
            return JsonNode.Parse(File.ReadAllBytes(path), documentOptions: options) as JsonObject
                ?? throw new BadInputException($"{path}: expected a JSON object of configuration values");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read as a configuration: {e.Message}", e);
        }
    }

    private static void PrintText(ConversionReport report)
    {
        Human.Line($"{report.Model.Name}: {report.Parameters:N0} parameters in {report.Tensors} tensors → {report.OutputPath}");
        foreach ((string heading, IReadOnlyList<ModelNote> notes) in new[]
        {
            ("inferred from the checkpoint", report.Inferred), ("told", report.Told), ("assumed: check these", report.Assumed),
        })
        {
            if (notes.Count > 0)
            {
                Table table = Human.Table(heading, "value", "why");
                foreach (ModelNote note in notes)
                {
                    table.Row(note.Key, note.Value, note.Reason);
                }

                Human.Line();
                Human.Print(table);
            }
        }

        if (report.SkippedKeys.Count > 0)
        {
            Human.Line();
            Human.Line($"not used by the model: {string.Join(", ", report.SkippedKeys.Select(Human.Printable))}");
        }
    }

    private static void PrintJson(ConversionReport report) => JsonLine.Print(json =>
    {
        json.WriteString("model", report.Model.Name);
        json.WriteString("output", report.OutputPath);
        json.WriteNumber("parameters", report.Parameters);
        json.WriteNumber("tensors", report.Tensors);
        json.WritePropertyName("config");
        report.Model.Config.WriteTo(json);
        json.WriteNotes("notes", report.Notes);
        json.WriteStrings("skipped_keys", report.SkippedKeys);
        json.WriteStrings("warnings", report.Warnings);
    });
}
