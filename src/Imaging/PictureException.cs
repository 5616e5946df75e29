namespace KernelAD.Imaging;

/// <summary>
/// A picture file that cannot be read or written: missing, empty, of an unknown format, damaged, cut off, too large; or no place to write
/// it to.
/// </summary>
public sealed class PictureException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Names the file, what was expected and found, and what to do.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public PictureException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
