using KernelAD.Interop;
using Microsoft.Extensions.Logging;

namespace KernelAD;

/// <summary>Arithmetic of a plan.</summary>
public enum Precision
{
    /// <summary>float32 throughout, results within the golden tolerances. The only one on the CPU.</summary>
    Fp32,

    /// <summary>Matrix products and attention on tensor cores in tf32; CUDA devices from sm_80 on.</summary>
    Tf32,

    /// <summary>Matrix products and attention on tensor cores in fp16 with fp32 accumulation; CUDA devices.</summary>
    Fp16,
}

/// <summary>How a detector runs.</summary>
public sealed record DetectorOptions
{
    /// <summary>
    /// "auto", "cpu", "cuda" or "cuda:N". "auto" is a CUDA device if there is a driver with one that can run this build's kernels, otherwise the CPU. The
    /// choice is reported by
    /// <see cref="AnomalyDetector.Device"/>; a device that was asked for and is not there is an error, never replaced.
    /// </summary>
    public string Device { get; init; } = "auto";

    /// <summary>The CUDA driver to use in place of the system's, an emulator for instance; null: NVIDIA's, loaded when a CUDA device may be used.</summary>
    public ICudaDriver? Driver { get; init; }

    /// <summary>Arithmetic; the CPU knows <see cref="Precision.Fp32"/> only.</summary>
    public Precision Precision { get; init; } = Precision.Fp32;

    /// <summary>
    /// Threads that one call may use on the CPU; null: one per processor; cut down to the number of processors, or 16 if that is more. Results do not
    /// depend on it.
    /// </summary>
    public int? Threads { get; init; }

    /// <summary>
    /// Bytes that packed weights and the activations of one call may take together; null: the memory that the process may use. InTra cuts its windows
    /// into as many portions as this
    /// asks for; results do not depend on it.
    /// </summary>
    public long? MaxMemoryBytes { get; init; }

    /// <summary>
    /// Calls of one kind (batch size and intermediates) that may run at the same time, each with activation memory of its own; further ones wait. Null:
    /// one per processor.
    /// </summary>
    public int? MaxConcurrency { get; init; }

    /// <summary>Decision threshold in units of the raw score, overriding the model file's. A score at or above it is anomalous.</summary>
    public double? Threshold { get; init; }

    /// <summary>Whether the model file's calibration counts. Without it there is no threshold but <see cref="Threshold"/>.</summary>
    public bool UseCalibration { get; init; } = true;

    /// <summary>Receives diagnostics; null: none.</summary>
    public ILogger? Logger { get; init; }
}
