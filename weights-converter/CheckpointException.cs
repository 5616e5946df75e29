namespace KernelAD.WeightsConverter;

/// <summary>A checkpoint that cannot be converted: damaged, of a foreign format, of an unsupported variant, or with keys or values that do not fit.</summary>
public sealed class CheckpointException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Names file, tensor, expected, found, and what to do.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public CheckpointException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
