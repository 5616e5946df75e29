namespace KernelAD.Emulator;

/// <summary>Why a device can no longer be used: work that was done asynchronously has failed.</summary>
/// <param name="code">The <c>CUresult</c> that every call answers with from then on.</param>
/// <param name="message">What happened, in one sentence.</param>
internal sealed class DeviceFault(int code, string message) : Exception(message)
{
    /// <summary>The <c>CUresult</c> that every call answers with from then on.</summary>
    public int Code { get; } = code;
}
