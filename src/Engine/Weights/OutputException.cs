namespace KernelAD.Weights;

/// <summary>A file that could not be written: folder missing or not writable, disk full. Nothing half-written is left behind.</summary>
public sealed class OutputException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Names the file and what to do.</param>
    /// <param name="inner">The cause.</param>
    public OutputException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
