using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>The driver's results: <see cref="CudaResult"/>'s, those that only a driver needs, and cuda.h's names and texts of all.</summary>
internal static class DriverResult
{
    /// <summary>No context, or a dead one, is current on the calling thread.</summary>
    public const int InvalidContext = 201;

    /// <summary>A handle does not stand for what the call needs.</summary>
    public const int InvalidHandle = 400;

    /// <summary>The call is not possible in the object's present state.</summary>
    public const int IllegalState = 401;

    /// <summary>An event is not reached.</summary>
    public const int NotReady = 600;

    /// <summary>The call cannot be recorded.</summary>
    public const int CaptureUnsupported = 900;

    /// <summary>The recording is spoilt by an earlier error.</summary>
    public const int CaptureInvalidated = 901;

    /// <summary>Two recordings would become one.</summary>
    public const int CaptureMerge = 902;

    /// <summary>A recording was to end in another stream than it began in.</summary>
    public const int CaptureUnmatched = 903;

    /// <summary>A recording was to end while work in another stream is not waited for.</summary>
    public const int CaptureUnjoined = 904;

    /// <summary>Recorded work would wait for work that is not recorded.</summary>
    public const int CaptureIsolation = 905;

    /// <summary>An event stands for recorded work, not for done work.</summary>
    public const int CapturedEvent = 907;

    /// <summary>A recording was to end on another thread than it began on.</summary>
    public const int CaptureWrongThread = 908;

    private static readonly Dictionary<int, (string Name, string Text)> Known = new()
    {
        [CudaResult.InvalidValue] = ("CUDA_ERROR_INVALID_VALUE", "invalid argument"),
        [CudaResult.OutOfMemory] = ("CUDA_ERROR_OUT_OF_MEMORY", "out of memory"),
        [InvalidContext] = ("CUDA_ERROR_INVALID_CONTEXT", "invalid device context"),
        [CudaResult.NoBinaryForGpu] = ("CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"),
        [CudaResult.InvalidPtx] = ("CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"),
        [CudaResult.UnsupportedPtxVersion] = ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain"),
        [InvalidHandle] = ("CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"),
        [IllegalState] = ("CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"),
        [CudaResult.NotFound] = ("CUDA_ERROR_NOT_FOUND", "named symbol not found"),
        [NotReady] = ("CUDA_ERROR_NOT_READY", "device not ready"),
        [CudaResult.IllegalAddress] = ("CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"),
        [CudaResult.LaunchTimeout] = ("CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"),
        [CudaResult.Assert] = ("CUDA_ERROR_ASSERT", "device-side assert triggered"),
        [CudaResult.MisalignedAddress] = ("CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"),
        [CudaResult.LaunchFailed] = ("CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"),
        [CaptureUnsupported] = ("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"),
        [CaptureInvalidated] = ("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"),
        [CaptureMerge] = ("CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"),
        [CaptureUnmatched] = ("CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"),
        [CaptureUnjoined] = ("CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"),
        [CaptureIsolation] = ("CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"),
        [CapturedEvent] = ("CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"),
        [CaptureWrongThread] = ("CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"),
    };

    /// <summary>What a failed call says.</summary>
    /// <param name="call">The driver function's exported name.</param>
    /// <param name="code">The <c>CUresult</c>, one of those here or in <see cref="CudaResult"/>.</param>
    public static CudaError Error(string call, int code)
    {
        (string name, string text) = Known[code];
        return new CudaError(call, code, name, text);
    }
}
