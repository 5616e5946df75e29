namespace KernelAD.Backends.Cpu;

/// <summary>Cuts a range of items into parts that differ by one item at most.</summary>
internal static class Split
{
    /// <summary>The items [First, End) of one part.</summary>
    public static (int First, int End) Range(int items, int parts, int part) =>
        ((int)((long)items * part / parts), (int)((long)items * (part + 1) / parts));

    /// <summary>Items of the largest part: items / parts rounded up. Likewise the number of parts of a given size.</summary>
    public static int Most(int items, int parts) => (items + parts - 1) / parts;

    /// <inheritdoc cref="Most(int, int)"/>
    public static long Most(long items, long parts) => (items + parts - 1) / parts;
}
