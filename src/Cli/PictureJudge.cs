using System.Diagnostics;
using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>What came of one picture: an error, or score, map and picture. Map and picture are valid until the next one is asked for.</summary>
internal sealed record Judgement(PictureEntry Entry)
{
    /// <summary>Why there is no score; null if there is one.</summary>
    public string? Error { get; init; }

    /// <summary>The decoded picture.</summary>
    public Picture? Picture { get; init; }

    /// <summary>The raw image score.</summary>
    public float Score { get; init; }

    /// <summary>The raw anomaly map.</summary>
    public ReadOnlyMemory<float> Map { get; init; }

    /// <summary>Time to read and decode the file.</summary>
    public TimeSpan Decode { get; init; }

    /// <summary>Time to resize, crop and normalise.</summary>
    public TimeSpan Preprocess { get; init; }

    /// <summary>This picture's part of its batch's time in the network.</summary>
    public TimeSpan Network { get; init; }
}

/// <summary>Sends picture files through a detector, batch by batch, in bounded memory; a bad picture does not stop the others.</summary>
internal sealed class PictureJudge
{
    private readonly AnomalyDetector _detector;
    private readonly PictureReadOptions _reading;
    private readonly int _batch;
    private readonly float[] _inputs;
    private readonly float[] _maps;
    private readonly float[] _scores;

    /// <summary>Reserves memory for one batch.</summary>
    public PictureJudge(AnomalyDetector detector, int batch, PictureReadOptions reading)
    {
        _detector = detector;
        _reading = reading;
        _batch = batch;
        _inputs = new float[InputLength(detector, batch)];
        _maps = new float[_inputs.Length / 3];
        _scores = new float[batch];
    }

    /// <summary>Values in a batch of network inputs.</summary>
    /// <exception cref="UsageException">The batch is too large.</exception>
    public static int InputLength(AnomalyDetector detector, int batch)
    {
        long length = 3L * batch * detector.MapWidth * detector.MapHeight;
        return length <= Array.MaxLength ? (int)length : throw new UsageException($"--batch: {batch} pictures of {detector.MapWidth}×{detector.MapHeight} are too many for one run");
    }

    /// <summary>Judges the pictures in their order.</summary>
    public IEnumerable<Judgement> Judge(IEnumerable<PictureEntry> entries, CancellationToken cancellation)
    {
        foreach (PictureEntry[] chunk in entries.Chunk(_batch))
        {
            Judgement[] results = JudgeBatch(chunk, cancellation);
            try
            {
                foreach (Judgement result in results)
                {
                    yield return result;
                }
            }
            finally
            {
                foreach (Judgement result in results)
                {
                    result.Picture?.Dispose();
                }
            }
        }
    }

    private Judgement[] JudgeBatch(PictureEntry[] entries, CancellationToken cancellation)
    {
        int length = _inputs.Length / _batch, pixels = length / 3, count = 0;
        Judgement[] results = new Judgement[entries.Length];
        int[] slots = new int[entries.Length];
        for (int i = 0; i < entries.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            results[i] = Prepare(entries[i], _inputs.AsSpan(length * count, length));
            if (results[i].Error is null)
            {
                slots[count++] = i;
            }
        }

        try
        {
            long start = Stopwatch.GetTimestamp();
            _detector.DetectBatch(_inputs.AsSpan(0, length * count), count, _batch, _maps.AsSpan(0, pixels * count), _scores.AsSpan(0, count), cancellation);
            TimeSpan network = Stopwatch.GetElapsedTime(start) / Math.Max(count, 1);
            for (int slot = 0; slot < count; slot++)
            {
                results[slots[slot]] = results[slots[slot]] with { Score = _scores[slot], Map = _maps.AsMemory(pixels * slot, pixels), Network = network };
            }
        }
        catch (BadInputException e)
        {
            for (int slot = 0; slot < count; slot++)
            {
                results[slots[slot]] = results[slots[slot]] with { Error = $"{results[slots[slot]].Entry.Path}: {e.Message}" };
            }
        }

        return results;
    }

    private Judgement Prepare(PictureEntry entry, Span<float> input)
    {
        if (entry.Error is not null)
        {
            return new Judgement(entry) { Error = entry.Error };
        }

        try
        {
            long start = Stopwatch.GetTimestamp();
            Picture picture = PictureFile.Read(entry.Path, _reading);
            long decoded = Stopwatch.GetTimestamp();
            _detector.Preprocess(picture.View, input);
            return new Judgement(entry) { Picture = picture, Decode = Stopwatch.GetElapsedTime(start, decoded), Preprocess = Stopwatch.GetElapsedTime(decoded) };
        }
        catch (BadInputException e)
        {
            return new Judgement(entry) { Error = e.Message };
        }
    }
}
