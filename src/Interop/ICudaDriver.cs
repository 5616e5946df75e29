namespace KernelAD.Interop;

/// <summary>
/// The device boundary: what the engine asks of a CUDA driver, and what an emulator offers in its place. Members that make something in a context also make
/// that context current on the calling thread; all others need it to be current (<see cref="MakeCurrent"/>). Lengths and offsets are in bytes. Work given to a
/// stream is asynchronous: its memory has to stay allocated until the stream is done, and its failure may be reported by any later call. Every member but the
/// destroying ones throws a <see cref="CudaException"/> when the driver reports an error, and <see cref="ObjectDisposedException"/> for a disposed handle.
/// </summary>
public interface ICudaDriver
{
    /// <summary>The newest CUDA version that the driver supports.</summary>
    Version Version { get; }

    /// <summary>What each visible device is; never empty.</summary>
    IReadOnlyList<CudaDevice> Devices { get; }

    /// <summary>Takes a reference to a device's primary context and makes it current on the calling thread.</summary>
    /// <param name="device">The device's ordinal.</param>
    /// <exception cref="CudaNotAvailableException">There is no such device.</exception>
    CudaContext RetainPrimaryContext(int device);

    /// <summary>Makes a context current on the calling thread.</summary>
    /// <param name="context">The context.</param>
    void MakeCurrent(CudaContext context);

    /// <summary>How much memory the current context's device has.</summary>
    CudaMemoryInfo MemoryInfo();

    /// <summary>Allocates device memory, aligned to 256 bytes at least; its contents are undefined.</summary>
    /// <param name="context">The context to live in.</param>
    /// <param name="length">Length in bytes, at least 1.</param>
    /// <exception cref="CudaOutOfMemoryException">The device has not that much.</exception>
    DeviceMemory AllocateDevice(CudaContext context, long length);

    /// <summary>Allocates page-locked host memory; its contents are undefined.</summary>
    /// <param name="context">The context to live in.</param>
    /// <param name="length">Length in bytes, at least 1.</param>
    /// <exception cref="CudaOutOfMemoryException">The host cannot lock that much.</exception>
    PinnedMemory AllocatePinned(CudaContext context, int length);

    /// <summary>Copies from the host to the device.</summary>
    /// <param name="destination">Where to, on the device.</param>
    /// <param name="source">Where from, on the host; the copy overlaps with other work only from pinned memory.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="stream">The stream that does it.</param>
    void CopyToDevice(DeviceAddress destination, nint source, long length, CudaStream stream);

    /// <summary>Copies from the device to the host.</summary>
    /// <param name="destination">Where to, on the host; the copy overlaps with other work only to pinned memory.</param>
    /// <param name="source">Where from, on the device.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="stream">The stream that does it.</param>
    void CopyToHost(nint destination, DeviceAddress source, long length, CudaStream stream);

    /// <summary>Copies within the device; the two ranges must not overlap.</summary>
    /// <param name="destination">Where to.</param>
    /// <param name="source">Where from.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="stream">The stream that does it.</param>
    void CopyOnDevice(DeviceAddress destination, DeviceAddress source, long length, CudaStream stream);

    /// <summary>Sets device memory to one byte's value.</summary>
    /// <param name="destination">Where to.</param>
    /// <param name="value">The value of each byte.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="stream">The stream that does it.</param>
    void Fill(DeviceAddress destination, byte value, long length, CudaStream stream);

    /// <summary>Creates a stream that does not wait for the default stream.</summary>
    /// <param name="context">The context to live in.</param>
    CudaStream CreateStream(CudaContext context);

    /// <summary>Waits until a stream's work is done.</summary>
    /// <param name="stream">The stream.</param>
    void Synchronize(CudaStream stream);

    /// <summary>Lets a stream's later work wait for an event's latest record.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="awaited">The event.</param>
    void Wait(CudaStream stream, CudaEvent awaited);

    /// <summary>Creates an event.</summary>
    /// <param name="context">The context to live in.</param>
    /// <param name="timing">Whether it takes the time too, which makes it slower.</param>
    CudaEvent CreateEvent(CudaContext context, bool timing);

    /// <summary>Marks the end of the work that a stream has got so far.</summary>
    /// <param name="mark">The event.</param>
    /// <param name="stream">The stream.</param>
    void Record(CudaEvent mark, CudaStream stream);

    /// <summary>Waits until an event's latest record is reached.</summary>
    /// <param name="mark">The event.</param>
    void Synchronize(CudaEvent mark);

    /// <summary>Milliseconds between two reached events that take the time.</summary>
    /// <param name="start">The earlier one.</param>
    /// <param name="end">The later one.</param>
    float ElapsedMilliseconds(CudaEvent start, CudaEvent end);

    /// <summary>Compiles PTX for the context's device and loads it.</summary>
    /// <param name="context">The context to live in.</param>
    /// <param name="name">The module's name, for messages.</param>
    /// <param name="ptx">The PTX text.</param>
    /// <exception cref="CudaModuleException">The PTX does not suit the driver or the device; carries the compiler's log.</exception>
    CudaModule LoadModule(CudaContext context, string name, string ptx);

    /// <summary>Finds a kernel in a module.</summary>
    /// <param name="module">The module.</param>
    /// <param name="entry">The entry's name in the PTX.</param>
    CudaFunction GetFunction(CudaModule module, string entry);

    /// <summary>What the driver's compiler made of a kernel.</summary>
    /// <param name="function">The kernel.</param>
    CudaFunctionInfo FunctionInfo(CudaFunction function);

    /// <summary>Lets a kernel be launched with more dynamic shared memory than the 48 KB that every kernel may have.</summary>
    /// <param name="function">The kernel.</param>
    /// <param name="length">The most bytes a block will ask for; at most <see cref="CudaDevice.MaxSharedMemoryPerBlock"/>.</param>
    void AllowDynamicSharedMemory(CudaFunction function, int length);

    /// <summary>Launches a kernel.</summary>
    /// <param name="function">The kernel.</param>
    /// <param name="grid">How many blocks.</param>
    /// <param name="block">How many threads a block.</param>
    /// <param name="sharedMemory">Dynamic shared memory of a block, in bytes.</param>
    /// <param name="stream">The stream that does it.</param>
    /// <param name="parameters">For each of the kernel's parameters the address of its value, which is read during the call.</param>
    void Launch(CudaFunction function, LaunchSize grid, LaunchSize block, int sharedMemory, CudaStream stream, ReadOnlySpan<nint> parameters);

    /// <summary>Lets a stream record the work it gets from now on instead of doing it. Other threads are not hindered.</summary>
    /// <param name="stream">The stream.</param>
    void BeginCapture(CudaStream stream);

    /// <summary>Ends a recording.</summary>
    /// <param name="stream">The stream that records.</param>
    CudaGraph EndCapture(CudaStream stream);

    /// <summary>Makes recorded work ready to be launched. The graph is not needed afterwards.</summary>
    /// <param name="graph">The recorded work.</param>
    CudaGraphExecutable Instantiate(CudaGraph graph);

    /// <summary>Launches recorded work.</summary>
    /// <param name="graph">The recorded work.</param>
    /// <param name="stream">The stream that does it.</param>
    void Launch(CudaGraphExecutable graph, CudaStream stream);

    /// <summary>Gives back a reference to a primary context. Called by <see cref="CudaContext"/>; never throws.</summary>
    /// <param name="device">The device's ordinal.</param>
    /// <returns>Whether the driver reported success, as for all members below.</returns>
    bool ReleasePrimaryContext(int device);

    /// <summary>Frees device memory. Called by <see cref="DeviceMemory"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context that the object lives in, as for all members below.</param>
    /// <param name="address">The memory's first byte.</param>
    bool FreeDevice(nint context, DeviceAddress address);

    /// <summary>Frees page-locked host memory. Called by <see cref="PinnedMemory"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="address">The memory's first byte.</param>
    bool FreePinned(nint context, nint address);

    /// <summary>Destroys a stream. Called by <see cref="CudaStream"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="stream">The stream.</param>
    bool DestroyStream(nint context, nint stream);

    /// <summary>Destroys an event. Called by <see cref="CudaEvent"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="mark">The event.</param>
    bool DestroyEvent(nint context, nint mark);

    /// <summary>Unloads a module. Called by <see cref="CudaModule"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="module">The module.</param>
    bool UnloadModule(nint context, nint module);

    /// <summary>Destroys a graph. Called by <see cref="CudaGraph"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="graph">The graph.</param>
    bool DestroyGraph(nint context, nint graph);

    /// <summary>Destroys an instantiated graph. Called by <see cref="CudaGraphExecutable"/>, on any thread; never throws.</summary>
    /// <param name="context">The native context.</param>
    /// <param name="graph">The instantiated graph.</param>
    bool DestroyGraphExecutable(nint context, nint graph);
}
