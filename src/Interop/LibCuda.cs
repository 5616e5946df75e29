using System.Runtime.InteropServices;

namespace KernelAD.Interop;

/// <summary>
/// The entry points of one loaded driver library, under their exported names and with the C signatures of <c>cuda.h</c>: handles are <c>nint</c>, <c>size_t</c>
/// is <c>nuint</c>, <c>CUdeviceptr</c> is <c>ulong</c>, <c>CUdevice</c>, enumerations and the returned <c>CUresult</c> are <c>int</c>. The library stays
/// loaded, because handles that are finalised late still call into it.
/// </summary>
internal sealed unsafe class LibCuda
{
    internal readonly delegate* unmanaged<int*, int> cuDriverGetVersion;
    internal readonly delegate* unmanaged<int, byte**, int> cuGetErrorName;
    internal readonly delegate* unmanaged<int, byte**, int> cuGetErrorString;
    internal readonly delegate* unmanaged<uint, int> cuInit;
    internal readonly delegate* unmanaged<int*, int> cuDeviceGetCount;
    internal readonly delegate* unmanaged<int*, int, int> cuDeviceGet;
    internal readonly delegate* unmanaged<byte*, int, int, int> cuDeviceGetName;
    internal readonly delegate* unmanaged<nuint*, int, int> cuDeviceTotalMem_v2;
    internal readonly delegate* unmanaged<int*, int, int, int> cuDeviceGetAttribute;
    internal readonly delegate* unmanaged<nint*, int, int> cuDevicePrimaryCtxRetain;
    internal readonly delegate* unmanaged<int, int> cuDevicePrimaryCtxRelease_v2;
    internal readonly delegate* unmanaged<nint, int> cuCtxSetCurrent;
    internal readonly delegate* unmanaged<nint, int> cuCtxPushCurrent_v2;
    internal readonly delegate* unmanaged<nint*, int> cuCtxPopCurrent_v2;
    internal readonly delegate* unmanaged<nuint*, nuint*, int> cuMemGetInfo_v2;
    internal readonly delegate* unmanaged<ulong*, nuint, int> cuMemAlloc_v2;
    internal readonly delegate* unmanaged<ulong, int> cuMemFree_v2;
    internal readonly delegate* unmanaged<nint*, nuint, uint, int> cuMemHostAlloc;
    internal readonly delegate* unmanaged<nint, int> cuMemFreeHost;
    internal readonly delegate* unmanaged<ulong, nint, nuint, nint, int> cuMemcpyHtoDAsync_v2;
    internal readonly delegate* unmanaged<nint, ulong, nuint, nint, int> cuMemcpyDtoHAsync_v2;
    internal readonly delegate* unmanaged<ulong, ulong, nuint, nint, int> cuMemcpyDtoDAsync_v2;
    internal readonly delegate* unmanaged<ulong, byte, nuint, nint, int> cuMemsetD8Async;
    internal readonly delegate* unmanaged<nint*, uint, int> cuStreamCreate;
    internal readonly delegate* unmanaged<nint, int> cuStreamSynchronize;
    internal readonly delegate* unmanaged<nint, nint, uint, int> cuStreamWaitEvent;
    internal readonly delegate* unmanaged<nint, int> cuStreamDestroy_v2;
    internal readonly delegate* unmanaged<nint*, uint, int> cuEventCreate;
    internal readonly delegate* unmanaged<nint, nint, int> cuEventRecord;
    internal readonly delegate* unmanaged<nint, int> cuEventSynchronize;
    internal readonly delegate* unmanaged<float*, nint, nint, int> cuEventElapsedTime;
    internal readonly delegate* unmanaged<nint, int> cuEventDestroy_v2;
    internal readonly delegate* unmanaged<nint*, byte*, uint, int*, nint*, int> cuModuleLoadDataEx;
    internal readonly delegate* unmanaged<nint*, nint, byte*, int> cuModuleGetFunction;
    internal readonly delegate* unmanaged<nint, int> cuModuleUnload;
    internal readonly delegate* unmanaged<int*, int, nint, int> cuFuncGetAttribute;
    internal readonly delegate* unmanaged<nint, int, int, int> cuFuncSetAttribute;
    internal readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, nint*, nint*, int> cuLaunchKernel;
    internal readonly delegate* unmanaged<nint, int, int> cuStreamBeginCapture_v2;
    internal readonly delegate* unmanaged<nint, nint*, int> cuStreamEndCapture;
    internal readonly delegate* unmanaged<nint*, nint, nint*, byte*, nuint, int> cuGraphInstantiate_v2;
    internal readonly delegate* unmanaged<nint, nint, int> cuGraphLaunch;
    internal readonly delegate* unmanaged<nint, int> cuGraphDestroy;
    internal readonly delegate* unmanaged<nint, int> cuGraphExecDestroy;

    private readonly nint _library;
    private readonly string _path;

    /// <summary>Resolves every entry point.</summary>
    /// <exception cref="CudaNotAvailableException">The library is not a CUDA driver, or one older than <see cref="CudaDriver.MinimumVersion"/>.</exception>
    public LibCuda(nint library, string path)
    {
        _library = library;
        _path = path;
        cuDriverGetVersion = (delegate* unmanaged<int*, int>)Entry(nameof(cuDriverGetVersion));
        cuGetErrorName = (delegate* unmanaged<int, byte**, int>)Entry(nameof(cuGetErrorName));
        cuGetErrorString = (delegate* unmanaged<int, byte**, int>)Entry(nameof(cuGetErrorString));
        // Asked before the other entry points are resolved: an old driver lacks some of them, and its age is the better message.
        Version = ReadVersion();
        cuInit = (delegate* unmanaged<uint, int>)Entry(nameof(cuInit));
        cuDeviceGetCount = (delegate* unmanaged<int*, int>)Entry(nameof(cuDeviceGetCount));
        cuDeviceGet = (delegate* unmanaged<int*, int, int>)Entry(nameof(cuDeviceGet));
        cuDeviceGetName = (delegate* unmanaged<byte*, int, int, int>)Entry(nameof(cuDeviceGetName));
        cuDeviceTotalMem_v2 = (delegate* unmanaged<nuint*, int, int>)Entry(nameof(cuDeviceTotalMem_v2));
        cuDeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Entry(nameof(cuDeviceGetAttribute));
        cuDevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)Entry(nameof(cuDevicePrimaryCtxRetain));
        cuDevicePrimaryCtxRelease_v2 = (delegate* unmanaged<int, int>)Entry(nameof(cuDevicePrimaryCtxRelease_v2));
        cuCtxSetCurrent = (delegate* unmanaged<nint, int>)Entry(nameof(cuCtxSetCurrent));
        cuCtxPushCurrent_v2 = (delegate* unmanaged<nint, int>)Entry(nameof(cuCtxPushCurrent_v2));
        cuCtxPopCurrent_v2 = (delegate* unmanaged<nint*, int>)Entry(nameof(cuCtxPopCurrent_v2));
        cuMemGetInfo_v2 = (delegate* unmanaged<nuint*, nuint*, int>)Entry(nameof(cuMemGetInfo_v2));
        cuMemAlloc_v2 = (delegate* unmanaged<ulong*, nuint, int>)Entry(nameof(cuMemAlloc_v2));
        cuMemFree_v2 = (delegate* unmanaged<ulong, int>)Entry(nameof(cuMemFree_v2));
        cuMemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)Entry(nameof(cuMemHostAlloc));
        cuMemFreeHost = (delegate* unmanaged<nint, int>)Entry(nameof(cuMemFreeHost));
        cuMemcpyHtoDAsync_v2 = (delegate* unmanaged<ulong, nint, nuint, nint, int>)Entry(nameof(cuMemcpyHtoDAsync_v2));
        cuMemcpyDtoHAsync_v2 = (delegate* unmanaged<nint, ulong, nuint, nint, int>)Entry(nameof(cuMemcpyDtoHAsync_v2));
        cuMemcpyDtoDAsync_v2 = (delegate* unmanaged<ulong, ulong, nuint, nint, int>)Entry(nameof(cuMemcpyDtoDAsync_v2));
        cuMemsetD8Async = (delegate* unmanaged<ulong, byte, nuint, nint, int>)Entry(nameof(cuMemsetD8Async));
        cuStreamCreate = (delegate* unmanaged<nint*, uint, int>)Entry(nameof(cuStreamCreate));
        cuStreamSynchronize = (delegate* unmanaged<nint, int>)Entry(nameof(cuStreamSynchronize));
        cuStreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)Entry(nameof(cuStreamWaitEvent));
        cuStreamDestroy_v2 = (delegate* unmanaged<nint, int>)Entry(nameof(cuStreamDestroy_v2));
        cuEventCreate = (delegate* unmanaged<nint*, uint, int>)Entry(nameof(cuEventCreate));
        cuEventRecord = (delegate* unmanaged<nint, nint, int>)Entry(nameof(cuEventRecord));
        cuEventSynchronize = (delegate* unmanaged<nint, int>)Entry(nameof(cuEventSynchronize));
        cuEventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)Entry(nameof(cuEventElapsedTime));
        cuEventDestroy_v2 = (delegate* unmanaged<nint, int>)Entry(nameof(cuEventDestroy_v2));
        cuModuleLoadDataEx = (delegate* unmanaged<nint*, byte*, uint, int*, nint*, int>)Entry(nameof(cuModuleLoadDataEx));
        cuModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Entry(nameof(cuModuleGetFunction));
        cuModuleUnload = (delegate* unmanaged<nint, int>)Entry(nameof(cuModuleUnload));
        cuFuncGetAttribute = (delegate* unmanaged<int*, int, nint, int>)Entry(nameof(cuFuncGetAttribute));
        cuFuncSetAttribute = (delegate* unmanaged<nint, int, int, int>)Entry(nameof(cuFuncSetAttribute));
        cuLaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, nint*, nint*, int>)Entry(nameof(cuLaunchKernel));
        cuStreamBeginCapture_v2 = (delegate* unmanaged<nint, int, int>)Entry(nameof(cuStreamBeginCapture_v2));
        cuStreamEndCapture = (delegate* unmanaged<nint, nint*, int>)Entry(nameof(cuStreamEndCapture));
        cuGraphInstantiate_v2 = (delegate* unmanaged<nint*, nint, nint*, byte*, nuint, int>)Entry(nameof(cuGraphInstantiate_v2));
        cuGraphLaunch = (delegate* unmanaged<nint, nint, int>)Entry(nameof(cuGraphLaunch));
        cuGraphDestroy = (delegate* unmanaged<nint, int>)Entry(nameof(cuGraphDestroy));
        cuGraphExecDestroy = (delegate* unmanaged<nint, int>)Entry(nameof(cuGraphExecDestroy));
    }

    /// <summary>The newest CUDA version that the driver supports.</summary>
    public Version Version { get; }

    /// <summary>Puts a failed call into words.</summary>
    public CudaError Error(string call, int code) =>
        new(call, code, Text(cuGetErrorName, code) ?? "an unknown error", Text(cuGetErrorString, code) ?? "the driver has no text for it");

    /// <summary>The error of a call that starts the driver, and what to do about it.</summary>
    public CudaNotAvailableException Unavailable(string call, int code) => new(Error(call, code), code switch
    {
        CudaResult.NoDevice => "Check that nvidia-smi lists a device and that CUDA_VISIBLE_DEVICES does not hide it.",
        CudaResult.StubLibrary => $"{_path} is the CUDA toolkit's library for linking: put the NVIDIA driver's own first in the library path.",
        CudaResult.SystemDriverMismatch => $"{_path} is of another version than the running driver: restart the machine, or install the driver again.",
        _ => $"Check with nvidia-smi that the NVIDIA driver works; its library here is {_path}.",
    });

    private static string? Text(delegate* unmanaged<int, byte**, int> describe, int code)
    {
        byte* text = null;
        return describe(code, &text) == CudaResult.Success ? Marshal.PtrToStringUTF8((nint)text) : null;
    }

    private Version ReadVersion()
    {
        int number;
        int code = cuDriverGetVersion(&number);
        if (code != CudaResult.Success)
        {
            throw Unavailable(nameof(cuDriverGetVersion), code);
        }

        // 12040 is CUDA 12.4.
        Version version = new(number / 1000, number % 1000 / 10);
        return version >= CudaDriver.MinimumVersion ? version : throw new CudaNotAvailableException(
            $"The NVIDIA driver is too old: {_path} supports CUDA {version}, and CUDA {CudaDriver.MinimumVersion} is the least. Update the NVIDIA driver.");
    }

    private nint Entry(string name) => NativeLibrary.TryGetExport(_library, name, out nint address) ? address : throw new CudaNotAvailableException(
        $"{_path} has no function {name}: it is not an NVIDIA driver, or one too old. Install an NVIDIA driver for CUDA {CudaDriver.MinimumVersion} or newer.");
}
