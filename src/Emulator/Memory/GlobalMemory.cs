using System.Runtime.InteropServices;

namespace KernelAD.Emulator;

/// <summary>
/// The device's memory. Allocations lie at addresses that are never used twice, with unmapped gaps between them, so that an access beyond one or after its
/// end of life is seen. Not thread-safe, but <see cref="Resolve"/> and <see cref="Find"/> may run concurrently while nothing is allocated or freed.
/// </summary>
internal sealed unsafe class GlobalMemory : IDisposable
{
    /// <summary>The alignment of every allocation.</summary>
    public const long Alignment = 256;

    /// <summary>No allocation lies below this address: small numbers, and the windows of shared and local memory, are no global addresses.</summary>
    public const ulong FirstAddress = 0x7F00_0000_0000;

    private const long GuardGap = 64 << 10;
    private const byte Poison = 0xCD;
    private const int RememberedFrees = 4096;

    private readonly long _capacity;
    private readonly bool _tracksInitialisation;
    private readonly Queue<(ulong Start, ulong End)> _freed = new();
    private readonly List<Allocation> _allocations = [];
    private ulong _next = FirstAddress;

    /// <summary>Creates an empty memory.</summary>
    /// <param name="capacity">The most bytes that may be allocated at a time.</param>
    /// <param name="tracksInitialisation">Whether each byte remembers if it was written.</param>
    public GlobalMemory(long capacity, bool tracksInitialisation)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _capacity = capacity;
        _tracksInitialisation = tracksInitialisation;
    }

    /// <summary>The most bytes that may be allocated at a time.</summary>
    public long Capacity => _capacity;

    /// <summary>How many bytes are allocated.</summary>
    public long BytesInUse { get; private set; }

    /// <summary>Allocates memory and fills it with a pattern that is a large number in every type.</summary>
    /// <param name="length">How many bytes, at least 1.</param>
    /// <returns>The first byte's address; 0 if the device or the host has not that much.</returns>
    public ulong Allocate(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        if (length > _capacity - BytesInUse)
        {
            return 0;
        }

        Allocation allocation;
        try
        {
            allocation = new(_next, length, _tracksInitialisation);
        }
        catch (OutOfMemoryException)
        {
            return 0;
        }

        NativeMemory.Fill(allocation.Host, (nuint)length, Poison);
        _allocations.Add(allocation); // Addresses only grow: the list stays sorted.
        _next += (ulong)((length + GuardGap + Alignment - 1) / Alignment * Alignment);
        BytesInUse += length;
        return allocation.Start;
    }

    /// <summary>Frees an allocation.</summary>
    /// <param name="address">The address that <see cref="Allocate"/> returned.</param>
    /// <returns>Whether a live allocation starts there.</returns>
    public bool Free(ulong address)
    {
        Allocation? allocation = Find(address);
        if (allocation is null || allocation.Start != address)
        {
            return false;
        }

        _allocations.Remove(allocation);
        BytesInUse -= allocation.Length;
        _freed.Enqueue((allocation.Start, allocation.End));
        if (_freed.Count > RememberedFrees)
        {
            _freed.Dequeue();
        }

        allocation.Dispose();
        return true;
    }

    /// <summary>Where a range lies in the host's memory.</summary>
    /// <param name="address">The range's first byte.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <returns>Null if it is not wholly inside one live allocation.</returns>
    public byte* Resolve(ulong address, long length)
    {
        Allocation? allocation = Find(address);
        return allocation is not null && length >= 0 && (ulong)length <= allocation.End - address ? allocation.Host + (address - allocation.Start) : null;
    }

    /// <summary>Notes that a range was written.</summary>
    /// <param name="address">The range's first byte; the range has to lie inside one live allocation.</param>
    /// <param name="length">Its length in bytes.</param>
    public void MarkInitialised(ulong address, long length)
    {
        if (Find(address) is { Initialised: not null } allocation)
        {
            NativeMemory.Fill(allocation.Initialised + (address - allocation.Start), (nuint)length, 1);
        }
    }

    /// <summary>The live allocation that holds a byte; null if there is none.</summary>
    /// <param name="address">The byte's address.</param>
    public Allocation? Find(ulong address)
    {
        int low = 0;
        int high = _allocations.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            Allocation allocation = _allocations[middle];
            if (address < allocation.Start)
            {
                high = middle - 1;
            }
            else if (address >= allocation.End)
            {
                low = middle + 1;
            }
            else
            {
                return allocation;
            }
        }

        return null;
    }

    /// <summary>Whether a byte belonged to an allocation that was freed not long ago.</summary>
    /// <param name="address">The byte's address.</param>
    public bool WasFreed(ulong address) => _freed.Any(range => address >= range.Start && address < range.End);

    /// <summary>The live allocation that starts last before an address, for messages; null if there is none.</summary>
    /// <param name="address">The address.</param>
    public Allocation? Before(ulong address) => _allocations.FindLast(allocation => allocation.Start <= address);

    /// <summary>Frees everything.</summary>
    public void Dispose()
    {
        foreach (Allocation allocation in _allocations)
        {
            allocation.Dispose();
        }

        _allocations.Clear();
        BytesInUse = 0;
    }
}
