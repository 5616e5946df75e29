using System.Diagnostics;

namespace KernelAD.Cli.Output;

/// <summary>A progress bar with rate and remaining time on stderr, on a terminal only; elsewhere it prints nothing.</summary>
internal sealed class ProgressLine : IDisposable
{
    private const int Cells = 30;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private readonly bool _visible = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";
    private readonly string _what;
    private readonly int _total;
    private readonly long _start = Stopwatch.GetTimestamp();
    private int _done;
    private int _width;
    private long _drawn;

    /// <summary>Starts at zero of <paramref name="total"/>.</summary>
    public ProgressLine(string what, int total)
    {
        _what = what;
        _total = total;
        _visible &= total > 1;
    }

    /// <summary>Counts some more as done.</summary>
    public void Advance(int count = 1)
    {
        _done += count;
        if (_visible && (_drawn == 0 || Stopwatch.GetElapsedTime(_drawn) > Interval))
        {
            _drawn = Stopwatch.GetTimestamp();
            int filled = (int)((long)Cells * _done / _total);
            double rate = _done / Math.Max(Stopwatch.GetElapsedTime(_start).TotalSeconds, 1e-3);
            TimeSpan left = TimeSpan.FromSeconds((_total - _done) / rate);
            string line = $"{_what} [{new string('#', filled)}{new string('.', Cells - filled)}] {_done}/{_total}, {rate:0.#}/s, {left:h\\:mm\\:ss} left";
            Console.Error.Write($"\r{line.PadRight(_width)}");
            _width = line.Length;
        }
    }

    /// <summary>Wipes the bar away so that other lines can be printed; it comes back with the next <see cref="Advance"/>.</summary>
    public void Clear()
    {
        if (_visible && _drawn != 0)
        {
            Console.Error.Write($"\r{new string(' ', _width)}\r");
            _drawn = 0;
        }
    }

    /// <summary>Wipes the bar away.</summary>
    public void Dispose() => Clear();
}
