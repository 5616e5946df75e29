namespace KernelAD.Interop;

/// <summary>CUDA cannot be used here: no driver library, no device, or a driver that is too old. The message says which, and what to do.</summary>
public sealed class CudaNotAvailableException : CudaException
{
    /// <summary>Reports a fault found before the driver could be called.</summary>
    /// <param name="message">What is missing and what to do.</param>
    public CudaNotAvailableException(string message)
        : base(message)
    {
    }

    /// <summary>Reports what the driver said when it was started.</summary>
    /// <param name="error">The call and its error.</param>
    /// <param name="advice">What to do; a sentence.</param>
    public CudaNotAvailableException(CudaError error, string advice)
        : base(error, advice)
    {
    }
}
