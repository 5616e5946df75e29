using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Golden;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad verify</c>: a golden case through the model, worst error per tap against its tolerance.</summary>
internal static class VerifyCommand
{
    public static Command Create()
    {
        Argument<string> model = Options.Model();
        Option<string> golden = new("--golden") { Description = "Folder with case.json, io.safetensors and tolerances.json", HelpName = "DIR", Required = true };
        Option<int> batch = Options.Positive("--batch", "Pictures per run", 1);
        Option<bool> json = Options.Json();
        Command command = new(
            "verify",
            "Compare the model with a golden case of its official PyTorch code, with intermediates and fully fused. A value beyond its tolerance is exit code 3.")
        {
            model, golden, batch, json,
        };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            DetectorOptions options = engine.Read(parsed);
            string path = parsed.GetRequiredValue(model), folder = parsed.GetRequiredValue(golden);
            using AnomalyDetector detector = AnomalyDetector.Load(path, options);
            (string Plan, TapComparison Tap)[] comparisons = Compare(detector, folder, parsed.GetValue(batch), fast: options.Precision != Precision.Fp32);
            if (parsed.GetValue(json))
            {
                PrintJson(detector, options, folder, comparisons);
            }
            else
            {
                Human.Header(detector, options, path);
                PrintTable(comparisons);
            }

            int failed = comparisons.Count(c => IsFailure(c.Tap));
            return failed == 0
                ? ExitCode.Done
                : throw new BadInputException($"{path} does not reproduce {folder}: {failed} of {comparisons.Length} values are not within tolerance; check that model and case belong together");
        });
        return command;
    }

    private static (string Plan, TapComparison Tap)[] Compare(AnomalyDetector detector, string folder, int batch, bool fast)
    {
        GoldenCase golden = GoldenCase.Open(folder);
        if (!golden.IsForward)
        {
            throw new BadInputException($"{folder}: has no tolerances.json, so it is no case of a forward pass that could be compared");
        }

        try
        {
            if (!string.Equals(golden.Model, detector.Model.Name, StringComparison.OrdinalIgnoreCase))
            {
                throw new BadInputException($"{folder}: is a case of {golden.Model}, the model is {detector.Model.Name}");
            }

            golden = golden.For(detector.Model);
            (string Plan, TapComparison Tap)[] comparisons =
            [
                .. golden.Compare(detector, batch, taps: true, fast).Select(t => ("with taps", t)),
                .. golden.Compare(detector, batch, taps: false, fast).Select(t => ("fused", t)),
            ];
            return comparisons.Any(c => !c.Tap.NotComputed)
                ? comparisons
                : throw new BadInputException($"{folder}: tolerances.json names nothing that the engine computes");
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new BadInputException($"{folder}: not a complete golden case: {e.Message}", e);
        }
    }

    private static void PrintTable((string Plan, TapComparison Tap)[] comparisons)
    {
        Table table = Human.Table("plan", "value", ">worst error", ">of tolerance", "");
        foreach ((string plan, TapComparison tap) in comparisons)
        {
            if (tap.Note is string note)
            {
                table.Row(plan, tap.Tap, "", "", tap.NotComputed ? note : $"FAIL: {note}");
            }
            else
            {
                table.Row(plan, tap.Tap, $"{tap.WorstError:E2}", $"{100 * tap.Share:F1} %", tap.Passed ? "PASS" : "FAIL");
            }
        }

        Human.Print(table);
        int failed = comparisons.Count(c => IsFailure(c.Tap)), compared = comparisons.Count(c => !c.Tap.NotComputed);
        Human.Line(failed == 0 ? $"PASS: {compared} values compared, all within tolerance" : $"FAIL: {failed} of {compared} values are not within tolerance");
    }

    private static void PrintJson(AnomalyDetector detector, DetectorOptions options, string folder, (string Plan, TapComparison Tap)[] comparisons) => JsonLine.Print(json =>
    {
        json.WriteRun(detector, options);
        json.WriteString("golden", folder);
        json.WriteBoolean("passed", !comparisons.Any(c => IsFailure(c.Tap)));
        json.WriteStartArray("values");
        foreach ((string plan, TapComparison tap) in comparisons)
        {
            json.WriteStartObject();
            json.WriteString("plan", plan);
            json.WriteString("name", tap.Tap);
            json.WriteNumberOrNull("worst_error", tap.WorstError);
            json.WriteNumberOrNull("share_of_tolerance", tap.Share);
            json.WriteBoolean("passed", !IsFailure(tap));
            if (tap.Note is string note)
            {
                json.WriteString("note", note);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    /// <summary>What the engine does not compute (a training loss, a table that the converter makes) is listed but is no failure.</summary>
    private static bool IsFailure(TapComparison tap) => !tap.Passed && !tap.NotComputed;
}
