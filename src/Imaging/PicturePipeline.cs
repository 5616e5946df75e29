using System.Runtime.CompilerServices;
using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>
/// Sends any number of pictures through a model at the machine's full rate, in bounded memory and with results in order. Several lanes, one thread each, take
/// pictures from one sequence, decode them, run the network and hand picture and map to the caller's function, which runs in the lane too.
/// </summary>
/// <remarks>
/// On the CPU every lane computes alone: pictures side by side waste nothing, while the threads of one picture wait for each other at every step. On a CUDA
/// device, and where the memory does not suffice for many plans, few plans run while the other lanes decode.
/// </remarks>
public sealed class PicturePipeline : IDisposable
{
    /// <summary>Pictures on their way at most, per lane and batch: enough that no lane waits for a slow one before it.</summary>
    private const int WindowPerLane = 4;

    private readonly int _batch;

    private PicturePipeline(AnomalyDetector detector, int lanes, int batch)
    {
        Detector = detector;
        Lanes = lanes;
        _batch = batch;
    }

    /// <summary>The model. It is disposed of with the pipeline.</summary>
    public AnomalyDetector Detector { get; }

    /// <summary>Pictures, or batches, that are worked on at the same time.</summary>
    public int Lanes { get; }

    /// <summary>Loads a model for many pictures.</summary>
    /// <param name="path">The model file.</param>
    /// <param name="options">How to run. <see cref="DetectorOptions.Threads"/> counts all lanes together, and <see cref="DetectorOptions.MaxMemoryBytes"/>
    /// limits them together.</param>
    /// <param name="pictures">How many pictures will come; null: not known, many.</param>
    /// <param name="batch">Pictures per run of the network; results do not depend on it.</param>
    /// <exception cref="BadInputException">The model file cannot be used, or the batch is too large.</exception>
    /// <exception cref="DeviceNotAvailableException">The device or precision asked for is not available.</exception>
    public static PicturePipeline Load(string path, DetectorOptions? options = null, long? pictures = null, int batch = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        options ??= new DetectorOptions();
        int threads = Math.Max(Math.Min(options.Threads ?? Environment.ProcessorCount, Environment.ProcessorCount), 1);
        bool few = threads == 1 || pictures < 2L * threads * batch;
        AnomalyDetector detector = AnomalyDetector.Load(path, few ? options : options with { Threads = 1, MaxConcurrency = threads });
        try
        {
            long limit = options.MaxMemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
            bool fits = detector.WeightBytes + ((double)threads * batch * detector.ActivationBytes) <= limit;
            if (!few && !(detector.RunsOnCpu && fits))
            {
                detector.Dispose();
                detector = AnomalyDetector.Load(path, options with { MaxConcurrency = detector.RunsOnCpu ? 1 : 2, Logger = null });
            }

            int lanes = pictures <= batch || threads == 1 ? 1 : few || (detector.RunsOnCpu && !fits) ? 2 : threads;
            if ((long)batch * 3 * detector.MapWidth * detector.MapHeight > Array.MaxLength)
            {
                throw new BadInputException($"{batch} pictures of {detector.MapWidth}×{detector.MapHeight} are too many for one run; choose a smaller batch");
            }

            return new PicturePipeline(detector, lanes, batch);
        }
        catch
        {
            detector.Dispose();
            throw;
        }
    }

    /// <summary>Judges pictures. A bad picture does not stop the others.</summary>
    /// <typeparam name="TSource">What stands for a picture: a path, for instance.</typeparam>
    /// <typeparam name="TResult">What is kept of a picture.</typeparam>
    /// <param name="sources">The pictures; taken one by one, as the lanes get on, so the sequence may be endless.</param>
    /// <param name="read">Reads one; called from several threads at once. A <see cref="BadInputException"/> becomes <see cref="PictureOutcome.Error"/>.</param>
    /// <param name="finish">Makes the result; called from several threads at once, in any order. The outcome is valid until it returns.</param>
    /// <param name="cancellation">Takes no further pictures; those in hand are finished and returned before the sequence ends with
    /// <see cref="OperationCanceledException"/>.</param>
    /// <returns>The results in the order of <paramref name="sources"/>.</returns>
    public async IAsyncEnumerable<TResult> RunAsync<TSource, TResult>(
        IEnumerable<TSource> sources,
        Func<TSource, Picture> read,
        Func<TSource, PictureOutcome, TResult> finish,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(sources);
        using PictureQueue<TSource, TResult> queue = new(sources, Lanes * _batch * WindowPerLane, cancellation);
        PicturePreprocessor preprocessor = new(Detector.Preprocessing);
        for (int i = 0; i < Lanes; i++)
        {
            PictureLane<TSource, TResult> lane = new(Detector, preprocessor, _batch, queue, read, finish);
            _ = Task.Factory.StartNew(lane.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        try
        {
            await foreach (Task<TResult> result in queue.Results.ConfigureAwait(false))
            {
                yield return await result.ConfigureAwait(false);
                queue.Release();
            }
        }
        finally
        {
            await queue.StopAsync().ConfigureAwait(false);
        }

        cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>Frees the model.</summary>
    public void Dispose() => Detector.Dispose();
}
