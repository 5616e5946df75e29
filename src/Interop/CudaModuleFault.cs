namespace KernelAD.Interop;

/// <summary>Why a module was not loaded.</summary>
public enum CudaModuleFault
{
    /// <summary>Another reason: see the error and the log.</summary>
    Other,

    /// <summary>The PTX's <c>.target</c> needs a newer device.</summary>
    WrongArchitecture,

    /// <summary>The driver's compiler refused the PTX; the log names the line.</summary>
    InvalidPtx,

    /// <summary>The PTX's <c>.version</c> needs a newer driver.</summary>
    UnsupportedPtxVersion,

    /// <summary>The driver has no compiler for PTX: a part of it is not installed.</summary>
    NoCompiler,
}
