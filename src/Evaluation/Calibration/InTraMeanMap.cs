using System.Runtime.InteropServices;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;

namespace KernelAD.Evaluation.Calibration;

/// <summary>
/// Fits InTra's mean map: the mean over normal pictures z of diff(z, rebuilt z), which the anomaly map (diff − mean)² is measured from. The pictures' own diffs
/// wait in a temporary file, so that their scores under the new map need no second run of the network, and memory does not grow with their number.
/// </summary>
public sealed class InTraMeanMap : IDisposable
{
    private const string DiffTap = "diff";

    private readonly AnomalyDetector _detector;
    private readonly PicturePreprocessor _preprocessor;
    private readonly PreprocessingScratch _scratch = new();
    private readonly FileStream _diffs;
    private readonly List<string> _paths = [];
    private readonly double[] _sum;

    /// <summary>Prepares for a model.</summary>
    /// <param name="detector">An InTra of the paper's variant, with or without a mean map.</param>
    /// <exception cref="CalibrationException">The model has no mean map.</exception>
    public InTraMeanMap(AnomalyDetector detector)
    {
        ArgumentNullException.ThrowIfNull(detector);
        if (!detector.Model.Tensors.Any(t => t.Name == InTra.MeanMapKey))
        {
            throw new CalibrationException($"{detector.Model.Name} in this configuration has no mean map; only InTra with \"map\": \"paper\" has one");
        }

        _detector = detector;
        _preprocessor = new PicturePreprocessor(detector.Preprocessing);
        _sum = new double[detector.MapWidth * detector.MapHeight];
        _diffs = new FileStream(
            Path.Combine(Path.GetTempPath(), $"kernelad-{Path.GetRandomFileName()}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
    }

    /// <summary>Number of pictures added.</summary>
    public int Count => _paths.Count;

    /// <summary>Runs the network on a normal picture.</summary>
    /// <param name="path">What the picture is called.</param>
    /// <param name="picture">Its pixels.</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    public void Add(string path, PictureView picture, CancellationToken cancellation = default)
    {
        Tensor input = new(new Shape(1, 3, _detector.MapHeight, _detector.MapWidth));
        _preprocessor.Process(picture, input.Data, _scratch);
        Add(path, input, cancellation);
    }

    /// <summary>Runs the network on the prepared input of a normal picture.</summary>
    /// <param name="path">What the picture is called.</param>
    /// <param name="input">Normalised input (1, 3, H, W).</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    public void Add(string path, Tensor input, CancellationToken cancellation = default)
    {
        float[] diff = _detector.Run(input, [DiffTap], cancellation: cancellation)[DiffTap].Data;
        for (int i = 0; i < _sum.Length; i++)
        {
            _sum[i] += diff[i];
        }

        _diffs.Write(MemoryMarshal.AsBytes(diff.AsSpan()));
        _paths.Add(path);
    }

    /// <summary>The mean map, (1, 1, H, W).</summary>
    /// <exception cref="CalibrationException">There are fewer than two pictures.</exception>
    public Tensor Mean()
    {
        RequirePictures();
        return new Tensor(new Shape(1, 1, _detector.MapHeight, _detector.MapWidth), [.. _sum.Select(s => (float)(s / Count))]);
    }

    /// <summary>
    /// The pictures' scores as those of pictures that the mean map does not know: each is measured from the mean of the others, m − (d − m) / (k − 1), which
    /// makes the difference from the mean of all larger by the factor k / (k − 1).
    /// </summary>
    /// <exception cref="CalibrationException">There are fewer than two pictures.</exception>
    public IEnumerable<CalibrationScore> Scores()
    {
        RequirePictures();
        float[] mean = Mean().Data, diff = new float[_sum.Length];
        float factor = (float)Count / (Count - 1);
        _diffs.Flush();
        _diffs.Position = 0;
        foreach (string path in _paths)
        {
            _diffs.ReadExactly(MemoryMarshal.AsBytes(diff.AsSpan()));
            float highest = 0;
            for (int i = 0; i < diff.Length; i++)
            {
                float distance = (diff[i] - mean[i]) * factor;
                highest = Math.Max(highest, distance * distance);
            }

            yield return new CalibrationScore(path, highest, highest, IsAnomalous: false);
        }
    }

    /// <summary>Deletes the temporary file.</summary>
    public void Dispose() => _diffs.Dispose();

    private void RequirePictures()
    {
        if (Count < 2)
        {
            throw new CalibrationException($"a mean map of {Count} normal pictures means nothing: at least 2 are needed");
        }
    }
}
