using KernelAD.Export;
using KernelAD.Tensors;
using KernelAD.Weights;
using Microsoft.ML.OnnxRuntime;

namespace KernelAD.Oracles.Tests;

/// <summary>A model file, exported and loaded into ONNX Runtime.</summary>
internal sealed class OnnxRun : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"kernelad-{Guid.NewGuid():N}.onnx");
    private readonly int _batch;

    public OnnxRun(string modelFile, int batch)
    {
        _batch = batch;
        using ModelFile file = ModelFile.Open(modelFile);
        OnnxExporter.Export(file, _path, batch);
        using SessionOptions options = new() { IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        Session = new InferenceSession(_path, options);
    }

    public InferenceSession Session { get; }

    /// <summary>Runs all pictures, a batch at a time.</summary>
    public (float[] Maps, float[] Scores) Run(Tensor input)
    {
        int pictures = input.Shape[0], values = input.Data.Length / pictures;
        List<float> maps = [], scores = [];
        for (int first = 0; first < pictures; first += _batch)
        {
            using OrtValue x = OrtValue.CreateTensorValueFromMemory(
                input.Data[(first * values)..((first + _batch) * values)], [_batch, 3, input.Shape[2], input.Shape[3]]);
            using RunOptions options = new();
            using IDisposableReadOnlyCollection<OrtValue> y = Session.Run(options, ["input"], [x], ["anomaly_map", "image_score"]);
            Assert.That(y[0].GetTensorTypeAndShape().Shape, Is.EqualTo(new long[] { _batch, 1, input.Shape[2], input.Shape[3] }));
            Assert.That(y[1].GetTensorTypeAndShape().Shape, Is.EqualTo(new long[] { _batch }));
            maps.AddRange(y[0].GetTensorDataAsSpan<float>());
            scores.AddRange(y[1].GetTensorDataAsSpan<float>());
        }

        return ([.. maps], [.. scores]);
    }

    public void Dispose()
    {
        Session.Dispose();
        File.Delete(_path);
    }
}
