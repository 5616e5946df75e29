using System.Diagnostics;
using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>One lane of a <see cref="PicturePipeline"/>: its own buffers, its own thread.</summary>
internal sealed class PictureLane<TSource, TResult>(
    AnomalyDetector detector,
    PicturePreprocessor preprocessor,
    int batch,
    PictureQueue<TSource, TResult> queue,
    Func<TSource, Picture> read,
    Func<TSource, PictureOutcome, TResult> finish)
{
    private readonly PreprocessingScratch _scratch = new();
    private readonly float[] _inputs = new float[batch * preprocessor.Length];
    private readonly float[] _maps = new float[batch * detector.MapWidth * detector.MapHeight];
    private readonly float[] _scores = new float[batch];

    private int Pixels => _maps.Length / batch;

    /// <summary>Takes pictures and judges them until there are none left.</summary>
    public void Run()
    {
        List<PictureTicket<TSource, TResult>> taken = [];
        List<(PictureTicket<TSource, TResult> Ticket, PictureOutcome Outcome)> ready = [];
        for (bool more = true; more;)
        {
            // Bad pictures leave gaps, which others fill.
            do
            {
                int before = taken.Count;
                more = queue.Take(taken, before + batch - ready.Count);
                foreach (PictureTicket<TSource, TResult> ticket in taken[before..])
                {
                    Prepare(ticket, ready);
                }

                if (taken.Count == before)
                {
                    break;
                }
            }
            while (ready.Count < batch);

            if (ready.Count > 0)
            {
                Judge(ready);
            }

            ready.Clear();
            taken.Clear();
        }
    }

    /// <summary>Reads a picture and writes the network's input; a bad one is finished at once.</summary>
    private void Prepare(PictureTicket<TSource, TResult> ticket, List<(PictureTicket<TSource, TResult> Ticket, PictureOutcome Outcome)> ready)
    {
        try
        {
            long start = Stopwatch.GetTimestamp();
            Picture picture = read(ticket.Source);
            long decoded = Stopwatch.GetTimestamp();
            preprocessor.Process(picture.View, _inputs.AsSpan(ready.Count * preprocessor.Length, preprocessor.Length), _scratch);
            ready.Add((ticket, new PictureOutcome(picture, Stopwatch.GetElapsedTime(start, decoded), Stopwatch.GetElapsedTime(decoded))));
        }
        catch (BadInputException e)
        {
            Finish(ticket, new PictureOutcome(e.Message));
        }
#pragma warning disable CA1031 // Everything else is for whoever waits for this picture's result.
        catch (Exception e)
#pragma warning restore CA1031
        {
            ticket.Result.SetException(e);
        }
    }

    private void Judge(List<(PictureTicket<TSource, TResult> Ticket, PictureOutcome Outcome)> ready)
    {
        try
        {
            Detect(ready, 0, ready.Count);
        }
        catch (BadInputException) when (ready.Count > 1)
        {
            // One of them overflows the network: find out which.
            for (int i = 0; i < ready.Count; i++)
            {
                TryDetect(ready, i);
            }
        }
        catch (BadInputException e)
        {
            ready[0].Outcome.Error = e.Message;
        }
#pragma warning disable CA1031 // A device that fails, for instance: for whoever waits for these results.
        catch (Exception e)
#pragma warning restore CA1031
        {
            foreach ((PictureTicket<TSource, TResult> ticket, PictureOutcome outcome) in ready)
            {
                outcome.Picture?.Dispose();
                ticket.Result.SetException(e);
            }

            return;
        }

        foreach ((PictureTicket<TSource, TResult> ticket, PictureOutcome outcome) in ready)
        {
            Finish(ticket, outcome);
        }
    }

    private void TryDetect(List<(PictureTicket<TSource, TResult> Ticket, PictureOutcome Outcome)> ready, int index)
    {
        try
        {
            Detect(ready, index, 1);
        }
        catch (BadInputException e)
        {
            ready[index].Outcome.Error = e.Message;
        }
    }

    private void Detect(List<(PictureTicket<TSource, TResult> Ticket, PictureOutcome Outcome)> ready, int first, int count)
    {
        long start = Stopwatch.GetTimestamp();
        detector.DetectBatch(
            _inputs.AsSpan(first * preprocessor.Length, count * preprocessor.Length),
            count,
            batch,
            _maps.AsSpan(first * Pixels, count * Pixels),
            _scores.AsSpan(first, count));
        TimeSpan network = Stopwatch.GetElapsedTime(start) / count;
        for (int i = first; i < first + count; i++)
        {
            PictureOutcome outcome = ready[i].Outcome;
            outcome.Score = _scores[i];
            outcome.Map = _maps.AsMemory(i * Pixels, Pixels);
            outcome.Network = network;
        }
    }

    private void Finish(PictureTicket<TSource, TResult> ticket, PictureOutcome outcome)
    {
        try
        {
            ticket.Result.SetResult(finish(ticket.Source, outcome));
        }
#pragma warning disable CA1031 // For whoever waits for this picture's result.
        catch (Exception e)
#pragma warning restore CA1031
        {
            ticket.Result.SetException(e);
        }
        finally
        {
            outcome.Picture?.Dispose();
        }
    }
}
