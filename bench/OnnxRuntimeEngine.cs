using KernelAD.Golden;
using Microsoft.ML.OnnxRuntime;

namespace KernelAD.Bench;

/// <summary>The peer, as its documentation recommends it: all graph optimisations, memory for input and outputs bound beforehand.</summary>
internal sealed class OnnxRuntimeEngine : IEngine
{
    private readonly InferenceSession _session;
    private readonly RunOptions _options = new();
    private readonly OrtIoBinding _binding;
    private readonly OrtValue _input;
    private readonly OrtValue _mapValue;
    private readonly OrtValue _scoreValue;
    private readonly float[] _map;

    public OnnxRuntimeEngine(string path, int threads)
    {
        using SessionOptions options = new()
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
        };
        if (Environment.GetEnvironmentVariable("KERNELAD_BENCH_ORT_PROFILE") is { Length: > 0 } prefix)
        {
            options.EnableProfiling = true;
            options.ProfileOutputPathPrefix = prefix;
            options.OptimizedModelFilePath = prefix + ".onnx";
        }

        _session = new InferenceSession(path, options);
        int[] shape = _session.InputMetadata["input"].Dimensions;
        float[] input = new float[3 * shape[2] * shape[3]];
        _map = new float[shape[2] * shape[3]];
        FormulaTensor.FillUniform("input:bench", input);
        _input = OrtValue.CreateTensorValueFromMemory(input, [1, 3, shape[2], shape[3]]);
        _mapValue = OrtValue.CreateTensorValueFromMemory(_map, [1, 1, shape[2], shape[3]]);
        _scoreValue = OrtValue.CreateTensorValueFromMemory(new float[1], [1]);
        _binding = _session.CreateIoBinding();
        _binding.BindInput("input", _input);
        _binding.BindOutput("anomaly_map", _mapValue);
        _binding.BindOutput("image_score", _scoreValue);
    }

    public ReadOnlySpan<float> Map => _map;

    public void Run() => _session.RunWithBinding(_options, _binding);

    public long AllocatedBytes(int calls) => throw new NotSupportedException("only our engine promises not to allocate");

    public void Dispose()
    {
        _binding.Dispose();
        _scoreValue.Dispose();
        _mapValue.Dispose();
        _input.Dispose();
        _options.Dispose();
        _session.Dispose();
    }
}
