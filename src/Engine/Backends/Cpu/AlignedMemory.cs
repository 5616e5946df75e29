using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Native memory on a cache-line boundary, contents undefined; where the system offers huge pages, large memory lies in them. Freed by Dispose, or by the
/// finalizer when nobody refers to it any more.
/// </summary>
internal sealed unsafe class AlignedMemory : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>Size of a cache line and of the widest vector.</summary>
    public const int Alignment = 64;

    // Linux on x64 and Arm64 with 4 KB pages, and its number for the advice (include/uapi/asm-generic/mman-common.h).
    private const int HugePageBytes = 2 << 20;
    private const int AdviseHugePage = 14;

    // int madvise(void*, size_t, int): the C library is part of the process already, whatever its file is called.
    private static readonly delegate* unmanaged<void*, nuint, int, int> Advise =
        OperatingSystem.IsLinux() && NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "madvise", out nint advise)
            ? (delegate* unmanaged<void*, nuint, int, int>)advise
            : null;

    /// <exception cref="NotEnoughMemoryException">There is not enough memory.</exception>
    public AlignedMemory(long bytes)
        : base(ownsHandle: true)
    {
        Length = bytes;
        SetHandle((nint)Allocate(bytes));
    }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte.</summary>
    public byte* Pointer => (byte*)handle;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }

    private static void* Allocate(long bytes)
    {
        try
        {
            if (Advise == null || bytes < HugePageBytes)
                return NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Alignment);

            // Rows of a matrix that are pages apart would each need a translation of their own: the processor's buffers hold few of them, and in a
            // virtual machine each miss walks two tables. Where it is refused, the memory is as good as any.
            void* memory = NativeMemory.AlignedAlloc((nuint)bytes, HugePageBytes);
            _ = Advise(memory, (nuint)(bytes / HugePageBytes * HugePageBytes), AdviseHugePage);
            return memory;
        }
        catch (OutOfMemoryException e)
        {
            throw new NotEnoughMemoryException(
                $"{bytes / 1e6:F1} MB of memory cannot be had; run fewer pictures at a time or fewer calls at once, or set a memory limit so that InTra runs in smaller portions", e);
        }
    }
}
