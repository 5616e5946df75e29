using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Native memory on a cache-line boundary, contents undefined. Freed by Dispose, or by the finalizer when nobody refers to it any more. Large blocks ask
/// for huge pages where the system leaves that to programs (Linux's default): weights are streamed once per run, and walking the page tables
/// of 4 KB pages costs some percent of a matrix product.
/// </summary>
internal sealed unsafe partial class AlignedMemory : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>Size of a cache line and of the widest vector.</summary>
    public const int Alignment = 64;

    /// <summary>Size of a huge page on x86-64 and of the usual one on Arm64.</summary>
    public const int HugePage = 2 << 20;

    private const int AdviseHugePage = 14;

    /// <exception cref="OutOfMemoryException">There is not enough memory.</exception>
    public AlignedMemory(long bytes)
        : base(ownsHandle: true)
    {
        Length = bytes;
        bool huge = OperatingSystem.IsLinux() && bytes >= HugePage;
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), (nuint)(huge ? HugePage : Alignment)));
        if (huge)
        {
            // Only whole pages: the rest of the last one may belong to somebody else. A refusal changes speed, nothing else.
            _ = AdviseMemory((void*)handle, (nuint)(bytes / HugePage * HugePage), AdviseHugePage);
        }
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

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int AdviseMemory(void* address, nuint length, int advice);
}
