namespace KernelAD.Interop;

/// <summary>The <c>CUresult</c> codes that KernelAD tells apart.</summary>
public static class CudaResult
{
    /// <summary>The call did what it should.</summary>
    public const int Success = 0;

    /// <summary>An argument was not acceptable.</summary>
    public const int InvalidValue = 1;

    /// <summary>Neither the device nor the host had the memory.</summary>
    public const int OutOfMemory = 2;

    /// <summary>The library is the toolkit's link-time stub instead of a driver.</summary>
    public const int StubLibrary = 34;

    /// <summary>No device is visible to this process.</summary>
    public const int NoDevice = 100;

    /// <summary>A module has no code for the device's architecture.</summary>
    public const int NoBinaryForGpu = 209;

    /// <summary>The device's memory had an error that it could not correct.</summary>
    public const int EccUncorrectable = 214;

    /// <summary>The driver's compiler refused the PTX.</summary>
    public const int InvalidPtx = 218;

    /// <summary>The driver's compiler for PTX is not installed.</summary>
    public const int JitCompilerNotFound = 221;

    /// <summary>The PTX's <c>.version</c> is newer than the driver.</summary>
    public const int UnsupportedPtxVersion = 222;

    /// <summary>A name was not found, e.g. a kernel's in a module.</summary>
    public const int NotFound = 500;

    /// <summary>A kernel read or wrote memory that is not allocated.</summary>
    public const int IllegalAddress = 700;

    /// <summary>A kernel ran longer than the system allows on a device that also draws the screen.</summary>
    public const int LaunchTimeout = 702;

    /// <summary>A kernel executed a <c>trap</c>.</summary>
    public const int Assert = 710;

    /// <summary>The first of the faults that the hardware reports of a kernel; <see cref="LaunchFailed"/> is the last.</summary>
    public const int HardwareStackError = 714;

    /// <summary>A kernel's address was not a multiple of the size of what it accessed.</summary>
    public const int MisalignedAddress = 716;

    /// <summary>A kernel failed in a way that has no code of its own.</summary>
    public const int LaunchFailed = 719;

    /// <summary>The library and the driver's kernel module are of different versions.</summary>
    public const int SystemDriverMismatch = 803;

    /// <summary>Whether a code stands for a kernel's fault, after which nothing can be done in the context any more.</summary>
    /// <param name="code">The <c>CUresult</c>.</param>
    public static bool LosesContext(int code) => code is EccUncorrectable or IllegalAddress or LaunchTimeout or Assert or (>= HardwareStackError and <= LaunchFailed);
}
