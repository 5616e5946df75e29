using System.Text.Json.Nodes;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>A folder of its own for a test's files, deleted at the end.</summary>
internal sealed class Workspace : IDisposable
{
    public Workspace() => Directory.CreateDirectory(Folder);

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "kernelad-tests-" + Guid.NewGuid().ToString("N"));

    public string Output => Path.Combine(Folder, "out.safetensors");

    public string Save(byte[] content, string name = "checkpoint.pth")
    {
        string path = Path.Combine(Folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    public ConversionReport Convert(byte[] content, JsonObject? told = null) => CheckpointConverter.Convert([Save(content)], Output, new ConversionOptions { Told = told ?? [] });

    public BadInputException Fails(byte[] content, JsonObject? told = null) => Fails([Save(content)], told);

    /// <summary>Converts what must not be convertible, and checks that no file is left behind.</summary>
    public BadInputException Fails(string[] files, JsonObject? told = null)
    {
        BadInputException error = Assert.Catch<BadInputException>(() => CheckpointConverter.Convert(files, Output, new ConversionOptions { Told = told ?? [] }))!;
        Assert.That(Directory.GetFiles(Folder, "*.safetensors*"), Is.Empty, "something half-written was left behind");
        return error;
    }

    /// <summary>A tensor of the converted file.</summary>
    public float[] Read(string name)
    {
        using ModelFile file = ModelFile.Open(Output);
        float[] values = new float[file.Tensors[name].Shape.Count];
        Array.Fill(values, float.NaN);
        file.ReadFloat32(name, values);
        return values;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
