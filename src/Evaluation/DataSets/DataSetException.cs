namespace KernelAD.Evaluation.DataSets;

/// <summary>A data set that cannot be read: nothing there, no known layout, a damaged list of pictures.</summary>
public sealed class DataSetException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Names the place, what was expected and found, and what to do.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public DataSetException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
