namespace KernelAD.Interop;

/// <summary>A call failed because the device, or the host's pinned memory, is exhausted.</summary>
public sealed class CudaOutOfMemoryException : CudaException
{
    /// <summary>Reports what a call said.</summary>
    /// <param name="error">The call and its error.</param>
    /// <param name="advice">What it was about or what to do; a sentence, or null.</param>
    /// <param name="requested">How many bytes were asked for; null where the call does not say.</param>
    /// <param name="memory">The device's memory after the call; null where it cannot be told.</param>
    public CudaOutOfMemoryException(CudaError error, string? advice = null, long? requested = null, CudaMemoryInfo? memory = null)
        : base(error, advice)
    {
        Requested = requested;
        Memory = memory;
    }

    /// <summary>How many bytes were asked for; null where the call does not say.</summary>
    public long? Requested { get; }

    /// <summary>The device's memory after the call; null where it cannot be told.</summary>
    public CudaMemoryInfo? Memory { get; }
}
