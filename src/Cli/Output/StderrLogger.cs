using Microsoft.Extensions.Logging;

namespace KernelAD.Cli.Output;

/// <summary>Writes log messages to stderr, one a line, at once.</summary>
internal sealed class StderrLogger(LogLevel minimum) : ILogger
{
    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= minimum && logLevel != LogLevel.None;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Console.Error.WriteLine($"kernelad: {logLevel.ToString().ToLowerInvariant()}: {formatter(state, exception)}");
        }
    }
}
