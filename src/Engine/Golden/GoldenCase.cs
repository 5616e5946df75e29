using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Golden;

/// <summary>One tap's comparison with the golden data.</summary>
/// <param name="Tap">Its name there.</param>
/// <param name="WorstError">Largest |ours − golden|.</param>
/// <param name="Share">Which part of the tolerance is used up, up to 1 is within it: the largest |ours − golden| / (atol + rtol·|golden|), or of a bound
/// on all values together what
/// it bounds, divided by the bound.</param>
/// <param name="Note">Why the tap could not be compared; null if it was.</param>
/// <param name="NotComputed">Whether the reason is that the engine computes no such value: a training loss, or what the converter does.</param>
public sealed record TapComparison(string Tap, double WorstError, double Share, string? Note = null, bool NotComputed = false)
{
    /// <summary>Whether the tap was compared and is within its tolerance. NaN never is.</summary>
    public bool Passed => Note is null && Share <= 1;
}

/// <summary>
/// A golden case: a folder with <c>case.json</c>, <c>io.safetensors</c> and <c>tolerances.json</c>, made by a model's official PyTorch code. Compares a
/// detector with it, tap by tap.
/// </summary>
public sealed class GoldenCase
{
    private const string MapShift = "anomaly_map_offset";
    private const string ShiftedMap = "anomaly_map_minus_offset_f16";

    private readonly string _folder;
    private readonly JsonObject _case;
    private readonly string? _variant;

    private GoldenCase(string folder, JsonObject @case, string? variant = null)
    {
        _folder = folder;
        _case = @case;
        _variant = variant;
    }

    /// <summary>The model's name, "ViTAD" or "InTra" for instance.</summary>
    public string Model => Text("model");

    /// <summary>The case's name, "tiny" for instance.</summary>
    public string Name => Text("case");

    /// <summary>The folder that holds its files.</summary>
    public string Folder => _folder;

    /// <summary>The model's configuration, as <c>convert --config</c> takes it; that of the variant, if this is one.</summary>
    public JsonObject Config
    {
        get
        {
            JsonObject config = _case["config"] as JsonObject ?? throw Missing("config");
            return _variant is null ? config : Merged(config, _case["variants"]?[_variant] as JsonObject ?? throw Missing("variants"));
        }
    }

    /// <summary>
    /// Names of the models that the case is about: some cases run several configurations on the same weights and input. Empty if there is but one. Each is
    /// opened as if it were a folder in the case's.
    /// </summary>
    public IReadOnlyList<string> Variants => _variant is null ? [.. (_case["variants"] as JsonObject ?? []).Select(v => v.Key)] : [];

    /// <summary>Whether the weights are given by formula instead of by a checkpoint.</summary>
    public bool HasFormulaWeights => !File.Exists(Path.Combine(_folder, "weights.pth"));

    /// <summary>The files that the case's weights are converted from: the checkpoint, and VT-ADL's mixture network or UTRAD's backbone.</summary>
    public IReadOnlyList<string> Checkpoints =>
        [.. ((string[])["weights.pth", "weights_mdn.pth", "backbone.pth"]).Select(f => Path.Combine(_folder, f)).Where(File.Exists)];

    /// <summary>Gain of 4-D formula weights.</summary>
    public double KernelGain => _case["gain"]?["all"]?.GetValue<double>() ?? 1.6;

    /// <summary>Whether this is a forward case with tolerances; others describe training or preprocessing.</summary>
    public bool IsForward => File.Exists(Path.Combine(_folder, "tolerances.json"));

    /// <summary>Opens a case.</summary>
    /// <param name="folder">Its folder; a variant's name at the end opens that variant.</param>
    /// <exception cref="BadInputException">The folder is no golden case.</exception>
    public static GoldenCase Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string path = Path.TrimEndingDirectorySeparator(folder), outer = Path.GetDirectoryName(path) ?? path;
        if (!Directory.Exists(path) && File.Exists(Path.Combine(outer, "case.json")))
        {
            GoldenCase whole = Open(outer);
            string variant = Path.GetFileName(path);
            return whole.Variants.Contains(variant)
                ? new GoldenCase(outer, whole._case, variant)
                : throw new BadInputException($"{path}: there is no such folder, and {outer} has no such variant; it has {(whole.Variants.Count > 0 ? string.Join(", ", whole.Variants) : "none")}");
        }

        return new GoldenCase(path, Json(Path.Combine(path, "case.json")));
    }

    /// <summary>The variant that is configured like a model; the case itself if it has none.</summary>
    /// <exception cref="BadInputException">None is.</exception>
    public GoldenCase For(Model model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Variants.Count == 0
            ? this
            : Variants.Select(v => new GoldenCase(_folder, _case, v))
                .FirstOrDefault(v => JsonNode.DeepEquals(ModelRegistry.Create(Model, v.Config).Config, model.Config))
                ?? throw new BadInputException($"{_folder}: none of its variants ({string.Join(", ", Variants)}) is configured like the model");
    }

    /// <summary>The network's input of the case.</summary>
    public Tensor Input()
    {
        using SafetensorsFile io = OpenIo();
        return io.Entries.ContainsKey("input") ? Read(io, "input") : Formula($"input:{Name}");
    }

    /// <summary>The normal pictures from which InTra's mean map is computed, or null if the case has none.</summary>
    public Tensor? NormalPictures()
    {
        using SafetensorsFile io = OpenIo();
        return io.Entries.ContainsKey("train_images") ? Read(io, "train_images")
            : io.Entries.ContainsKey("mean_train_diff") ? Formula($"input:{Name}.normal")
            : null;
    }

    /// <summary>Runs the detector on the case's input and compares every tap of <c>tolerances.json</c>.</summary>
    /// <param name="detector">The detector, with the case's weights.</param>
    /// <param name="batch">Pictures per run.</param>
    /// <param name="taps">Whether intermediates are compared too; without them the plan runs fully fused and only outputs are.</param>
    /// <param name="fast">Whether the bounds of reduced precision apply as well as those of fp32, the wider counting: tf32 and fp16 have to meet it.</param>
    public IReadOnlyList<TapComparison> Compare(AnomalyDetector detector, int batch = 1, bool taps = true, bool fast = false)
    {
        ArgumentNullException.ThrowIfNull(detector);
        JsonObject tolerances = Json(Path.Combine(_folder, "tolerances.json"))["taps"] as JsonObject ?? throw Missing("taps");
        HashSet<string> known = [.. detector.Taps, "anomaly_map", "image_score"];
        string[] others = _variant is null ? [] : [.. ((JsonObject)_case["variants"]!).Select(v => v.Key + ".").Where(v => v != _variant + ".")];
        Dictionary<string, string> sources = tolerances.Where(t => !others.Any(o => t.Key.StartsWith(o, StringComparison.Ordinal)))
            .ToDictionary(t => t.Key, t => EngineTap(t.Key), StringComparer.Ordinal);
        string[] wanted = taps ? [.. sources.Values.Where(detector.Taps.Contains).Distinct()] : [];
        IReadOnlyDictionary<string, Tensor> results = detector.Run(Input(), wanted, batch);

        using SafetensorsFile io = OpenIo();
        List<TapComparison> comparisons = [];
        foreach ((string tap, JsonNode? tolerance) in tolerances)
        {
            // The constant that a map in float16 is shifted by is part of its encoding, no value to compare.
            if (tap == MapShift || !sources.TryGetValue(tap, out string? source))
            {
                continue;
            }

            if (!known.Contains(source))
            {
                comparisons.Add(new TapComparison(tap, double.NaN, double.NaN, "the engine computes no such value", NotComputed: true));
            }
            else if (results.TryGetValue(source, out Tensor? ours))
            {
                // Some bounds of reduced precision are one run's luck (a mean that hit its value): what is within the bound of fp32 is within any.
                JsonObject[] bounds = [.. (fast ? ["fast", "fp32"] : (string[])["fp32"]).Select(name => tolerance![name]).OfType<JsonObject>()];
                comparisons.Add(bounds.Length > 0
                    ? Compare(tap, ours, io, tolerance!["stored"]?.GetValue<string>() == "sampled", bounds)
                    : new TapComparison(tap, double.NaN, double.NaN, $"tolerances.json has no bound for {(fast ? "reduced precision" : "fp32")}"));
            }
        }

        return comparisons;
    }

    /// <summary>The value that a golden tap is taken from: subsampled, shifted and rounded copies go back to their original.</summary>
    private string EngineTap(string tap) => tap switch
    {
        "recon_f16" => "recon",
        ShiftedMap => "anomaly_map",
        _ when _variant is not null && tap.StartsWith(_variant + ".", StringComparison.Ordinal) => tap[(_variant.Length + 1)..],
        _ => tap.EndsWith(".sub", StringComparison.Ordinal) ? tap[..^".sub".Length] : tap,
    };

    /// <summary>A case's configuration with a variant's values: what a variant says of other things (scores, counts) is no key of it.</summary>
    private static JsonObject Merged(JsonObject config, JsonObject variant)
    {
        JsonObject merged = (JsonObject)config.DeepClone();
        foreach ((string key, JsonNode? value) in variant.Where(v => config.ContainsKey(v.Key)))
        {
            merged[key] = value?.DeepClone();
        }

        // UniAD's masks are written without the key that holds them; null stands for none.
        if (variant.ContainsKey("neighbor_size"))
        {
            merged["neighbor_mask"] = variant["neighbor_size"] is JsonNode size && variant["mask"] is JsonNode mask
                ? new JsonObject { ["neighbor_size"] = size.DeepClone(), ["mask"] = mask.DeepClone() }
                : false;
        }

        return merged;
    }

    private static TapComparison Compare(string tap, Tensor ours, SafetensorsFile io, bool sampled, JsonObject[] bounds)
    {
        float[] golden, values = Selected(tap, ours, io);
        if (sampled)
        {
            golden = Read(io, io.Entries.ContainsKey(tap + ".samples") ? tap + ".samples" : tap + ".val").Data;
            long[] indices = ReadIntegers(io, tap + ".idx");
            float[] all = values;
            values = [.. indices.Select(i => all[i])];
        }
        else
        {
            golden = Read(io, tap).Data;
        }

        if (values.Length != golden.Length)
        {
            return new TapComparison(tap, double.NaN, double.NaN, $"{values.Length} values against {golden.Length} golden ones");
        }

        // A value stored in float16 stands for all that round to it: what counts is the distance from that interval.
        bool halfPrecision = io.Entries.TryGetValue(tap, out SafetensorsEntry? entry) && entry.Type == ElementType.F16;
        double[] errors = [.. golden.Select((g, i) => Math.Max(0, Math.Abs((double)values[i] - g) - (halfPrecision ? HalfUnit(g) : 0)))];
        return new TapComparison(tap, Largest(errors), bounds.Min(bound => Share(errors, golden, bound)));
    }

    private static double Share(double[] errors, float[] golden, JsonObject bound)
    {
        double mean = golden.Average(g => (double)g), contrast = Math.Sqrt(golden.Sum(g => (g - mean) * (g - mean))), error = Math.Sqrt(errors.Sum(e => e * e));
        if (contrast == 0)
        {
            // A single value has no spread: its error counts against the value itself.
            contrast = Math.Sqrt(golden.Sum(g => (double)g * g));
        }

        double atol = Value("atol") ?? 0, rtol = Value("rtol") ?? 0;
        // rms(error) ≤ value · std(golden) and ‖error‖ ≤ value · ‖golden − mean‖ are the same bound, over equally many values.
        return (Value("rms_of_std") ?? Value("l2_of_contrast")) is double all
            ? error / (all * contrast)
            : Largest(errors.Select((e, i) => e / (atol + (rtol * Math.Abs(golden[i])))));

        double? Value(string key) => bound[key]?.GetValue<double>();
    }

    /// <summary>The largest of the values; NaN if one is NaN.</summary>
    private static double Largest(IEnumerable<double> values) => values.Aggregate(0.0, Math.Max);

    /// <summary>Half the distance from a float16 value to the next.</summary>
    private static double HalfUnit(float value) => (double)(Half.BitIncrement(Half.Abs((Half)value)) - Half.Abs((Half)value)) / 2;

    /// <summary>The part of a value that the golden data keep: some windows of InTra, a regular subsample of ViTAD.</summary>
    private static float[] Selected(string tap, Tensor ours, SafetensorsFile io)
    {
        if (tap.StartsWith("sel.", StringComparison.Ordinal))
        {
            int stride = ours.Data.Length / ours.Shape[0];
            return [.. ReadIntegers(io, "selected_windows").SelectMany(w => ours.Data.AsSpan((int)w * stride, stride).ToArray())];
        }

        if (tap == ShiftedMap)
        {
            float shift = Read(io, MapShift).Data[0];
            return [.. ours.Data.Select(v => v - shift)];
        }

        // torch's transformers take and give tokens as (T, N, D); ours are (N, T, D).
        Shape? stored = io.Entries.GetValueOrDefault(tap)?.Shape;
        if (ours.Shape.Rank == 3 && stored != ours.Shape && stored == new Shape(ours.Shape[1], ours.Shape[0], ours.Shape[2]))
        {
            int n = ours.Shape[0], d = ours.Shape[2];
            return [.. Enumerable.Range(0, ours.Data.Length).Select(i => ours.Data[(((i / d % n * ours.Shape[1]) + (i / d / n)) * d) + (i % d)])];
        }

        if (!tap.EndsWith(".sub", StringComparison.Ordinal))
        {
            return ours.Data;
        }

        // Steps per dimension as case.json's "subsampling" says: tokens [1, 17, 11 or 31], features [1, 11, 3, 3], maps [1, 1, 5, 5].
        Shape shape = ours.Shape;
        int[] steps = shape.Rank == 3 ? [1, 17, shape[2] == 384 ? 11 : 31] : shape[1] == 1 ? [1, 1, 5, 5] : [1, 11, 3, 3];
        List<float> kept = [];
        int[] index = new int[shape.Rank];
        for (int flat = 0; flat < ours.Data.Length; flat++)
        {
            if (index.Zip(steps).All(p => p.First % p.Second == 0))
            {
                kept.Add(ours.Data[flat]);
            }

            for (int d = shape.Rank - 1; d >= 0 && ++index[d] == shape[d]; d--)
            {
                index[d] = 0;
            }
        }

        return [.. kept];
    }

    private static Tensor Read(SafetensorsFile io, string name)
    {
        Tensor tensor = new(io.Entries[name].Shape);
        io.ReadFloat32(name, tensor.Data);
        return tensor;
    }

    private static long[] ReadIntegers(SafetensorsFile io, string name)
    {
        long[] values = new long[io.Entries[name].Shape.Count];
        io.Read(name, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static JsonObject Json(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? throw new BadInputException($"{path}: expected a JSON object");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new BadInputException($"{path}: not a golden case, {e.Message}", e);
        }
    }

    private Tensor Formula(string name)
    {
        JsonObject config = Config;
        (int height, int width) = config["image"] is JsonArray image
            ? (image[0]!.GetValue<int>(), image[1]!.GetValue<int>())
            : config["image_size"] is JsonNode side ? (side.GetValue<int>(), side.GetValue<int>())
            : (config["image_h"]!.GetValue<int>(), config["image_w"]!.GetValue<int>());
        int count = _case["input"] is JsonObject input && input["shape"] is JsonArray shape ? shape[0]!.GetValue<int>() : 1;
        Tensor tensor = new(new Shape(count, 3, height, width));
        FormulaTensor.FillUniform(name, tensor.Data);
        return tensor;
    }

    private SafetensorsFile OpenIo() => SafetensorsFile.Open(Path.Combine(_folder, "io.safetensors"));

    private string Text(string key) => _case[key]?.GetValue<string>() ?? throw Missing(key);

    private BadInputException Missing(string key) => new($"{Path.Combine(_folder, "case.json")}: no \"{key}\"");
}
