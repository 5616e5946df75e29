using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.Backends.Cpu;

/// <summary>Native memory on a cache-line boundary, contents undefined. Freed by Dispose, or by the finalizer when nobody refers to it any more.</summary>
internal sealed unsafe class AlignedMemory : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>Size of a cache line and of the widest vector.</summary>
    public const int Alignment = 64;

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
            return NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Alignment);
        }
        catch (OutOfMemoryException e)
        {
            throw new NotEnoughMemoryException(
                $"{bytes / 1e6:F1} MB of memory cannot be had; run fewer pictures at a time or fewer calls at once, or set a memory limit so that InTra runs in smaller portions", e);
        }
    }
}
