using System.CommandLine;
using KernelAD.Cli.Output;
using KernelAD.Imaging;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad preprocess</c>: the exact network input of a picture, to compare with PyTorch.</summary>
internal static class PreprocessCommand
{
    public static Command Create(CancellationToken cancellation)
    {
        Argument<string> model = Options.Model();
        Argument<string> picture = new("PICTURE") { Description = "Picture file" };
        Option<string> output = new("--output", "-o") { Description = "safetensors file to write; holds the tensor input (1,3,H,W)", HelpName = "FILE", Required = true };
        Option<bool> orientation = new("--exif-orientation") { Description = "Turn the picture upright as its EXIF data say" };
        Option<bool> json = Options.Json();
        Command command = new("preprocess", "Write the exact network input of a picture") { model, picture, output, orientation, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(output), source = parsed.GetRequiredValue(picture);
            using ModelFile file = ModelFile.Open(parsed.GetRequiredValue(model));
            Tensor input = new(new Shape(1, 3, file.Model.ImageHeight, file.Model.ImageWidth));
            using (Picture pixels = PictureFile.Read(source, new PictureReadOptions { ApplyOrientation = parsed.GetValue(orientation) }))
            {
                new Preprocessing.PicturePreprocessor(file.Preprocessing).Process(pixels.View, input.Data, new Preprocessing.PreprocessingScratch());
            }

            SafetensorsWriter.Write(path, [TensorSource.Of("input", input)], new Dictionary<string, string> { ["format"] = "pt", ["picture"] = Path.GetFileName(source) }, cancellation);
            if (parsed.GetValue(json))
            {
                JsonLine.Print(w =>
                {
                    w.WriteString("picture", source);
                    w.WriteString("output", path);
                    w.WriteString("tensor", "input");
                    w.WriteShape("shape", input.Shape);
                });
            }
            else
            {
                Human.Line($"input {input.Shape} → {path}");
            }

            return ExitCode.Done;
        });
        return command;
    }
}
