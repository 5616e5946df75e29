namespace KernelAD.Interop;

/// <summary>A call to the CUDA driver failed. The command line answers with exit code 4.</summary>
public class CudaException : Exception
{
    /// <summary>Reports what a call said.</summary>
    /// <param name="error">The call and its error.</param>
    /// <param name="advice">What it was about or what to do; a sentence, or null.</param>
    public CudaException(CudaError error, string? advice = null)
        : base(advice is null ? error.ToString() : $"{error} {advice}") => Error = error;

    /// <summary>Reports a fault that no driver call told.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    protected CudaException(string message)
        : base(message)
    {
    }

    /// <summary>The call and its error; null where the driver could not even be called.</summary>
    public CudaError? Error { get; }

    /// <summary>Whether a kernel's fault has made the context useless: every later call fails until the process ends.</summary>
    public bool IsContextLost => Error is CudaError error && CudaResult.LosesContext(error.Code);
}
