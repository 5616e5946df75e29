using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Memory and copies.</summary>
public unsafe partial class EmulatedDriver
{
    private const int PinnedAlignment = 4096;

    /// <inheritdoc/>
    public CudaMemoryInfo MemoryInfo()
    {
        lock (_lock)
        {
            Enter("cuMemGetInfo_v2");
            return MemoryNow();
        }
    }

    /// <inheritdoc/>
    public DeviceMemory AllocateDevice(CudaContext context, long length)
    {
        const string Call = "cuMemAlloc_v2";
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, Call);
            RefuseWhileCapturing(Call);
            ulong address = _device.Memory.Allocate(length);
            if (address == 0)
            {
                CudaMemoryInfo memory = MemoryNow();
                string advice = $"{length} bytes were asked for on {Devices[0].Name}. Of its {memory.Total} bytes {memory.Free} are free.";
                throw new CudaOutOfMemoryException(DriverResult.Error(Call, CudaResult.OutOfMemory), advice, length, memory);
            }

            _allocations++;
            return new DeviceMemory(this, context, (nint)address, length);
        }
    }

    /// <inheritdoc/>
    public PinnedMemory AllocatePinned(CudaContext context, int length)
    {
        const string Call = "cuMemHostAlloc";
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, Call);
            RefuseWhileCapturing(Call);
            nint address;
            try
            {
                address = (nint)NativeMemory.AlignedAlloc((nuint)length, PinnedAlignment);
            }
            catch (OutOfMemoryException)
            {
                string advice = $"{length} bytes of pinned host memory were asked for.";
                throw new CudaOutOfMemoryException(DriverResult.Error(Call, CudaResult.OutOfMemory), advice, length);
            }

            _pinned.Add(address, length);
            return new PinnedMemory(this, context, address, length);
        }
    }

    /// <inheritdoc/>
    public void CopyToDevice(DeviceAddress destination, nint source, long length, CudaStream stream)
    {
        const string Call = "cuMemcpyHtoDAsync_v2";
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            CheckDevice(destination, length, Call);
            bool isPinned = CheckHost(source, length, queue, Call);
            byte[]? snapshot = isPinned ? null : new ReadOnlySpan<byte>((void*)source, checked((int)length)).ToArray();
            Submit(queue, new StreamWork.CopyIn(destination.Value, source, snapshot, length), Call);
        }
    }

    /// <inheritdoc/>
    public void CopyToHost(nint destination, DeviceAddress source, long length, CudaStream stream)
    {
        const string Call = "cuMemcpyDtoHAsync_v2";
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            CheckDevice(source, length, Call);
            bool isPinned = CheckHost(destination, length, queue, Call);
            Submit(queue, new StreamWork.CopyOut(destination, source.Value, length), Call);
            if (!isPinned)
            {
                // As NVIDIA's driver: such a copy is done when the call returns.
                _device.Drain(queue);
                ThrowIfLost(Call);
            }
        }
    }

    /// <inheritdoc/>
    public void CopyOnDevice(DeviceAddress destination, DeviceAddress source, long length, CudaStream stream)
    {
        const string Call = "cuMemcpyDtoDAsync_v2";
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            CheckDevice(destination, length, Call);
            CheckDevice(source, length, Call);
            ulong distance = destination.Value > source.Value ? destination.Value - source.Value : source.Value - destination.Value;
            if (distance < (ulong)length)
            {
                throw Failure(Call, CudaResult.InvalidValue, $"The {length} bytes at {source} and at {destination} overlap.");
            }

            Submit(queue, new StreamWork.Copy(destination.Value, source.Value, length), Call);
        }
    }

    /// <inheritdoc/>
    public void Fill(DeviceAddress destination, byte value, long length, CudaStream stream)
    {
        const string Call = "cuMemsetD8Async";
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            CheckDevice(destination, length, Call);
            Submit(queue, new StreamWork.Fill(destination.Value, value, length), Call);
        }
    }

    /// <summary>Frees device memory once all work is done, as <c>cuMemFree</c> waits for it.</summary>
    /// <inheritdoc/>
    public bool FreeDevice(nint context, DeviceAddress address)
    {
        lock (_lock)
        {
            if (context != _context || InvalidateOwnCaptures())
            {
                return false;
            }

            _device.DrainAll();
            if (!_device.Memory.Free(address.Value))
            {
                return false;
            }

            _allocations--;
            return true;
        }
    }

    /// <summary>Frees page-locked host memory once all work is done, as <c>cuMemFreeHost</c> waits for it.</summary>
    /// <inheritdoc/>
    public bool FreePinned(nint context, nint address)
    {
        lock (_lock)
        {
            if (context != _context || !_pinned.ContainsKey(address) || InvalidateOwnCaptures())
            {
                return false;
            }

            _device.DrainAll();
            _pinned.Remove(address);
            Free(address);
            return true;
        }
    }

    private static void Free(nint pinned) => NativeMemory.AlignedFree((void*)pinned);

    private CudaMemoryInfo MemoryNow() => new(_device.Memory.Capacity - _device.Memory.BytesInUse, _device.Memory.Capacity);

    private void CheckDevice(DeviceAddress address, long length, string call)
    {
        if (length > 0 && _device.Memory.Resolve(address.Value, length) is null)
        {
            string state = _device.Memory.WasFreed(address.Value) ? "freed" : "not, or not wholly, allocated";
            throw Failure(call, CudaResult.InvalidValue, $"The {length} bytes at {address} on the device are {state}.");
        }
    }

    /// <summary>Whether a range is pinned. A range that is not must not be recorded: nobody would know how long it lives.</summary>
    private bool CheckHost(nint address, long length, EmulatedStream stream, string call)
    {
        if (address == 0 && length > 0)
        {
            throw Failure(call, CudaResult.InvalidValue, "The address on the host is null.");
        }

        bool isPinned = _pinned.Any(block => address >= block.Key && address - block.Key <= block.Value - length);
        if (!isPinned && stream.Capture is CaptureSequence capture)
        {
            capture.Invalidate();
            throw Failure(call, DriverResult.CaptureUnsupported, "Only copies from and to pinned memory can be recorded.");
        }

        return isPinned;
    }
}
