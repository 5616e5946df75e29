using System.CommandLine;
using System.Text.Json;
using KernelAD.Cli.Output;
using KernelAD.Preprocessing;
using KernelAD.Weights;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad info</c>: everything a model file says, and what it takes to run it.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        Argument<string> model = Options.Model();
        Option<bool> tensors = new("--tensors") { Description = "List every tensor" };
        Option<bool> json = Options.Json();
        Command command = new("info", "Show configuration, preprocessing, tensors, parameters, GFLOP per image and the memory plan") { model, tensors, json };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(model);
            DetectorOptions options = engine.Read(parsed) with { UseCalibration = false };
            using ModelFile file = ModelFile.Open(path);
            using AnomalyDetector detector = AnomalyDetector.Load(path, options with { Logger = null });
            if (parsed.GetValue(json))
            {
                PrintJson(file, detector, options);
            }
            else
            {
                PrintText(file, detector, options, parsed.GetValue(tensors));
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void PrintText(ModelFile file, AnomalyDetector detector, DetectorOptions options, bool tensors)
    {
        Human.Header(detector, options, file.Path);
        Table facts = Human.Table("what", "value");
        facts.Row("parameters", $"{file.Parameters:N0} in {file.Tensors.Count} tensors ({string.Join(", ", file.Tensors.Values.GroupBy(t => t.Type).Select(g => $"{g.Count()} {g.Key}"))})");
        facts.Row("input", $"{detector.MapWidth}×{detector.MapHeight} pixels");
        facts.Row("preprocessing", file.Preprocessing.Describe());
        facts.Row("compute", $"{detector.FlopsPerImage / 1e9:F2} GFLOP per image as the model is written");
        facts.Row("memory", $"{ByteSize.Format(detector.WeightBytes)} weights, {ByteSize.Format(detector.ActivationBytes)} activations per call");
        facts.Row("threshold", CalibrationText.Describe(file.Calibration ?? new ModelCalibration()));
        if (file.Calibration?.PreprocessingHash is string hash && hash != file.PreprocessingHash)
        {
            facts.Row("", "calibrated with another preprocessing: of no use until the file is calibrated again");
        }

        foreach (ModelSource source in file.Source)
        {
            facts.Row("source", $"{source.File}, SHA-256 {source.Sha256}");
        }

        Human.Print(facts);
        PrintConfiguration(file);
        if (tensors)
        {
            Table list = Human.Table("tensor", "type", "shape");
            foreach (SafetensorsEntry entry in file.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
            {
                list.Row(entry.Name, entry.Type.ToString(), entry.Shape.ToString());
            }

            Human.Line();
            Human.Print(list);
        }

        foreach (string warning in detector.Warnings)
        {
            Human.Line($"warning: {warning}");
        }
    }

    private static void PrintConfiguration(ModelFile file)
    {
        Dictionary<string, ModelNote> notes = file.Notes.GroupBy(n => n.Key).ToDictionary(g => g.Key, g => g.Last(), StringComparer.Ordinal);
        Table table = Human.Table("configuration", "value", "how known", "why");
        foreach ((string key, System.Text.Json.Nodes.JsonNode? value) in file.Model.Config)
        {
            ModelNote? note = notes.GetValueOrDefault(key);
            table.Row(key, value?.ToJsonString() ?? "null", note?.Kind.ToString().ToLowerInvariant() ?? "", note?.Reason ?? "");
        }

        Human.Line();
        Human.Print(table);
    }

    private static void PrintJson(ModelFile file, AnomalyDetector detector, DetectorOptions options) => JsonLine.Print(json =>
    {
        json.WriteString("file", file.Path);
        json.WriteRun(detector, options);
        json.WritePropertyName("config");
        file.Model.Config.WriteTo(json);
        WritePreprocessing(json, file.Preprocessing);
        json.WriteString("preprocessing_sha256", file.PreprocessingHash);
        json.WriteCalibration("calibration", file.Calibration);
        json.WriteStartArray("source");
        foreach (ModelSource source in file.Source)
        {
            json.WriteStartObject();
            json.WriteString("file", source.File);
            json.WriteString("sha256", source.Sha256);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNotes("notes", file.Notes);
        json.WriteNumber("parameters", file.Parameters);
        json.WriteNumber("gflop_per_image", detector.FlopsPerImage / 1e9);
        json.WriteStartObject("memory");
        json.WriteNumber("weight_bytes", detector.WeightBytes);
        json.WriteNumber("activation_bytes", detector.ActivationBytes);
        json.WriteEndObject();
        json.WriteStrings("taps", detector.Taps);
        json.WriteStartArray("tensors");
        foreach (SafetensorsEntry entry in file.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString("name", entry.Name);
            json.WriteString("type", entry.Type.ToString());
            json.WriteShape("shape", entry.Shape);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    private static void WritePreprocessing(Utf8JsonWriter json, PicturePreprocessing p)
    {
        json.WriteStartObject("preprocessing");
        if (p.ResizeShortSide is int side)
        {
            json.WriteNumber("resize", side);
        }
        else
        {
            json.WriteNumbers("resize", [p.ResizeHeight, p.ResizeWidth]);
        }

        json.WriteString("filter", p.Filter.ToString().ToLowerInvariant());
        json.WriteNumbers("crop", [p.CropHeight, p.CropWidth]);
        json.WriteNumbers("mean", p.Mean);
        json.WriteNumbers("std", p.Std);
        json.WriteEndObject();
    }
}
