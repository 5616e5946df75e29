using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>A kernel did what it must not do.</summary>
public sealed class EmulatorFaultException : Exception
{
    /// <summary>Reports what was found.</summary>
    /// <param name="findings">The faults in the order of their blocks, one at least.</param>
    public EmulatorFaultException(IReadOnlyList<Finding> findings)
        : base(Explain(findings)) => Findings = findings;

    /// <summary>The faults, one at least. Faults of the same kind at the same PTX line are reported once.</summary>
    public IReadOnlyList<Finding> Findings { get; }

    /// <summary>The <c>CUresult</c> that a GPU would answer with.</summary>
    public int ResultCode => Findings[0].Kind switch
    {
        FindingKind.OutOfBounds or FindingKind.UseAfterFree or FindingKind.WrongAddressSpace or FindingKind.ReadOnly => CudaResult.IllegalAddress,
        FindingKind.Misaligned => CudaResult.MisalignedAddress,
        FindingKind.Trap => CudaResult.Assert,
        FindingKind.Watchdog or FindingKind.Deadlock => CudaResult.LaunchTimeout,
        _ => CudaResult.LaunchFailed,
    };

    private static string Explain(IReadOnlyList<Finding> findings)
    {
        ArgumentOutOfRangeException.ThrowIfZero(findings.Count);
        return findings.Count == 1 ? findings[0].ToString() : $"{findings[0]} ({findings.Count} findings in all.)";
    }
}
