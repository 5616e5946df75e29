using System.Runtime.InteropServices;

namespace KernelAD.Emulator;

/// <summary>A live range of the device's memory.</summary>
internal sealed unsafe class Allocation : IDisposable
{
    /// <summary>Takes the host's memory for it; throws <see cref="OutOfMemoryException"/> if the host has not that much.</summary>
    /// <param name="start">The first byte's address.</param>
    /// <param name="length">The length in bytes.</param>
    /// <param name="tracksInitialisation">Whether each byte remembers if it was written.</param>
    public Allocation(ulong start, long length, bool tracksInitialisation)
    {
        Start = start;
        Length = length;
        Host = (byte*)NativeMemory.AlignedAlloc((nuint)length, (nuint)GlobalMemory.Alignment);
        if (tracksInitialisation)
        {
            try
            {
                Initialised = (byte*)NativeMemory.AllocZeroed((nuint)length);
            }
            catch (OutOfMemoryException)
            {
                NativeMemory.AlignedFree(Host);
                throw;
            }
        }
    }

    /// <summary>The first byte's address.</summary>
    public ulong Start { get; }

    /// <summary>The length in bytes.</summary>
    public long Length { get; }

    /// <summary>The address behind the last byte.</summary>
    public ulong End => Start + (ulong)Length;

    /// <summary>The bytes.</summary>
    public byte* Host { get; }

    /// <summary>For each byte 1 once it is written; null where that is not tracked.</summary>
    public byte* Initialised { get; }

    /// <summary>Gives the host's memory back.</summary>
    public void Dispose()
    {
        NativeMemory.AlignedFree(Host);
        NativeMemory.Free(Initialised);
    }
}
