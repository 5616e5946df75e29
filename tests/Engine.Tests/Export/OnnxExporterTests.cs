using KernelAD.Export;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Export;

/// <summary>What goes wrong while exporting; that the files mean what they should is for the oracle tests.</summary>
public sealed class OnnxExporterTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("kernelad-export-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void Exporting_twice_gives_equal_files()
    {
        using RandomModel model = RandomModel.VitAd();
        using ModelFile file = ModelFile.Open(model.Path);
        string a = Path.Combine(_folder, "a.onnx"), b = Path.Combine(_folder, "b.onnx");
        OnnxExporter.Export(file, a);
        OnnxExporter.Export(file, b);
        Assert.That(File.ReadAllBytes(a), Is.EqualTo(File.ReadAllBytes(b)));
        Assert.That(new FileInfo(a).Length, Is.GreaterThan(file.Parameters * sizeof(float)));
    }

    [Test]
    public void A_missing_folder_is_an_output_error_that_names_the_file()
    {
        using RandomModel model = RandomModel.VitAd();
        using ModelFile file = ModelFile.Open(model.Path);
        string path = Path.Combine(_folder, "missing", "m.onnx");
        Assert.That(() => OnnxExporter.Export(file, path), Throws.TypeOf<OutputException>().With.Message.Contains(path));
    }

    [Test]
    public void Cancelling_leaves_the_older_file_and_no_other()
    {
        using RandomModel model = RandomModel.VitAd();
        using ModelFile file = ModelFile.Open(model.Path);
        string path = Path.Combine(_folder, "m.onnx");
        File.WriteAllText(path, "older");
        Assert.That(() => OnnxExporter.Export(file, path, cancellation: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.GetFiles(_folder), Is.EqualTo(new[] { path }));
        Assert.That(File.ReadAllText(path), Is.EqualTo("older"));
    }

    [Test]
    public void Weights_beyond_two_gigabytes_are_refused_before_anything_is_written()
    {
        OnnxModel model = new("large", new Dictionary<string, string>());
        model.AddTensor("half", new Shape(1 << 14, 1 << 14), _ => Assert.Fail("values were asked for"));
        model.AddTensor("other half", new Shape(1 << 14, 1 << 14), _ => Assert.Fail("values were asked for"));
        Assert.That(
            () => model.Write(Path.Combine(_folder, "m.onnx"), CancellationToken.None),
            Throws.TypeOf<BadInputException>().With.Message.Contains("2,147,483,647"));
        Assert.That(Directory.GetFiles(_folder), Is.Empty);
    }
}
