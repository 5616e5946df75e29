using System.Threading.Channels;

namespace KernelAD.Imaging;

/// <summary>A picture that a lane has taken, and the place of its result in the order of all.</summary>
internal readonly record struct PictureTicket<TSource, TResult>(TSource Source, TaskCompletionSource<TResult> Result);

/// <summary>
/// What the lanes of a <see cref="PicturePipeline"/> share: the pictures to come, and the results in their order. Whoever takes a picture owes its result; at
/// most <c>window</c> are on their way.
/// </summary>
internal sealed class PictureQueue<TSource, TResult> : IDisposable
{
    private readonly IEnumerator<TSource> _sources;
    private readonly Lock _turn = new();
    private readonly Channel<Task<TResult>> _order = Channel.CreateUnbounded<Task<TResult>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly SemaphoreSlim _window;
    private readonly CancellationTokenSource _stop;
    private readonly CancellationTokenRegistration _onStop;
    private bool _ended;

    public PictureQueue(IEnumerable<TSource> sources, int window, CancellationToken cancellation)
    {
        _sources = sources.GetEnumerator();
        _window = new SemaphoreSlim(window);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);

        // A lane may wait for its next picture without end, on a pipe for instance: nobody waits for that lane.
        _onStop = _stop.Token.Register(() => _order.Writer.TryComplete());
    }

    /// <summary>The results in order, each as soon as its picture was taken.</summary>
    public IAsyncEnumerable<Task<TResult>> Results => _order.Reader.ReadAllAsync(CancellationToken.None);

    /// <summary>
    /// Takes pictures until there are <paramref name="wanted"/> in hand. A lane with empty hands waits for its turn and for room; any other goes on with what
    /// it has, since the room may depend on it.
    /// </summary>
    /// <returns>Whether there is anything in hand.</returns>
    public bool Take(List<PictureTicket<TSource, TResult>> hands, int wanted)
    {
        if (hands.Count == 0)
        {
            _turn.Enter();
        }
        else if (!_turn.TryEnter())
        {
            return true;
        }

        try
        {
            while (!_ended && hands.Count < wanted && HasRoom(wait: hands.Count == 0))
            {
                TaskCompletionSource<TResult> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
                if (_stop.IsCancellationRequested || !_sources.MoveNext() || !_order.Writer.TryWrite(result.Task))
                {
                    End(null);
                }
                else
                {
                    hands.Add(new PictureTicket<TSource, TResult>(_sources.Current, result));
                }
            }
        }
#pragma warning disable CA1031 // Whatever ends the sequence of pictures is for whoever reads the results.
        catch (Exception e)
#pragma warning restore CA1031
        {
            End(e);
        }
        finally
        {
            _turn.Exit();
        }

        return hands.Count > 0;
    }

    /// <summary>Makes room for another picture: a result was used.</summary>
    public void Release() => _window.Release();

    /// <summary>Takes no more pictures, and waits for the results of those that were taken.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        while (_order.Reader.TryRead(out Task<TResult>? result))
        {
            await ((Task)result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Lets go of the caller's token. What lanes may still wait for stays.</summary>
    public void Dispose() => _onStop.Dispose();

    private void End(Exception? e)
    {
        _ended = true;
        _order.Writer.TryComplete(e);
        _sources.Dispose();
    }

    private bool HasRoom(bool wait)
    {
        if (_window.Wait(0, CancellationToken.None))
        {
            return true;
        }

        if (!wait)
        {
            return false;
        }

        try
        {
            _window.Wait(_stop.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            End(null);
            return false;
        }
    }
}
