namespace KernelAD.Interop;

/// <summary>The driver refused to load a module.</summary>
public sealed class CudaModuleException : CudaException
{
    /// <summary>Reports what the driver and its compiler said.</summary>
    /// <param name="module">The module's name, for the message.</param>
    /// <param name="error">The call and its error.</param>
    /// <param name="log">The compiler's error log, or its information log if that is empty.</param>
    /// <param name="device">The device and the driver that were to run it, for the message; null to leave them out.</param>
    public CudaModuleException(string module, CudaError error, string log, string? device = null)
        : base(error, Explain(module, FaultOf(error.Code), log, device))
    {
        Fault = FaultOf(error.Code);
        Log = log;
    }

    /// <summary>Why the module was not loaded.</summary>
    public CudaModuleFault Fault { get; }

    /// <summary>What the driver's compiler said; empty if nothing.</summary>
    public string Log { get; }

    private static CudaModuleFault FaultOf(int code) => code switch
    {
        CudaResult.NoBinaryForGpu => CudaModuleFault.WrongArchitecture,
        CudaResult.InvalidPtx => CudaModuleFault.InvalidPtx,
        CudaResult.UnsupportedPtxVersion => CudaModuleFault.UnsupportedPtxVersion,
        CudaResult.JitCompilerNotFound => CudaModuleFault.NoCompiler,
        _ => CudaModuleFault.Other,
    };

    private static string Explain(string module, CudaModuleFault fault, string log, string? device)
    {
        string reason = fault switch
        {
            CudaModuleFault.WrongArchitecture => " has no code for this device's architecture: choose PTX for an older target.",
            CudaModuleFault.InvalidPtx => " is not PTX that the driver's compiler accepts for this device.",
            CudaModuleFault.UnsupportedPtxVersion => " uses a PTX version newer than the driver: update the NVIDIA driver.",
            CudaModuleFault.NoCompiler => " cannot be compiled: libnvidia-ptxjitcompiler is missing, so install all of the NVIDIA driver (in a container, its compute part).",
            _ => " was not loaded.",
        };
        return $"Module '{module}'{reason}{(device is null ? "" : $" It was for {device}.")}{(log.Length == 0 ? "" : $" The compiler said: {log}")}";
    }
}
