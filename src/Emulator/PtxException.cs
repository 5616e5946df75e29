using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>PTX text that is malformed, or that uses what the emulated device or the emulator does not have.</summary>
public sealed class PtxException : Exception
{
    /// <summary>Reports what was found where.</summary>
    /// <param name="module">The module's name.</param>
    /// <param name="line">The line, from 1.</param>
    /// <param name="found">What is there.</param>
    /// <param name="expected">What should be there.</param>
    /// <param name="fault">Why a driver would not load the module.</param>
    public PtxException(string module, int line, string found, string expected, CudaModuleFault fault = CudaModuleFault.InvalidPtx)
        : base($"PTX '{module}', line {line}: found {found}; expected {expected}.")
    {
        Module = module;
        Line = line;
        Found = found;
        Expected = expected;
        Fault = fault;
    }

    /// <summary>The module's name.</summary>
    public string Module { get; }

    /// <summary>The line, from 1.</summary>
    public int Line { get; }

    /// <summary>What is there.</summary>
    public string Found { get; }

    /// <summary>What should be there.</summary>
    public string Expected { get; }

    /// <summary>Why a driver would not load the module.</summary>
    public CudaModuleFault Fault { get; }
}
