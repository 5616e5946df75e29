using System.Diagnostics;
using KernelAD.Backends;
using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Models;
using KernelAD.Planner;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;
using Microsoft.Extensions.Logging;

namespace KernelAD;

/// <summary>
/// A loaded model, ready to judge pictures. Immutable after <see cref="Load"/> and safe to use from any number of threads: every call rents
/// activation memory of its own. The same input gives bit-identical output on one device from call to call; on the CPU also for any number of threads, any
/// batch size and any position in a batch.
/// </summary>
public sealed partial class AnomalyDetector : IDisposable
{
    private readonly IBackend _backend;
    private readonly Func<string, bool> _present;
    private readonly int _concurrency;
    private readonly Lock _lock = new();
    private readonly Dictionary<(int Batch, string Taps), ContextPool> _plans = [];
    private readonly ContextPool _single;
    private readonly ComputeGraph _graph;
    private readonly PicturePreprocessor _preprocessor;
    private bool _disposed;

    private AnomalyDetector(ModelFile file, IBackend backend, DetectorOptions options, int concurrency)
    {
        Model = file.Model;
        Preprocessing = file.Preprocessing;
        Warnings = file.Assumptions;
        Calibration = options.UseCalibration ? file.Calibration : null;
        if (Calibration?.PreprocessingHash is string hash && hash != file.PreprocessingHash)
        {
            throw new ModelFileException(
                $"{file.Path}: calibrated with another preprocessing (SHA-256 {hash[..Math.Min(hash.Length, 12)]}…, the file's is {file.PreprocessingHash[..12]}…), so its thresholds do not "
                + "fit its scores. Calibrate it again with `kernelad calibrate`.");
        }

        Threshold = options.Threshold ?? Calibration?.Threshold;
        HashSet<string> names = [.. file.Tensors.Keys];
        _present = names.Contains;
        _backend = backend;
        _concurrency = concurrency;
        _preprocessor = new PicturePreprocessor(Preprocessing);
        _graph = Graph(batch: 1);
        _single = Pool(batch: 1, taps: []);
    }

    /// <summary>The model with its configuration.</summary>
    public Model Model { get; }

    /// <summary>How pictures are prepared.</summary>
    public PicturePreprocessing Preprocessing { get; }

    /// <summary>What runs: the device; on the CPU with threads and vector width, on CUDA with architecture and precision.</summary>
    public string Device => _backend.Device;

    /// <summary>The decision threshold in units of the raw score, if there is one.</summary>
    public double? Threshold { get; }

    /// <summary>Map values at or above it are anomalous, if the model file says from where on.</summary>
    public double? PixelThreshold => Calibration?.PixelThreshold;

    /// <summary>How the thresholds were found, if the model file has any.</summary>
    public ModelCalibration? Calibration { get; }

    /// <summary>What the user should know about this model file, for instance that InTra's mean map is missing.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Bytes of packed weights.</summary>
    public long WeightBytes => _backend.WeightBytes;

    /// <summary>Bytes of activation memory that one call at batch 1 takes.</summary>
    public long ActivationBytes => _single.Executable.ActivationBytes;

    /// <summary>Width of the anomaly map.</summary>
    public int MapWidth => Model.ImageWidth;

    /// <summary>Height of the anomaly map.</summary>
    public int MapHeight => Model.ImageHeight;

    /// <summary>Names of the intermediates that <see cref="Run"/> can return.</summary>
    public IReadOnlyList<string> Taps => [.. _graph.Taps.Keys];

    /// <summary>Loads a model file and prepares the plan for single pictures.</summary>
    /// <param name="path">A .safetensors file written by the weights converter.</param>
    /// <param name="options">How to run; null for the defaults.</param>
    /// <exception cref="ModelFileException">The file is missing, damaged, or not a KernelAD model.</exception>
    /// <exception cref="ConfigurationException">Its configuration is unknown here, or the memory limit is too low.</exception>
    /// <exception cref="DeviceNotAvailableException">The device or precision asked for is not available.</exception>
    /// <exception cref="KernelAD.Interop.CudaException">The CUDA driver asked for is not there, or refuses: too little memory for the weights, for
    /// instance.</exception>
    /// <exception cref="NotEnoughMemoryException">The weights do not fit into memory.</exception>
    public static AnomalyDetector Load(string path, DetectorOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new DetectorOptions();
        // More threads than processors only wait for each other; up to 16 are let through, so that their number can be tested anywhere.
        int threads = Math.Min(Positive(options.Threads, Environment.ProcessorCount, nameof(options.Threads)), Math.Max(Environment.ProcessorCount, 16));
        int concurrency = Positive(options.MaxConcurrency, Environment.ProcessorCount, nameof(options.MaxConcurrency));
        DeviceChoice device = DeviceChoice.Of(options);
        if (options.Threshold is double threshold && !double.IsFinite(threshold))
        {
            throw new ArgumentOutOfRangeException(nameof(options), threshold, "the threshold must be finite");
        }

        long start = Stopwatch.GetTimestamp();
        ModelFile file = ModelFile.Open(path);
        IBackend backend = device.CreateBackend(file, options, threads);
        try
        {
            AnomalyDetector detector = new(file, backend, options, concurrency);
            if (options.Logger is ILogger logger)
            {
                if (device.Reason is string reason)
                {
                    LogChoice(logger, detector.Device, reason);
                }

                LogLoaded(logger, path, detector.Model.Name, detector.Device, detector.WeightBytes, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                foreach (string warning in detector.Warnings)
                {
                    LogWarning(logger, warning);
                }
            }

            return detector;
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Judges one picture.</summary>
    /// <param name="picture">The pixels; any size, it is resized as the model file says.</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    public AnomalyResult Detect(PictureView picture, CancellationToken cancellation = default)
    {
        float[] map = new float[MapWidth * MapHeight];
        float score = Detect(picture, map, out DetectionTimings timings, cancellation);
        return new AnomalyResult(
            score, Threshold, PixelThreshold, NormalizedScore(score), map, MapWidth, MapHeight, timings, _preprocessor.Region(picture.Height, picture.Width));
    }

    /// <summary>
    /// Judges one picture into the caller's memory; allocates nothing as long as the pictures have a few sizes (up to eight) that have been seen.
    /// </summary>
    /// <param name="picture">The pixels.</param>
    /// <param name="map">Receives the anomaly map, row by row; <see cref="MapWidth"/> · <see cref="MapHeight"/> long.</param>
    /// <param name="timings">Where the time went.</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    /// <returns>The raw image score.</returns>
    /// <exception cref="ArgumentException"><paramref name="map"/> has another length.</exception>
    public float Detect(PictureView picture, Span<float> map, out DetectionTimings timings, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RequireLength(map.Length, (long)MapWidth * MapHeight, nameof(map));
        using Activity? activity = Telemetry.Activities.StartActivity("detect");
        CallMemory memory = _single.Rent(cancellation);
        try
        {
            IRunContext context = memory.Context;
            long start = Stopwatch.GetTimestamp();
            _preprocessor.Process(picture, context.Input, memory.Scratch);
            long prepared = Stopwatch.GetTimestamp();
            context.Run([], cancellation);
            timings = new DetectionTimings(Stopwatch.GetElapsedTime(start, prepared), Stopwatch.GetElapsedTime(prepared));
            context.Result("anomaly_map").CopyTo(map);
            Telemetry.Duration.Record(timings.Preprocess.TotalSeconds + timings.Network.TotalSeconds);
            Telemetry.Pictures.Add(1);
            return CheckedScore(context.Result("image_score")[0]);
        }
        finally
        {
            _single.Return(memory);
        }
    }

    /// <summary>
    /// Judges prepared inputs in batches; a partial last batch is padded. Allocates nothing once the batch size has been seen. The CPU takes at most one
    /// picture a thread at once; no result depends on it.
    /// </summary>
    /// <param name="inputs">Normalised inputs (count, 3, H, W), for instance from <see cref="Preprocess"/>.</param>
    /// <param name="count">Number of pictures.</param>
    /// <param name="batch">Most pictures per run.</param>
    /// <param name="maps">Receives the maps (count, H, W).</param>
    /// <param name="scores">Receives the scores.</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    public void DetectBatch(
        ReadOnlySpan<float> inputs, int count, int batch, Span<float> maps, Span<float> scores, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        int pixels = MapWidth * MapHeight;
        RequireLength(inputs.Length, 3L * pixels * count, nameof(inputs));
        RequireLength(maps.Length, (long)pixels * count, nameof(maps));
        RequireLength(scores.Length, count, nameof(scores));
        using Activity? activity = Telemetry.Activities.StartActivity("detect batch");
        batch = _backend.PicturesAtOnce(batch);
        ContextPool pool = batch == 1 ? _single : Pool(batch, []);
        CallMemory memory = pool.Rent(cancellation);
        try
        {
            IRunContext context = memory.Context;
            for (int first = 0; first < count; first += batch)
            {
                int part = Math.Min(batch, count - first);
                ReadOnlySpan<float> pictures = inputs.Slice(3 * pixels * first, 3 * pixels * part);
                pictures.CopyTo(context.Input);
                context.Input[pictures.Length..].Clear();
                context.Run([], cancellation);
                Telemetry.Pictures.Add(part);
                context.Result("anomaly_map")[..(pixels * part)].CopyTo(maps[(pixels * first)..]);
                for (int i = 0; i < part; i++)
                {
                    scores[first + i] = CheckedScore(context.Result("image_score")[i]);
                }
            }
        }
        finally
        {
            pool.Return(memory);
        }
    }

    /// <summary>
    /// A raw score on the scale that has the threshold at 0.5; see <see cref="ModelCalibration.Normalize"/>. Null without threshold or calibration.
    /// </summary>
    public double? NormalizedScore(float score) =>
        Threshold is double threshold && Calibration?.ScoreMedian is double median ? ModelCalibration.Normalize(score, threshold, median) : null;

    /// <summary>Turns a picture into the network's exact input.</summary>
    /// <param name="picture">The pixels.</param>
    /// <param name="input">Receives (3, H, W) normalised values.</param>
    public void Preprocess(PictureView picture, Span<float> input)
    {
        RequireLength(input.Length, 3L * MapWidth * MapHeight, nameof(input));
        _preprocessor.Process(picture, input, new PreprocessingScratch());
    }

    /// <summary>Runs the network on a raw input tensor and returns raw tensors.</summary>
    /// <param name="input">Normalised input (N, 3, H, W), finite.</param>
    /// <param name="taps">Intermediates wanted beside <c>anomaly_map</c> (N,1,H,W) and <c>image_score</c> (N).</param>
    /// <param name="batch">Pictures per run; the results do not depend on it.</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    /// <remarks>Each combination of batch and taps gets a plan with activation memory of its own, which stay until the detector is disposed.</remarks>
    /// <exception cref="TensorException">Wrong shape, NaN or infinite values, or an unknown tap.</exception>
    public IReadOnlyDictionary<string, Tensor> Run(
        Tensor input, IEnumerable<string>? taps = null, int batch = 1, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ObjectDisposedException.ThrowIf(_disposed, this);
        Shape shape = input.Shape;
        if (shape.Rank != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] != MapHeight || shape[3] != MapWidth)
        {
            throw new TensorException($"input has shape {shape}, expected (N, 3, {MapHeight}, {MapWidth}) with N of at least 1");
        }

        int bad = Finite.FirstNonFinite(input.Data);
        if (bad >= 0)
        {
            throw new TensorException($"input holds {input.Data[bad]} at flat index {bad}; all values must be finite");
        }

        ContextPool pool = Pool(batch, [.. taps ?? []]);
        CallMemory memory = pool.Rent(cancellation);
        try
        {
            IRunContext context = memory.Context;
            return RunBatches(pool.Executable, context, input, batch, cancellation);
        }
        finally
        {
            pool.Return(memory);
        }
    }

    /// <summary>Runs once on a zero input so that later calls find everything compiled and every page touched.</summary>
    public void Warmup()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        CallMemory memory = _single.Rent(CancellationToken.None);
        try
        {
            IRunContext context = memory.Context;
            context.Input.Clear();
            context.Run([], CancellationToken.None);
        }
        finally
        {
            _single.Return(memory);
        }
    }

    /// <summary>Whether it runs on the CPU rather than on a CUDA device.</summary>
    public bool RunsOnCpu => _backend is CpuBackend;

    /// <summary>The plan for a batch, step by step.</summary>
    public IReadOnlyList<PlanStep> Steps(int batch = 1) => Pool(batch, []).Executable.Steps;

    /// <summary>Floating-point operations of the network for one picture, as the model is written (before savings).</summary>
    public long FlopsPerImage => RemoveTaps(_graph).Flops;

    /// <summary>Measures each step of the plan.</summary>
    /// <param name="input">Normalised input (batch, 3, H, W).</param>
    /// <param name="batch">Pictures per run.</param>
    /// <param name="runs">Number of runs after a warm-up.</param>
    /// <returns>For each step, in the order of <see cref="Steps"/>, its time in each run.</returns>
    public IReadOnlyList<TimeSpan[]> Profile(ReadOnlySpan<float> input, int batch, int runs)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(runs, 1);
        ContextPool pool = Pool(batch, []);
        CallMemory memory = pool.Rent(CancellationToken.None);
        try
        {
            IRunContext context = memory.Context;
            RequireLength(input.Length, context.Input.Length, nameof(input));
            int steps = pool.Executable.Steps.Count;
            TimeSpan[][] times = [.. Enumerable.Range(0, steps).Select(_ => new TimeSpan[runs])];
            long[] ticks = new long[steps];
            for (int run = -1; run < runs; run++)
            {
                input.CopyTo(context.Input);
                context.Run(ticks, CancellationToken.None);
                for (int i = 0; i < steps && run >= 0; i++)
                {
                    times[i][run] = Stopwatch.GetElapsedTime(0, ticks[i]);
                }
            }

            return times;
        }
        finally
        {
            pool.Return(memory);
        }
    }

    /// <summary>The model's graph as it is written, before any pass: what the ONNX exporter works from.</summary>
    internal ComputeGraph Graph(int batch) => GraphBuilder.Build(Model, batch, _present);

    /// <summary>
    /// Waits for the calls that run, then frees activation memory and, with the last detector of a file, its weights. Later calls throw
    /// <see cref="ObjectDisposedException"/>.
    /// </summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
        }

        foreach (ContextPool pool in _plans.Values)
        {
            pool.Dispose();
        }

        _backend.Dispose();
    }

    private static ComputeGraph RemoveTaps(ComputeGraph graph) => Passes.RemoveUnused.Apply(graph.WithTaps([]));

    private ContextPool Pool(int batch, IReadOnlyList<string> taps)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            (int Batch, string Taps) key = (batch, taps.Count == 0 ? "" : string.Join('\n', taps.Order(StringComparer.Ordinal)));
            if (!_plans.TryGetValue(key, out ContextPool? pool))
            {
                ArgumentOutOfRangeException.ThrowIfGreaterThan(batch, Array.MaxLength / (3L * MapWidth * MapHeight));
                ComputeGraph graph = (batch == 1 ? _graph : Graph(batch)).WithTaps(taps);
                foreach ((string name, Node node) in graph.Results)
                {
                    RequireFits(name, node.Shape.Count);
                }

                pool = new ContextPool(_backend.Compile(graph), _concurrency);
                _plans.Add(key, pool);
            }

            return pool;
        }
    }

    private Dictionary<string, Tensor> RunBatches(
        IExecutable executable, IRunContext context, Tensor input, int batch, CancellationToken cancellation)
    {
        int count = input.Shape[0], picture = input.Data.Length / count;
        foreach ((string name, Shape shape) in executable.Results)
        {
            RequireFits(name, shape.Count / batch * count);
        }

        // What the input does not reach (a parameter, learned positions) is the same for every picture; all other results are strung together.
        HashSet<Node> reached = [];
        foreach (Node node in _graph.Nodes.Where(n => n.Operator is Input || n.Inputs.Any(reached.Contains)))
        {
            reached.Add(node);
        }

        HashSet<string> shared = [.. _graph.Taps.Where(t => !reached.Contains(t.Value)).Select(t => t.Key)];
        Dictionary<string, Tensor> results = new(StringComparer.Ordinal);
        for (int first = 0; first < count; first += batch)
        {
            int part = Math.Min(batch, count - first);
            input.Data.AsSpan(first * picture, part * picture).CopyTo(context.Input);
            context.Input[(part * picture)..].Clear();
            context.Run([], cancellation);
            foreach ((string name, Shape shape) in executable.Results)
            {
                ReadOnlySpan<float> values = context.Result(name);
                if (shared.Contains(name))
                {
                    results[name] = new Tensor(shape, values.ToArray());
                    continue;
                }

                if (first == 0)
                {
                    results.Add(name, new Tensor(shape.With(0, shape[0] / batch * count)));
                }

                int stride = values.Length / batch;
                values[..(stride * part)].CopyTo(results[name].Data.AsSpan(stride * first));
            }
        }

        return results;
    }

    private static float CheckedScore(float score) => float.IsFinite(score)
        ? score
        : throw new TensorException($"the network produced {score}: the weights overflow float32 on this input");

    private static void RequireFits(string name, long count)
    {
        if (count > Array.MaxLength)
        {
            throw new TensorException($"\"{name}\" would have {count:N0} elements, more than a tensor can hold; run fewer pictures at a time");
        }
    }

    private static int Positive(int? value, int fallback, string name) => value switch
    {
        null => fallback,
        > 0 => value.Value,
        _ => throw new ArgumentOutOfRangeException(name, value, "must be positive"),
    };

    private static void RequireLength(long found, long expected, string name)
    {
        if (found != expected)
        {
            throw new ArgumentException($"{name} has {found} elements, expected {expected}", name);
        }
    }

    [LoggerMessage(1, LogLevel.Information, "Loaded {Path}: {Model} on {Device}, {Bytes} bytes of weights, in {Milliseconds:F0} ms")]
    private static partial void LogLoaded(ILogger logger, string path, string model, string device, long bytes, double milliseconds);

    [LoggerMessage(3, LogLevel.Information, "\"auto\" chose {Device}: {Reason}")]
    private static partial void LogChoice(ILogger logger, string device, string reason);

    [LoggerMessage(2, LogLevel.Warning, "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);
}
