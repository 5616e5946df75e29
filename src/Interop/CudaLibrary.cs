using System.Runtime.InteropServices;

namespace KernelAD.Interop;

/// <summary>Finds the driver's library.</summary>
internal static class CudaLibrary
{
    /// <summary>Environment variable that names the library's file, instead of the usual places.</summary>
    public const string Variable = "KERNELAD_LIBCUDA";

    /// <summary>Where the driver's library is looked for, in this order.</summary>
    public static IReadOnlyList<string> Candidates { get; } = OperatingSystem.IsWindows()
        ? ["nvcuda.dll"]
        : ["libcuda.so.1", "libcuda.so", "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1", "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1",
            "/usr/lib/wsl/lib/libcuda.so.1"];

    /// <summary>Loads the file that <see cref="Variable"/> names, or else the first candidate there is.</summary>
    /// <exception cref="CudaNotAvailableException">There is none, or it is not a driver that can be used.</exception>
    public static LibCuda Open(IReadOnlyList<string> candidates)
    {
        string? named = Environment.GetEnvironmentVariable(Variable);
        if (!string.IsNullOrEmpty(named))
        {
            return OpenFile(named);
        }

        foreach (string candidate in candidates)
        {
            if (NativeLibrary.TryLoad(candidate, out nint library))
            {
                return new LibCuda(library, candidate);
            }
        }

        throw new CudaNotAvailableException(
            $"No NVIDIA driver: none of {string.Join(", ", candidates)} can be loaded. Install the NVIDIA driver, for CUDA {CudaDriver.MinimumVersion} or newer.");
    }

    private static LibCuda OpenFile(string path)
    {
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new CudaNotAvailableException(
                $"{Variable} names '{path}', which cannot be loaded: correct the variable, or unset it to look for the driver in the usual places.");
        }

        return new LibCuda(library, path);
    }
}
