namespace KernelAD.Planner;

/// <summary>A block of activation memory and the span of steps during which its contents matter.</summary>
internal sealed class PlannedBuffer
{
    public PlannedBuffer(long bytes)
    {
        Bytes = bytes;
    }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>First step that writes it (−1: before the run).</summary>
    public int First { get; private set; } = int.MaxValue;

    /// <summary>Last step that reads or writes it.</summary>
    public int Last { get; private set; } = int.MinValue;

    /// <summary>Where it lies in the arena, in bytes; set by <see cref="MemoryPlanner"/>.</summary>
    public long Offset { get; internal set; } = -1;

    /// <summary>Notes that a step touches it.</summary>
    public void Touch(int step)
    {
        First = Math.Min(First, step);
        Last = Math.Max(Last, step);
    }

    /// <summary>Whether both are needed at some step.</summary>
    public bool Overlaps(PlannedBuffer other) => First <= other.Last && other.First <= Last;
}

/// <summary>
/// Lays all buffers of a plan into one arena so that no two that live at the same time overlap: largest first, each at the lowest offset that is
/// free during its life. Not optimal (that is NP-hard) but within a few percent of the lower bound on the chain-like graphs here.
/// </summary>
internal static class MemoryPlanner
{
    /// <summary>Alignment of every buffer: a cache line, and a full vector.</summary>
    public const int Alignment = 64;

    /// <summary>Sets every buffer's offset.</summary>
    /// <returns>The arena's size in bytes.</returns>
    public static long Assign(IReadOnlyCollection<PlannedBuffer> buffers)
    {
        List<PlannedBuffer> placed = [];
        long size = 0;
        foreach (PlannedBuffer buffer in buffers.OrderByDescending(b => b.Bytes).ThenBy(b => b.First))
        {
            long offset = 0;
            foreach (PlannedBuffer other in placed.Where(buffer.Overlaps).OrderBy(b => b.Offset))
            {
                if (other.Offset - offset >= buffer.Bytes)
                {
                    break;
                }

                offset = Math.Max(offset, Aligned(other.Offset + other.Bytes));
            }

            buffer.Offset = offset;
            placed.Add(buffer);
            size = Math.Max(size, Aligned(offset + buffer.Bytes));
        }

        return size;
    }

    private static long Aligned(long value) => (value + Alignment - 1) / Alignment * Alignment;
}
