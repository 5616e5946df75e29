using System.Collections.Concurrent;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;
using KernelAD.WeightsConverter;

namespace KernelAD.Engine.Tests.Golden;

/// <summary>Model files for golden cases, made once per test run: converted from the case's checkpoint, or filled by the formula.</summary>
internal static class GoldenModels
{
    private static readonly string Folder = Directory.CreateTempSubdirectory("kernelad-golden-").FullName;
    private static readonly ConcurrentDictionary<string, Lazy<string>> Files = new(StringComparer.Ordinal);

    static GoldenModels() => AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(Folder, recursive: true);

    /// <summary>The model file of a case.</summary>
    public static string FileOf(string caseFolder) =>
        Files.GetOrAdd(caseFolder, folder => new Lazy<string>(() => Make(folder))).Value;

    private static string Make(string folder)
    {
        GoldenCase golden = GoldenCase.Open(folder);
        string path = Path.Combine(Folder, $"{golden.Model}-{golden.Name}-{Files.Count}.safetensors");
        if (golden.HasFormulaWeights)
        {
            Model model = ModelRegistry.Create(golden.Model, golden.Config);
            ModelFile.Write(path, model, new FormulaWeights(golden).Of(model), new ModelFileDetails());
        }
        else
        {
            CheckpointConverter.Convert(golden.Checkpoints, path, new ConversionOptions { Told = golden.Config });
        }

        return FittedWithMeanMap(path, golden);
    }

    /// <summary>InTra's paper variant is fitted with the mean of "diff" over the normal pictures; compute it with the engine itself, as a user would.</summary>
    private static string FittedWithMeanMap(string path, GoldenCase golden)
    {
        Tensor? normal = golden.NormalPictures();
        using ModelFile file = ModelFile.Open(path);
        TensorSpec? spec = file.Model.Tensors.FirstOrDefault(t => t.Name == InTra.MeanMapKey);
        if (normal is null || spec is null)
        {
            return path;
        }

        using AnomalyDetector unfitted = AnomalyDetector.Load(path, new DetectorOptions { Device = "cpu" });
        Tensor diff = unfitted.Run(normal, ["diff"])["diff"];
        int pixels = diff.Data.Length / diff.Shape[0];
        float[] mean = [.. Enumerable.Range(0, pixels)
            .Select(p => (float)Enumerable.Range(0, diff.Shape[0]).Average(n => (double)diff.Data[(n * pixels) + p]))];
        List<TensorSource> tensors = [TensorSource.Of(InTra.MeanMapKey, new Tensor(spec.Shape, mean))];
        foreach (SafetensorsEntry entry in file.Tensors.Values)
        {
            Tensor tensor = new(entry.Shape);
            file.ReadFloat32(entry.Name, tensor.Data);
            tensors.Add(TensorSource.Of(entry.Name, tensor));
        }

        string fitted = Path.ChangeExtension(path, ".fitted.safetensors");
        ModelFile.Write(fitted, file.Model, tensors, file.Details);
        return fitted;
    }
}
