namespace KernelAD.Evaluation.Calibration;

/// <summary>Scores from which no threshold follows: too few good ones, none of the kind that a method needs.</summary>
public sealed class CalibrationException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Says what is missing, how much of it, and what to do.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public CalibrationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
