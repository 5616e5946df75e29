using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Export;
using KernelAD.Weights;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad export</c>: the model's graph as ONNX.</summary>
internal static class ExportCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string> output = new("OUTPUT") { Description = "ONNX file to write" };
        Option<int> batch = Options.Positive("--batch", "Pictures per run; fixed in the file", 1);
        Option<bool> json = Options.Json();
        Command command = new("export", "Write the model as ONNX for other runtimes") { model, output, batch, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(output);
            int count = parsed.GetValue(batch);
            using ModelFile file = ModelFile.Open(parsed.GetRequiredValue(model));
            OnnxExporter.Export(file, path, count, cancellation);
            long bytes = new FileInfo(path).Length;
            if (parsed.GetValue(json))
            {
                JsonLine.Print(w =>
                {
                    w.WriteString("model", file.Model.Name);
                    w.WriteString("output", path);
                    w.WriteNumber("batch", count);
                    w.WriteNumber("bytes", bytes);
                });
            }
            else
            {
                Human.Line($"{file.Model.Name}: input ({count}, 3, {file.Model.ImageHeight}, {file.Model.ImageWidth}), {ByteSize.Format(bytes)} → {path}");
            }

            return ExitCode.Done;
        });
        return command;
    }
}
