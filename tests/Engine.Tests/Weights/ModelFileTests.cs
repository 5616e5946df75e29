using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Weights;

public class ModelFileTests
{
    private static readonly Model Tiny = ModelRegistry.Create("InTra", new JsonObject
    {
        ["image_h"] = 8,
        ["image_w"] = 12,
        ["K"] = 2,
        ["L"] = 3,
        ["N"] = 1,
        ["h"] = 2,
        ["d_model"] = 4,
        ["grid_max"] = 6,
    });

    [Test]
    public void Everything_comes_back()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        ModelFileDetails details = new()
        {
            Preprocessing = Tiny.Preprocessing with { ResizeShortSide = 9, ResizeHeight = 0, ResizeWidth = 0, Filter = Interpolation.Bicubic, Mean = [0.1f, 0.2f, 0.3f], Std = [1, 2, 3] },
            Calibration = new ModelCalibration { Threshold = 0.25, ScoreHigh = 1e-9 },
            Source = [new ModelSource("a.pth", "00ff")],
            Notes = [new ModelNote(NoteKind.Told, "h", "2", "told"), new ModelNote(NoteKind.Assumed, "L", "3", "\"because\"")],
        };
        ModelFile.Write(path, Tiny, Sources(withMeanMap: true), details);
        using ModelFile file = ModelFile.Open(path);
        Assert.That(file.Model.Name, Is.EqualTo("InTra"));
        Assert.That(file.Model.Config.ToJsonString(), Is.EqualTo(Tiny.Config.ToJsonString()));
        Assert.That(file.Calibration, Is.EqualTo(details.Calibration));
        Assert.That(file.Source, Is.EqualTo(details.Source));
        Assert.That(file.Notes, Is.EqualTo(details.Notes));
        Assert.That(file.Preprocessing with { Mean = [], Std = [] }, Is.EqualTo(details.Preprocessing with { Mean = [], Std = [] }).Using<PicturePreprocessing>(SameFields));
        Assert.That(file.Preprocessing.Mean, Is.EqualTo(details.Preprocessing.Mean));
        Assert.That(file.Preprocessing.Std, Is.EqualTo(details.Preprocessing.Std));
        Assert.That(file.Assumptions, Is.Empty);
        Assert.That(file.Parameters, Is.EqualTo(Tiny.Tensors.Sum(t => t.Shape.Count)));
        float[] map = new float[96];
        file.ReadFloat32(InTra.MeanMapKey, map);
        Assert.That(map, Is.All.EqualTo(0.5f));
    }

    [Test]
    public void Rewriting_changes_the_calibration_and_the_tensors_that_are_named_and_nothing_else()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        ModelFile.Write(path, Tiny, Sources(withMeanMap: false), new ModelFileDetails { Source = [new ModelSource("a.pth", "00ff")], Calibration = new ModelCalibration { Threshold = 1 } });
        ModelCalibration calibration = new()
        {
            Threshold = 0.1,
            PixelThreshold = 1.0 / 3,
            Method = "conformal",
            Parameter = 0.01,
            GoodPictures = 120,
            AnomalousPictures = 3,
            ScoreLow = 0.01,
            ScoreMedian = 0.05,
            ScoreHigh = 0.2,
            ScorePooling = "model",
            Date = "2026-01-31",
            PreprocessingHash = "ab12",
        };
        Dictionary<string, float[]> before = [];
        using (ModelFile file = ModelFile.Open(path))
        {
            foreach (string name in file.Tensors.Keys)
            {
                before.Add(name, Values(file, name));
            }

            Tensor map = new(new Shape(1, 1, 8, 12));
            map.Data.AsSpan().Fill(7);
            file.Rewrite(path, calibration, [TensorSource.Of(InTra.MeanMapKey, map)]);
        }

        using (ModelFile file = ModelFile.Open(path))
        {
            Assert.That(file.Calibration, Is.EqualTo(calibration));
            Assert.That(file.Source, Is.EqualTo((ModelSource[])[new ModelSource("a.pth", "00ff")]));
            Assert.That(Values(file, InTra.MeanMapKey), Is.All.EqualTo(7f));
            Assert.That(file.Tensors, Has.Count.EqualTo(before.Count + 1));
            foreach ((string name, float[] values) in before)
            {
                Assert.That(Values(file, name), Is.EqualTo(values), name);
            }

            file.Rewrite(path, null, []);
        }

        using ModelFile last = ModelFile.Open(path);
        Assert.That((last.Calibration, last.Has(InTra.MeanMapKey)), Is.EqualTo(((ModelCalibration?)null, true)));

        static float[] Values(ModelFile file, string name)
        {
            float[] values = new float[file.Tensors[name].Shape.Count];
            file.ReadFloat32(name, values);
            return values;
        }
    }

    [Test]
    public void The_preprocessings_hash_tells_preprocessings_apart()
    {
        using TemporaryFolder folder = new();
        string[] hashes = [.. new PicturePreprocessing?[] { null, Tiny.Preprocessing, Tiny.Preprocessing with { Filter = Interpolation.Lanczos }, Tiny.Preprocessing with { Std = [1, 1, 2] } }.Select(p =>
        {
            ModelFile.Write(folder.File("m.safetensors"), Tiny, Sources(withMeanMap: false), new ModelFileDetails { Preprocessing = p });
            using ModelFile file = ModelFile.Open(folder.File("m.safetensors"));
            return file.PreprocessingHash;
        })];
        Assert.That(hashes[0], Is.EqualTo(hashes[1]).And.Length.EqualTo(64));
        Assert.That(hashes.Distinct().Count(), Is.EqualTo(3));
    }

    [Test]
    public void Bare_minimum_is_enough()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        ModelFile.Write(path, Tiny, Sources(withMeanMap: false), new ModelFileDetails());
        using ModelFile file = ModelFile.Open(path);
        Assert.That(file.Calibration, Is.Null);
        Assert.That(file.Notes, Is.Empty);
        Assert.That(file.Has(InTra.MeanMapKey), Is.False);
        Assert.That(file.Assumptions, Has.Count.EqualTo(1));
        Assert.That(file.Preprocessing.Std, Is.EqualTo(Tiny.Preprocessing.Std));
    }

    [Test]
    public void Tensors_that_do_not_fit_are_listed()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        List<TensorSource> tensors = Sources(withMeanMap: false);
        tensors.RemoveAll(t => t.Name == "x_inpaint");
        tensors[0] = TensorSource.Of(tensors[0].Name, new Tensor(new Shape(2, 2)));
        tensors[1] = new TensorSource(tensors[1].Name, ElementType.I32, tensors[1].Shape, s => s.Write(new byte[tensors[1].Shape.Count * 4]));
        tensors.Add(TensorSource.Of("surplus", new Tensor(new Shape(1))));
        ModelFile.Write(path, Tiny, tensors, new ModelFileDetails());
        Assert.That(
            () => ModelFile.Open(path),
            Throws.TypeOf<ModelFileException>().With.Message.Contains("\"x_inpaint\" (1, 1, 4) is missing")
                .And.Message.Contains("has shape (2, 2)").And.Message.Contains("type I32").And.Message.Contains("\"surplus\""));
    }

    [TestCase("kernelad.schema", null, "not a KernelAD model")]
    [TestCase("kernelad.schema", "2.0", "schema \"2.0\"")]
    [TestCase("kernelad.schema", "", "schema")]
    [TestCase("kernelad.model", null, "kernelad.model")]
    [TestCase("kernelad.model", "GPT", "unknown model")]
    [TestCase("kernelad.config", "[]", "kernelad.config")]
    [TestCase("kernelad.config", "null", "kernelad.config")]
    [TestCase("kernelad.config", "{\"K\":1,\"K\":2}", "kernelad.config")]
    [TestCase("kernelad.config", "{\"K\":{}}", "\"image_h\"")]
    [TestCase("kernelad.config", "{", "kernelad.config")]
    [TestCase("kernelad.preprocessing", null, "kernelad.preprocessing")]
    [TestCase("kernelad.preprocessing", "{}", "kernelad.preprocessing")]
    [TestCase("kernelad.preprocessing", "7", "kernelad.preprocessing")]
    [TestCase("kernelad.preprocessing", "{\"resize\":[8,12],\"filter\":\"cubist\",\"crop\":[8,12],\"mean\":[0,0,0],\"std\":[1,1,1]}", "cubist")]
    [TestCase("kernelad.preprocessing", "{\"resize\":[8,12],\"filter\":\"bilinear\",\"crop\":[8,12],\"mean\":[0,0,0],\"std\":[1,0,1]}", "std")]
    [TestCase("kernelad.preprocessing", "{\"resize\":[8,12],\"filter\":\"bilinear\",\"crop\":[8,12],\"mean\":[0,0,1e99],\"std\":[1,1,1]}", "mean")]
    [TestCase("kernelad.preprocessing", "{\"resize\":-1,\"filter\":\"bilinear\",\"crop\":[8,12],\"mean\":[0,0,0],\"std\":[1,1,1]}", "size")]
    [TestCase("kernelad.preprocessing", "{\"resize\":[8,12],\"filter\":\"bilinear\",\"crop\":[8,8],\"mean\":[0,0,0],\"std\":[1,1,1]}", "8×8")]
    [TestCase("kernelad.calibration", "{\"threshold\":\"high\"}", "kernelad.calibration")]
    [TestCase("kernelad.calibration", "{\"threshold\":1e999}", "kernelad.calibration")]
    [TestCase("kernelad.source", "{}", "kernelad.source")]
    [TestCase("kernelad.notes", "[1]", "kernelad.notes")]
    [TestCase("kernelad.notes", "[{\"kind\":\"guessed\",\"key\":\"\",\"value\":\"\",\"reason\":\"\"}]", "kernelad.notes")]
    public void Unusable_metadata_is_named(string key, string? value, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        ModelFile.Write(path, Tiny, Sources(withMeanMap: false), new ModelFileDetails());
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            metadata = file.Metadata.ToDictionary();
        }

        metadata.Remove(key);
        if (value is not null)
        {
            metadata.Add(key, value);
        }

        SafetensorsWriter.Write(path, Sources(withMeanMap: false), metadata);
        Assert.That(() => ModelFile.Open(path), Throws.InstanceOf<BadInputException>().With.Message.Contains(message).And.Message.Contains(path));
    }

    [Test]
    public void Newer_minor_schema_is_read()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("m.safetensors");
        ModelFile.Write(path, Tiny, Sources(withMeanMap: false), new ModelFileDetails());
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            metadata = file.Metadata.ToDictionary();
        }

        metadata["kernelad.schema"] = "1.7";
        metadata["kernelad.something_new"] = "x";
        SafetensorsWriter.Write(path, Sources(withMeanMap: false), metadata);
        using ModelFile model = ModelFile.Open(path);
        Assert.That(model.Model.Name, Is.EqualTo("InTra"));
    }

    private static List<TensorSource> Sources(bool withMeanMap) =>
        [.. Tiny.Tensors.Where(t => withMeanMap || !t.Optional).Select(t =>
        {
            float[] values = new float[t.Shape.Count];
            Array.Fill(values, 0.5f);
            return TensorSource.Of(t.Name, new Tensor(t.Shape, values));
        })];

    private static bool SameFields(PicturePreprocessing a, PicturePreprocessing b) => a with { Mean = b.Mean, Std = b.Std } == b;
}
