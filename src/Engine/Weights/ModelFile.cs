using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Weights;

/// <summary>Where a configuration value came from.</summary>
public enum NoteKind
{
    /// <summary>Read off the checkpoint's tensors.</summary>
    Inferred,

    /// <summary>Given by the user.</summary>
    Told,

    /// <summary>Neither in the checkpoint nor given: the published value.</summary>
    Assumed,
}

/// <summary>How one value of the configuration was found when the checkpoint was converted.</summary>
/// <param name="Kind">Where it came from.</param>
/// <param name="Key">The configuration's key.</param>
/// <param name="Value">Its value, as JSON.</param>
/// <param name="Reason">The evidence, in words.</param>
public sealed record ModelNote(NoteKind Kind, string Key, string Value, string Reason);

/// <summary>A file that a model was converted from.</summary>
/// <param name="File">Its name, without folder.</param>
/// <param name="Sha256">SHA-256 of its bytes, in lower-case hexadecimal.</param>
public sealed record ModelSource(string File, string Sha256);

/// <summary>What a model file says beside its tensors and configuration.</summary>
public sealed record ModelFileDetails
{
    /// <summary>How pictures are prepared; null means <see cref="Model.Preprocessing"/>.</summary>
    public PicturePreprocessing? Preprocessing { get; init; }

    /// <summary>Calibration, if there is one.</summary>
    public ModelCalibration? Calibration { get; init; }

    /// <summary>The checkpoints it was converted from.</summary>
    public IReadOnlyList<ModelSource> Source { get; init; } = [];

    /// <summary>How each configuration value was found.</summary>
    public IReadOnlyList<ModelNote> Notes { get; init; } = [];
}

/// <summary>
/// A KernelAD model: a safetensors file whose metadata say which model it is (<c>kernelad.schema</c>, <c>kernelad.model</c>, <c>kernelad.config</c>,
/// <c>kernelad.preprocessing</c>, and if known <c>kernelad.calibration</c>, <c>kernelad.source</c>, <c>kernelad.notes</c>) and whose tensors are exactly those
/// the model needs.
/// </summary>
public sealed class ModelFile : IDisposable
{
    /// <summary>The schema that this build writes. Files of another major version are refused, of another minor version read.</summary>
    public const string Schema = "1.0";

    private const string SchemaKey = "kernelad.schema";
    private const string ModelKey = "kernelad.model";
    private const string ConfigKey = "kernelad.config";
    private const string PreprocessingKey = "kernelad.preprocessing";
    private const string CalibrationKey = "kernelad.calibration";
    private const string SourceKey = "kernelad.source";
    private const string NotesKey = "kernelad.notes";
    private const int NamesInMessages = 8;

    private readonly SafetensorsFile _file;

    private ModelFile(SafetensorsFile file, Model model, ModelFileDetails details)
    {
        _file = file;
        Model = model;
        Details = details;
    }

    /// <summary>The file's path.</summary>
    public string Path => _file.Path;

    /// <summary>The model with its configuration.</summary>
    public Model Model { get; }

    /// <summary>How pictures are prepared.</summary>
    public PicturePreprocessing Preprocessing => Details.Preprocessing ?? Model.Preprocessing;

    /// <summary>Calibration, if there is one.</summary>
    public ModelCalibration? Calibration => Details.Calibration;

    /// <summary>The checkpoints it was converted from.</summary>
    public IReadOnlyList<ModelSource> Source => Details.Source;

    /// <summary>How each configuration value was found.</summary>
    public IReadOnlyList<ModelNote> Notes => Details.Notes;

    /// <summary>Everything the file says beside its tensors and configuration.</summary>
    public ModelFileDetails Details { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors => _file.Entries;

    /// <summary>Number of values in all tensors.</summary>
    public long Parameters => _file.Entries.Values.Sum(e => e.Shape.Count);

    /// <summary>Sentences about what is assumed because an optional tensor is missing.</summary>
    public IReadOnlyList<string> Assumptions => Model.Assumptions(_file.Entries.ContainsKey);

    /// <summary>Opens a model file; checks its schema, its configuration, and that it holds the model's tensors in their exact shapes and no others.</summary>
    /// <exception cref="ModelFileException">The file is damaged, of an unknown schema, or its tensors do not fit.</exception>
    /// <exception cref="ConfigurationException">Its configuration is not one that this build knows.</exception>
    public static ModelFile Open(string path)
    {
        SafetensorsFile? file = SafetensorsFile.Open(path);
        try
        {
            CheckSchema(file);
            string name = Metadata(file, ModelKey);
            Model model = CreateModel(file, name, Parse(file, ConfigKey) as JsonObject ?? throw Malformed(file, ConfigKey, "an object"));
            CheckTensors(file, model);
            ModelFile result = new(file, model, ReadDetails(file, model));
            file = null;
            return result;
        }
        catch (ConfigurationException e)
        {
            throw new ConfigurationException($"{path}: {e.Message}", e);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <summary>Writes a model file, atomically.</summary>
    /// <param name="path">The file; an older one is replaced.</param>
    /// <param name="model">The model.</param>
    /// <param name="tensors">Its tensors: every one that <see cref="Model.Tensors"/> lists, optional ones if there.</param>
    /// <param name="details">What else the file says.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <exception cref="OutputException">The file cannot be written.</exception>
    public static void Write(
        string path, Model model, IReadOnlyList<TensorSource> tensors, ModelFileDetails details, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(details);
        Dictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            ["format"] = "pt",
            [SchemaKey] = Schema,
            [ModelKey] = model.Name,
            [ConfigKey] = model.Config.ToJsonString(),
            [PreprocessingKey] = WritePreprocessing(details.Preprocessing ?? model.Preprocessing).ToJsonString(),
        };
        if (details.Calibration is { } calibration)
        {
            metadata[CalibrationKey] = calibration.ToJson().ToJsonString();
        }

        if (details.Source.Count > 0)
        {
            metadata[SourceKey] = new JsonArray([.. details.Source.Select(s => new JsonObject { ["file"] = s.File, ["sha256"] = s.Sha256 })]).ToJsonString();
        }

        if (details.Notes.Count > 0)
        {
            metadata[NotesKey] = new JsonArray([.. details.Notes.Select(n => new JsonObject
            {
                ["kind"] = n.Kind.ToString().ToLowerInvariant(),
                ["key"] = n.Key,
                ["value"] = n.Value,
                ["reason"] = n.Reason,
            })]).ToJsonString();
        }

        SafetensorsWriter.Write(path, tensors, metadata, cancellation);
    }

    /// <summary>
    /// Writes this file with another calibration, and perhaps other values of some tensors, atomically; everything else stays as it is. Tensors are copied in
    /// blocks, so that memory does not grow with the file.
    /// </summary>
    /// <param name="path">Where to; may be this file's own path.</param>
    /// <param name="calibration">The calibration; null removes it.</param>
    /// <param name="replaced">Tensors that take the place of those of their name, or that are added.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    /// <exception cref="OutputException">The file cannot be written; an older one is as it was.</exception>
    public void Rewrite(string path, ModelCalibration? calibration, IReadOnlyList<TensorSource> replaced, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(replaced);
        Dictionary<string, string> metadata = new(_file.Metadata, StringComparer.Ordinal);
        metadata.Remove(CalibrationKey);
        if (calibration is not null)
        {
            metadata.Add(CalibrationKey, calibration.ToJson().ToJsonString());
        }

        HashSet<string> names = [.. replaced.Select(t => t.Name)];
        IEnumerable<TensorSource> kept = Tensors.Values.Where(e => !names.Contains(e.Name)).OrderBy(e => e.Offset)
            .Select(e => new TensorSource(e.Name, e.Type, e.Shape, stream => _file.CopyTo(e.Name, stream)));
        SafetensorsWriter.Write(path, [.. kept, .. replaced], metadata, cancellation);
    }

    /// <summary>SHA-256 of what the file says about preprocessing, in lower-case hexadecimal: scores are comparable only where it is the same.</summary>
    public string PreprocessingHash =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(WritePreprocessing(Preprocessing).ToJsonString())));

    /// <summary>Whether the file holds a tensor of that name.</summary>
    public bool Has(string name) => _file.Entries.ContainsKey(name);

    /// <summary>Reads a tensor as single precision; see <see cref="SafetensorsFile.ReadFloat32(string, Span{float})"/>.</summary>
    public void ReadFloat32(string name, Span<float> destination) => _file.ReadFloat32(name, destination);

    /// <summary>When the file was last written to, as of its opening.</summary>
    internal DateTime LastWriteTimeUtc => _file.LastWriteTimeUtc;

    /// <summary>Whether another open file holds the same bytes.</summary>
    internal bool HasContentOf(ModelFile other) => _file.HasContentOf(other._file);

    /// <summary>Reads some consecutive elements of a tensor; see <see cref="SafetensorsFile.ReadFloat32(string, long, Span{float})"/>.</summary>
    public void ReadFloat32(string name, long first, Span<float> destination) => _file.ReadFloat32(name, first, destination);

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static void CheckSchema(SafetensorsFile file)
    {
        if (!file.Metadata.TryGetValue(SchemaKey, out string? schema))
        {
            throw new ModelFileException(
                $"{file.Path}: a safetensors file, but not a KernelAD model: its metadata lack \"{SchemaKey}\". Make a model from a PyTorch checkpoint with `kernelad convert`.");
        }

        string major = Schema[..Schema.IndexOf('.', StringComparison.Ordinal)];
        if (schema.Split('.')[0] != major)
        {
            throw new ModelFileException(
                $"{file.Path}: written in schema \"{SafetensorsHeader.Quote(schema)}\", this build reads {major}.x. Use a newer KernelAD, or convert the checkpoint again.");
        }
    }

    private static Model CreateModel(SafetensorsFile file, string name, JsonObject config)
    {
        try
        {
            return ModelRegistry.Create(name, config);
        }
        catch (InvalidOperationException e)
        {
            // JsonNode decodes text when it is first looked at, and half a surrogate pair is none.
            throw Malformed(file, ConfigKey, $"valid JSON ({e.Message})");
        }
    }

    private static void CheckTensors(SafetensorsFile file, Model model)
    {
        List<string> faults = [];
        HashSet<string> known = new(StringComparer.Ordinal);
        foreach (TensorSpec spec in model.Tensors)
        {
            known.Add(spec.Name);
            if (!file.Entries.TryGetValue(spec.Name, out SafetensorsEntry? entry))
            {
                if (!spec.Optional)
                {
                    faults.Add($"\"{spec.Name}\" {spec.Shape} is missing");
                }
            }
            else if (entry.Shape != spec.Shape)
            {
                faults.Add($"\"{spec.Name}\" has shape {entry.Shape}, expected {spec.Shape}");
            }
            else if (entry.Type is not (ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.F64))
            {
                faults.Add($"\"{spec.Name}\" is of type {SafetensorsHeader.NameOf(entry.Type)}, expected a floating-point type");
            }
        }

        faults.AddRange(file.Entries.Keys.Where(k => !known.Contains(k)).Order(StringComparer.Ordinal).Select(k => $"\"{SafetensorsHeader.Quote(k)}\" is not a tensor of this model"));
        if (faults.Count > 0)
        {
            string more = faults.Count > NamesInMessages ? $"; and {faults.Count - NamesInMessages} more" : "";
            throw new ModelFileException(
                $"{file.Path}: the tensors do not fit {model.Name} with the file's configuration: {string.Join("; ", faults.Take(NamesInMessages))}{more}. Convert the checkpoint again.");
        }
    }

    private static ModelFileDetails ReadDetails(SafetensorsFile file, Model model)
    {
        PicturePreprocessing preprocessing = ReadPreprocessing(file, Parse(file, PreprocessingKey));
        if (preprocessing.CropHeight != model.ImageHeight || preprocessing.CropWidth != model.ImageWidth)
        {
            throw new ModelFileException(
                $"{file.Path}: the preprocessing makes pictures of {preprocessing.CropHeight}×{preprocessing.CropWidth}, the model takes {model.ImageHeight}×{model.ImageWidth}. Convert the checkpoint again.");
        }

        return new ModelFileDetails
        {
            Preprocessing = preprocessing,
            Calibration = file.Metadata.ContainsKey(CalibrationKey) ? ReadCalibration(file, Parse(file, CalibrationKey)) : null,
            Source = ReadList(file, SourceKey, static o => new ModelSource(Text(o, "file"), Text(o, "sha256"))),
            Notes = ReadList(file, NotesKey, static o => new ModelNote(
                Text(o, "kind") switch
                {
                    "inferred" => NoteKind.Inferred,
                    "told" => NoteKind.Told,
                    "assumed" => NoteKind.Assumed,
                    _ => throw new JsonException("an unknown \"kind\""),
                },
                Text(o, "key"),
                Text(o, "value"),
                Text(o, "reason"))),
        };
    }

    private static JsonObject WritePreprocessing(PicturePreprocessing p) => new()
    {
        ["resize"] = p.ResizeShortSide is int side ? side : new JsonArray(p.ResizeHeight, p.ResizeWidth),
        ["filter"] = p.Filter.ToString().ToLowerInvariant(),
        ["crop"] = new JsonArray(p.CropHeight, p.CropWidth),
        ["mean"] = new JsonArray([.. p.Mean.Select(v => (JsonNode)v)]),
        ["std"] = new JsonArray([.. p.Std.Select(v => (JsonNode)v)]),
    };

    private static PicturePreprocessing ReadPreprocessing(SafetensorsFile file, JsonNode node)
    {
        try
        {
            JsonObject o = node.AsObject();
            int[] resize = o["resize"] is JsonArray pair ? Pair(pair) : [];
            int[] crop = Pair(o["crop"]?.AsArray());
            float[] mean = Triple(o, "mean"), std = Triple(o, "std");
            if (std.Any(s => s <= 0))
            {
                throw new JsonException("\"std\" must be positive");
            }

            return new PicturePreprocessing(
                resize.Length == 2 ? resize[0] : 0,
                resize.Length == 2 ? resize[1] : 0,
                resize.Length == 2 ? null : Size(o["resize"]),
                Text(o, "filter") switch
                {
                    "bilinear" => Interpolation.Bilinear,
                    "bicubic" => Interpolation.Bicubic,
                    "lanczos" => Interpolation.Lanczos,
                    string other => throw new JsonException($"unknown filter \"{SafetensorsHeader.Quote(other)}\""),
                },
                crop[0],
                crop[1],
                mean,
                std);
        }
        catch (Exception e) when (IsJsonFault(e))
        {
            throw Malformed(file, PreprocessingKey, $"resize, filter, crop, mean and std ({e.Message})");
        }
    }

    private static ModelCalibration ReadCalibration(SafetensorsFile file, JsonNode node)
    {
        try
        {
            return ModelCalibration.FromJson(node.AsObject());
        }
        catch (Exception e) when (IsJsonFault(e))
        {
            throw Malformed(file, CalibrationKey, $"an object of thresholds and how they were found ({e.Message})");
        }
    }

    private static IReadOnlyList<T> ReadList<T>(SafetensorsFile file, string key, Func<JsonObject, T> read)
    {
        if (!file.Metadata.ContainsKey(key))
        {
            return [];
        }

        try
        {
            return [.. Parse(file, key).AsArray().Select(n => read(n?.AsObject() ?? throw new JsonException("null")))];
        }
        catch (Exception e) when (IsJsonFault(e))
        {
            throw Malformed(file, key, $"a list of objects ({e.Message})");
        }
    }

    private static string Metadata(SafetensorsFile file, string key) =>
        file.Metadata.TryGetValue(key, out string? value) ? value : throw Malformed(file, key, "present");

    private static JsonNode Parse(SafetensorsFile file, string key)
    {
        try
        {
            JsonDocumentOptions options = new() { MaxDepth = 16, AllowDuplicateProperties = false };
            return JsonNode.Parse(Metadata(file, key), documentOptions: options) ?? throw Malformed(file, key, "an object or a list");
        }
        catch (Exception e) when (IsJsonFault(e))
        {
            throw Malformed(file, key, $"valid JSON ({e.Message})");
        }
    }

    private static int[] Pair(JsonArray? array) => array is { Count: 2 } ? [Size(array[0]), Size(array[1])] : throw new JsonException("a pair of sizes is missing");

    private static int Size(JsonNode? node) => node?.GetValue<int>() is int size and > 0 and <= 65536 ? size : throw new JsonException("a size is missing or out of range");

    private static float[] Triple(JsonObject o, string key)
    {
        float[] values = o[key] is JsonArray { Count: 3 } a ? [.. a.Select(n => n?.GetValue<float>() ?? float.NaN)] : [];
        return values.Length == 3 && values.All(float.IsFinite) ? values : throw new JsonException($"\"{key}\" must hold three numbers");
    }

    private static string Text(JsonObject o, string key) => o[key]?.GetValue<string>() ?? throw new JsonException($"\"{key}\" is missing");

    /// <summary>What JsonNode throws when a value has another kind than the one asked for.</summary>
    private static bool IsJsonFault(Exception e) => e is JsonException or InvalidOperationException or FormatException or OverflowException;

    private static ModelFileException Malformed(SafetensorsFile file, string key, string expected) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{file.Path}: metadata \"{key}\" is not usable, expected {expected}. Convert the checkpoint again."));
}
