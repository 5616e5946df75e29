using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Evaluation.Metrics;

/// <summary>
/// Metrics of tensors in a safetensors file: <c>scores</c> (N) and <c>labels</c> (N, 0 or 1) for images; <c>maps</c> (N,H,W or N,1,H,W) and <c>masks</c> of the
/// same shape, one byte a pixel, for pixels. Either pair may be missing. Read image by image.
/// </summary>
public sealed class MetricsFile : IDisposable
{
    private const string Maps = "maps";
    private const string Masks = "masks";
    private const string Labels = "labels";
    private const string Scores = "scores";

    private readonly SafetensorsFile _file;

    private MetricsFile(SafetensorsFile file)
    {
        _file = file;
        HasImages = HasPair(Scores, Labels);
        HasPixels = HasPair(Maps, Masks);
        if (!HasImages && !HasPixels)
        {
            throw new BadInputException(
                $"{file.Path}: holds neither {Maps} and {Masks} nor {Scores} and {Labels}, but {string.Join(", ", file.Entries.Keys.Order(StringComparer.Ordinal).Take(20))}");
        }

        Count = file.Entries[HasPixels ? Maps : Scores].Shape is { Rank: > 0 } shape ? shape[0] : 0;
        if (HasImages)
        {
            CheckShape(Scores, new Shape(Count));
            CheckShape(Labels, new Shape(Count));
        }

        if (HasPixels)
        {
            CheckPixels();
        }
    }

    /// <summary>Number of images.</summary>
    public int Count { get; }

    /// <summary>Whether there are scores and labels.</summary>
    public bool HasImages { get; }

    /// <summary>Whether there are maps and masks.</summary>
    public bool HasPixels { get; }

    /// <summary>Opens a file and checks its tensors' shapes and types.</summary>
    /// <exception cref="ModelFileException">It cannot be read or is not a safetensors file.</exception>
    /// <exception cref="BadInputException">A tensor is missing, or its shape or type does not fit.</exception>
    public static MetricsFile Open(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            return new MetricsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Computes the metrics.</summary>
    /// <param name="variant">Whose definitions to use.</param>
    /// <param name="maskThreshold">The highest mask value of an anomaly-free pixel.</param>
    /// <param name="threads">Threads to use at most; 0 means one per processor.</param>
    /// <param name="cancellation">Checked before each image.</param>
    /// <exception cref="BadInputException">A score or map holds NaN, or a label is neither 0 nor 1.</exception>
    public MetricsResult Compute(MetricVariant variant, byte maskThreshold = 0, int threads = 0, CancellationToken cancellation = default)
    {
        MetricsCollector collector = new(variant, maskThreshold);
        if (HasImages)
        {
            AddImages(collector);
        }

        if (HasPixels)
        {
            AddPixels(collector, cancellation);
        }

        return collector.Compute(threads);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private void AddImages(MetricsCollector collector)
    {
        float[] scores = new float[Count];
        float[] labels = new float[Count];
        _file.ReadFloat32(Scores, scores);
        _file.ReadFloat32(Labels, labels);
        for (int i = 0; i < Count; i++)
        {
            if (labels[i] is not (0 or 1))
            {
                throw new BadInputException($"{_file.Path}: tensor \"{Labels}\" holds {labels[i]} for image {i}; expected 0 for good or 1 for anomalous");
            }

            collector.AddImage(NameOf(i), labels[i] == 1, scores[i]);
        }
    }

    private void AddPixels(MetricsCollector collector, CancellationToken cancellation)
    {
        Shape shape = _file.Entries[Maps].Shape;
        (int height, int width) = (shape[-2], shape[-1]);
        float[] map = new float[height * width];
        byte[] mask = new byte[map.Length];
        for (int i = 0; i < Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            _file.ReadFloat32(Maps, (long)i * map.Length, map);
            _file.Read(Masks, (long)i * mask.Length, mask);
            collector.AddPixels(NameOf(i), map, mask, height, width);
        }
    }

    private string NameOf(int image) => $"{_file.Path}: image {image}";

    private bool HasPair(string first, string second)
    {
        bool has = _file.Entries.ContainsKey(first);
        return has == _file.Entries.ContainsKey(second)
            ? has
            : throw new BadInputException($"{_file.Path}: holds \"{(has ? first : second)}\" but no \"{(has ? second : first)}\"; the two belong together");
    }

    private void CheckPixels()
    {
        Shape shape = _file.Entries[Maps].Shape;
        if (!(shape.Rank == 3 || (shape.Rank == 4 && shape[1] == 1)) || (long)shape[-1] * shape[-2] > Array.MaxLength)
        {
            throw new BadInputException($"{_file.Path}: tensor \"{Maps}\" has shape {shape}, expected (N, H, W) or (N, 1, H, W)");
        }

        if (_file.Entries[Masks] is { Type: not (ElementType.U8 or ElementType.Bool) } masks)
        {
            throw new BadInputException($"{_file.Path}: tensor \"{Masks}\" is of type {masks.Type}, expected U8: one byte a pixel");
        }

        CheckShape(Masks, shape);
    }

    private void CheckShape(string name, Shape expected)
    {
        Shape shape = _file.Entries[name].Shape;
        if (shape != expected)
        {
            throw new BadInputException($"{_file.Path}: tensor \"{name}\" has shape {shape}, expected {expected}");
        }
    }
}
