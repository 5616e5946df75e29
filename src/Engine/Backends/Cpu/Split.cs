namespace KernelAD.Backends.Cpu;

/// <summary>Cuts a range of items into parts that differ by one item at most.</summary>
internal static class Split
{
    /// <summary>The items [First, End) of one part.</summary>
    public static (int First, int End) Range(int items, int parts, int part) =>
        ((int)((long)items * part / parts), (int)((long)items * (part + 1) / parts));
}
