namespace KernelAD.Backends.Cpu;

/// <summary>
/// Cuts a number of like units of work into consecutive ranges, the parts of a step, each about <see cref="Grain"/> in size.
/// </summary>
internal readonly struct Partition
{
    /// <summary>
    /// Work of one part, in floats read and written once: some ten microseconds, long enough to hide the hand-over to another thread.
    /// </summary>
    public const long Grain = 1 << 15;

    private readonly long _quotient;
    private readonly long _remainder;

    /// <param name="units">Units of work; may be 0, which makes one empty part.</param>
    /// <param name="workPerUnit">Work of one unit in the currency of <see cref="Grain"/>.</param>
    public Partition(long units, long workPerUnit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(units);
        double parts = units * (double)workPerUnit / Grain;
        Parts = (int)Math.Clamp(parts, 1, Math.Clamp(units, 1, int.MaxValue));
        (_quotient, _remainder) = Math.DivRem(units, Parts);
    }

    /// <summary>Number of parts, at least 1.</summary>
    public int Parts { get; }

    /// <summary>First unit of a part.</summary>
    public long Start(int part) => (part * _quotient) + Math.Min(part, _remainder);

    /// <summary>One past the last unit of a part.</summary>
    public long End(int part) => Start(part + 1);
}
