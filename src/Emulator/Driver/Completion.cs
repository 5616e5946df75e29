using System.Diagnostics;

namespace KernelAD.Emulator;

/// <summary>A place in a stream's work that something can wait for: what <c>cuEventRecord</c> marks.</summary>
/// <param name="stream">The stream.</param>
internal sealed class Completion(EmulatedStream stream)
{
    private long _reachedAt;

    /// <summary>The stream whose work has to be done up to here.</summary>
    public EmulatedStream Stream { get; } = stream;

    /// <summary>Whether it is.</summary>
    public bool IsReached { get; private set; }

    /// <summary>Notes that the work is done up to here.</summary>
    public void Reach()
    {
        IsReached = true;
        _reachedAt = Stopwatch.GetTimestamp();
    }

    /// <summary>The time from one place to another, both reached.</summary>
    public static TimeSpan Between(Completion start, Completion end) => Stopwatch.GetElapsedTime(start._reachedAt, end._reachedAt);
}
